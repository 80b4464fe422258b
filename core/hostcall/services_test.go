package hostcall_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
)

func TestServicesBesideItems(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil)).With("plugin", "NEAREST")
	host := hostcall.New(hostcall.Config{Secret: func(string) (string, bool, error) { return "swordfish", true, nil }})
	defer host.Close()
	s := hostcall.Services{Logger: logger, Door: host.Door("NEAREST", hostcall.Terms{Trusted: true})}

	s.Log(t.Context(), spi.LogRecord{Level: 5, Line: "far away"})
	if got := log.String(); !strings.Contains(got, `level=WARN msg="plugin output" plugin=NEAREST stream=log line="far away"`) {
		t.Errorf("log = %q, want the line at warn", got)
	}
	ended, end := context.WithCancelCause(t.Context())
	end(spi.ErrTimeout)
	for _, tt := range []struct {
		name     string
		isOver   bool
		services hostcall.Services
		op, want string
		code     spi.Code
	}{
		{"going on", false, s, spi.OpShouldStop, `{"stop":false,"reason":""}`, 0},
		{"timed out", true, s, spi.OpShouldStop, `{"stop":true,"reason":"timeout"}`, 0},
		{"secret", false, s, spi.OpSecretGet, `{"value":"swordfish"}`, 0},
		{"progress", false, s, spi.OpProgressReport, "", spi.CodeUnsupported},
		{"checkpoint", false, s, spi.OpCheckpointSave, "", spi.CodeUnsupported},
		{"no door", false, hostcall.Services{Logger: logger}, spi.OpSecretGet, "", spi.CodeUnsupported},
	} {
		ctx := t.Context()
		if tt.isOver {
			ctx = ended
		}
		got, err := tt.services.Call(ctx, tt.op, []byte(`{"name":"key"}`))
		if string(got) != tt.want || tt.code != 0 && spi.AsError(err).Code != tt.code {
			t.Errorf("%s: Call(%s) = %s, %v, want %s, %v", tt.name, tt.op, got, err, tt.want, tt.code)
		}
	}
}

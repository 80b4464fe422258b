package hostcall_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

func TestSecrets(t *testing.T) {
	t.Parallel()
	const value = "hunter2 \"\n\u00e9"
	asked := make(chan string, 16)
	host := hostcall.New(hostcall.Config{Secret: func(name string) (string, bool, error) {
		asked <- name
		if name == "broken" {
			return "", true, errors.New("/run/secrets/broken: permission denied")
		}
		return value, name == "db-password" || name == "empty", nil
	}})
	t.Cleanup(host.Close)
	granted := host.Door("ORDERS", hostcall.Terms{Grants: spi.Grants{Secrets: []string{"db-password", "gone", "broken"}}})
	for _, test := range []struct {
		name   string
		door   *hostcall.Door
		secret string
		code   spi.Code // 0 if the value comes
		text   string
	}{
		{"granted", granted, "db-password", 0, ""},
		{"granted and unknown", granted, "gone", spi.CodeNotFound, `no secret "gone"`},
		{"granted and not to be read", granted, "broken", spi.CodeUnavailable, `secret "broken" could not be read`},
		{"not granted", granted, "empty", spi.CodeDenied, `secret.get of "empty" is not granted: add it to grants.secrets of plugin ORDERS`},
		{"not granted and unknown", granted, "other", spi.CodeDenied, `secret.get of "other" is not granted`},
		{"in other letters", granted, "DB-PASSWORD", spi.CodeDenied, "is not granted"},
		{"a long name", granted, strings.Repeat("x", 1<<20), spi.CodeDenied, `xxx…" is not granted`},
		{"trusted", host.Door("EMAIL", hostcall.Terms{Trusted: true}), "db-password", 0, ""},
		{"no secrets", hostcall.New(hostcall.Config{}).Door("EMAIL", hostcall.Terms{Trusted: true}), "db-password", spi.CodeNotFound, "no secret"},
	} {
		response, err := test.door.Call(t.Context(), spi.OpSecretGet, wire.AppendSecretGetRequest(nil, test.secret))
		if test.code != 0 {
			wantError(t, test.name, err, test.code, test.text)
			if err != nil && strings.Contains(err.Error(), "/run") {
				t.Errorf("%s: error %q, want it without the path of the file", test.name, err)
			}
			if err != nil && len(err.Error()) > wire.MaxText {
				t.Errorf("%s: an error of %d bytes, want at most %d", test.name, len(err.Error()), wire.MaxText)
			}
			continue
		}
		got, decodeErr := wire.DecodeSecretGetResponse(response)
		if err != nil || decodeErr != nil || got != value {
			t.Errorf("%s: secret.get(%q) = %q, %v, %v, want %q", test.name, test.secret, got, err, decodeErr, value)
		}
	}
	close(asked)
	for name := range asked {
		if name != "db-password" && name != "gone" && name != "broken" {
			t.Errorf("the node was asked for %q, which is not granted", name)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(spi.ErrLeaseLost)
	_, err := granted.Call(ctx, spi.OpSecretGet, wire.AppendSecretGetRequest(nil, "db-password"))
	wantError(t, "secret.get of an ended call", err, spi.CodeLeaseLost, "lease lost")
}

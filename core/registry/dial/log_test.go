package dial_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9/logging"

	"github.com/elasticjob-go/elasticjob/core/registry/dial"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// buffer takes records of several goroutines.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestMain keeps the many failures that tests provoke out of their output.
func TestMain(m *testing.M) {
	logging.Disable()
	m.Run()
}

// TestLogTo is not parallel, as the library has one log for all.
func TestLogTo(t *testing.T) {
	t.Cleanup(logging.Disable)
	said := new(buffer)
	dial.LogTo(slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelDebug})))
	s := redistest.Start(t)
	c := config(s.Addr())
	connection := open(t, c)
	wantWorking(t, connection)
	s.Stop()
	for range 3 {
		if err := connection.Sessions().Ping(t.Context()).Err(); err == nil {
			t.Error("Ping() of a server that was stopped = nil, want an error")
		}
	}
	waitFor(t, func() bool { return strings.Contains(said.String(), `level=DEBUG msg="redis client" text=`) })
}

package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/spi"
)

// TestServeBeforeTheNodeIsUp makes a node of a configuration that is wrong, and
// of the same one when a signal has come already: what fails then is nobody's
// concern.
func TestServeBeforeTheNodeIsUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "elasticjob.yaml")
	if err := os.WriteFile(path, []byte("elasticjob:\n  dataDir: data\n  plugins:\n    - wasm: missing.wasm\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, problems := elasticjob.LoadFile(path)
	if len(problems) > 0 {
		t.Fatalf("LoadFile() = %v, want no problems", problems)
	}
	made := false
	s := supervisor{logger: slog.New(slog.DiscardHandler), made: func() { made = true }}

	err := s.serve(t.Context(), t.Context(), cfg)
	if refused, ok := errors.AsType[elasticjob.Problems](err); !ok || len(refused) != 1 {
		t.Errorf("serve(a configuration that is wrong) = %v, want its problem", err)
	}

	stopped, stop := context.WithCancelCause(t.Context())
	stop(spi.ErrStopping)
	if err := s.serve(stopped, t.Context(), cfg); err != nil {
		t.Errorf("serve(after a signal) = %v, want nil", err)
	}
	if made {
		t.Error("serve said that it made a node, want none")
	}
}

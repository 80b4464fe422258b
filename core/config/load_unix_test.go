//go:build unix

package config_test

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/config"
)

func TestPipesWithoutWriterAreRefused(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo.yaml")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	_, problems := config.Load(fifo, environment)
	if len(problems) != 1 || problems[0].Message != "it is no regular file" {
		t.Errorf("Load(FIFO) = %v, want that it is no regular file", problems)
	}
}

func TestOpenPipesAreRead(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if _, err := w.WriteString("elasticjob: {maxRunningItems: 7}\n"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	cfg, problems := config.Load("/dev/fd/"+strconv.Itoa(int(r.Fd())), environment)
	if len(problems) > 0 || cfg.MaxRunningItems != 7 {
		t.Errorf("Load(pipe) = %d, %v, want 7 and no problems", cfg.MaxRunningItems, problems)
	}
}

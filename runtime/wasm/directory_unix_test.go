//go:build unix

package wasm

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/elasticjob-go/elasticjob/spi"
)

// TestPipesAreNotOpened has what would block for ever if it was opened to be
// looked at.
func TestPipesAreNotOpened(t *testing.T) {
	t.Parallel()
	data, _ := tree(t)
	if err := syscall.Mkfifo(filepath.Join(data, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	j := newJob(t, prebuilt, granting(spi.Dir{Path: data, Guest: "/data", Writable: true}))
	for do, want := range map[string]string{
		"read|/data/pipe":     "Permission denied",
		"update|/data/pipe|x": "Permission denied",
		"stat|/data/pipe":     "file 0",
	} {
		if got := execute(t.Context(), t, j, "files:"+do); got.message != want || got.err != nil {
			t.Errorf("%s = %q, %v, want %q", do, got.message, got.err, want)
		}
	}
	if got := execute(t.Context(), t, j, "files:write|/data/pipe|x"); got.message == "ok" || got.err != nil {
		t.Errorf("write = %q, %v, want an error", got.message, got.err)
	}
}

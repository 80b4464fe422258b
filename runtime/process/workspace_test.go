package process

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
)

func glob(t *testing.T, dir, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestLeftovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	elsewhere := t.TempDir()
	if err := os.WriteFile(filepath.Join(elsewhere, workspaceLock), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	old := now.Add(-2 * leftoverAge)
	leave := func(name, lock string, at time.Time) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Join(path, "1"), 0o700); err != nil {
			t.Fatal(err)
		}
		if lock == "" {
			return path
		}
		file := filepath.Join(path, lock)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
		return path
	}
	leave(workspacePrefix+"dead", workspaceLock, old)
	leave(workspacePrefix+"young", workspaceLock, now)
	leave(workspacePrefix+"without", "", old)
	leave("another", workspaceLock, old)
	if err := os.Symlink(elsewhere, filepath.Join(dir, workspacePrefix+"link")); err != nil {
		t.Fatal(err)
	}
	living := workspace{parent: dir}
	if _, err := living.newDir(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(living.lock.Name(), old, old); err != nil {
		t.Fatal(err)
	}
	removeLeftovers(dir, now)
	removeLeftovers(filepath.Join(dir, "none"), now) // nothing to be done
	want := []string{
		filepath.Join(dir, "another"), living.dir, filepath.Join(dir, workspacePrefix+"link"),
		filepath.Join(dir, workspacePrefix+"without"), filepath.Join(dir, workspacePrefix+"young"),
	}
	if diff := cmp.Diff(want, glob(t, dir, "*")); diff != "" {
		t.Errorf("what is left differs (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(elsewhere, workspaceLock)); err != nil {
		t.Errorf("a link was followed: %v", err)
	}
	path := living.dir
	if err := living.close(); err != nil {
		t.Errorf("close() = %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the directory is there after close")
	}
	if _, err := living.newDir(); codeOf(err) != spi.CodeUnavailable {
		t.Errorf("newDir() after close = %v, want %v", err, spi.CodeUnavailable)
	}
}

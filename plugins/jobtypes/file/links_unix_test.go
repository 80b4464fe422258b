//go:build unix

package file_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/file"
	"github.com/elasticjob-go/elasticjob/spi"
)

func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	outside := tree{"secret": "outside", "dir/deep": "outside"}.write(t)
	source, target := tree{"a": "one", "sub/b": "two"}.write(t), t.TempDir()
	if err := errors.Join(
		os.Symlink(filepath.Join(outside, "secret"), filepath.Join(source, "link")),
		os.Symlink(filepath.Join(outside, "dir"), filepath.Join(source, "dirlink")),
		os.Symlink(outside, filepath.Join(target, "sub")),
	); err != nil {
		t.Fatal(err)
	}
	_, err := run(t, 0, 1, file.PropAction, file.ActionCopy, file.PropSource, source, file.PropTarget, target, file.PropRecursive, "true")
	if e := spi.AsError(err); e == nil || !strings.Contains(e.Message, "1 of 2 files failed: ") {
		t.Errorf("Execute() = %v, want the file behind the link of the target to fail alone", err)
	}
	wantTree(t, target, tree{"a": "one"})
	wantTree(t, outside, tree{"secret": "outside", "dir/deep": "outside"})
	wantRun(t, "delete: 2 files, 6 bytes, 0 skipped", file.PropAction, file.ActionDelete, file.PropSource, source, file.PropGlob, "**", file.PropRecursive, "true")
	wantTree(t, outside, tree{"secret": "outside", "dir/deep": "outside"})
}

func TestMoveOntoItselfKeepsTheFile(t *testing.T) {
	t.Parallel()
	source := tree{"a": "one"}.write(t)
	alias := filepath.Join(t.TempDir(), "alias")
	if err := os.Symlink(source, alias); err != nil {
		t.Fatal(err)
	}
	_, err := run(t, 0, 1, file.PropAction, file.ActionMove, file.PropSource, source, file.PropTarget, alias, file.PropOverwrite, file.OverwriteAlways)
	if err == nil || !strings.Contains(err.Error(), "a is the same file in source and target") {
		t.Errorf("Execute() = %v, want a refusal", err)
	}
	wantTree(t, source, tree{"a": "one"})
}

package file_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/file"
	"github.com/elasticjob-go/elasticjob/spi"
)

// services count reports of progress.
type services struct {
	mu      sync.Mutex
	reports []string
	// onReport is called for each; nil for nothing.
	onReport func()
}

func (*services) Log(context.Context, spi.LogRecord) {}

func (s *services) Call(_ context.Context, op string, request []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, op+" "+string(request))
	if s.onReport != nil {
		s.onReport()
	}
	return []byte("{}"), nil
}

// tree is a directory of files with their content.
type tree map[string]string

func (files tree) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, dir string) tree {
	t.Helper()
	files := tree{}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(name)
		relative, _ := filepath.Rel(dir, name)
		files[filepath.ToSlash(relative)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func wantTree(t *testing.T, dir string, want tree) {
	t.Helper()
	if diff := cmp.Diff(want, read(t, dir)); diff != "" {
		t.Errorf("the files of %s differ (-want +got):\n%s", filepath.Base(dir), diff)
	}
}

func construct(t *testing.T, pairs ...string) (spi.JobType, error) {
	t.Helper()
	given := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		given[pairs[i]] = pairs[i+1]
	}
	plugin := file.Plugin()
	values, problems := plugin.Descriptor.Props.Resolve(given)
	if len(problems) > 0 {
		t.Fatalf("Resolve(%v) = %v, want no problem", given, problems)
	}
	return plugin.JobType(t.Context(), values)
}

// run runs one item of several.
func run(t *testing.T, item, total int, pairs ...string) (string, error) {
	t.Helper()
	job, err := construct(t, pairs...)
	if err != nil {
		t.Fatalf("constructing a job of %v = %v, want nil", pairs, err)
	}
	response, err := job.Execute(t.Context(), spi.ExecuteRequest{Context: spi.ShardingContext{ShardingItem: item, ShardingTotalCount: total}, Services: &services{}})
	return response.Message, err
}

// wantRun runs the only item and wants it to succeed.
func wantRun(t *testing.T, want string, pairs ...string) {
	t.Helper()
	if got, err := run(t, 0, 1, pairs...); err != nil || got != want {
		t.Errorf("Execute() = %q, %v, want %q", got, err, want)
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	all := tree{"a.csv": "one", "b.csv": "two!", "c.txt": "three", "sub/d.csv": "four"}
	const sums = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed  a.csv\na97b629a5b1da759586c3353a9bc284bf673970d8eca56e11e556b715c329614  b.csv\n"
	tests := []struct {
		name, message  string
		given          []string
		source, target tree
	}{
		{name: "copy", message: "copy: 2 files, 7 bytes, 0 skipped", given: []string{file.PropGlob, "*.csv"}, source: all, target: tree{"a.csv": "one", "b.csv": "two!"}},
		{name: "copy", message: "copy: 3 files, 12 bytes, 0 skipped", source: all, target: tree{"a.csv": "one", "b.csv": "two!", "c.txt": "three"}},
		{name: "copy", message: "copy: 3 files, 11 bytes, 0 skipped", given: []string{file.PropGlob, "*.csv", file.PropRecursive, "true"}, source: all, target: tree{"a.csv": "one", "b.csv": "two!", "sub/d.csv": "four"}},
		{name: "copy", message: "copy: 1 files, 4 bytes, 0 skipped", given: []string{file.PropGlob, "sub/**/*.csv", file.PropRecursive, "true"}, source: all, target: tree{"sub/d.csv": "four"}},
		{name: "move", message: "move: 2 files, 7 bytes, 0 skipped", given: []string{file.PropGlob, "*.csv"}, source: tree{"c.txt": "three", "sub/d.csv": "four"}, target: tree{"a.csv": "one", "b.csv": "two!"}},
		{name: "delete", message: "delete: 1 files, 5 bytes, 0 skipped", given: []string{file.PropGlob, "*.txt"}, source: tree{"a.csv": "one", "b.csv": "two!", "sub/d.csv": "four"}},
		{name: "checksum", message: "checksum: 2 files, 7 bytes, 0 skipped", given: []string{file.PropGlob, "*.csv"}, source: all, target: tree{"SHA256SUMS-0": sums}},
	}
	for _, test := range tests {
		t.Run(test.name+" "+strings.Join(test.given, " "), func(t *testing.T) {
			t.Parallel()
			source, target := all.write(t), t.TempDir()
			given := append([]string{file.PropAction, test.name, file.PropSource, source}, test.given...)
			if test.target != nil {
				given = append(given, file.PropTarget, target)
			}
			wantRun(t, test.message, given...)
			wantTree(t, source, test.source)
			if test.target != nil {
				wantTree(t, target, test.target)
			}
		})
	}
}

func TestItemsShareTheFiles(t *testing.T) {
	t.Parallel()
	files := tree{}
	for i := range 50 {
		files["file-"+strings.Repeat("x", i)+".dat"] = "content"
	}
	source := files.write(t)
	got := tree{}
	for item := range 3 {
		target := t.TempDir()
		if _, err := run(t, item, 3, file.PropAction, file.ActionCopy, file.PropSource, source, file.PropTarget, target); err != nil {
			t.Fatal(err)
		}
		own := read(t, target)
		for name := range own {
			if _, twice := got[name]; twice {
				t.Errorf("%s was taken by two items", name)
			}
		}
		if len(own) == 0 {
			t.Errorf("item %d took no files", item)
		}
		maps.Copy(got, own)
	}
	if diff := cmp.Diff(files, got); diff != "" {
		t.Errorf("the files of all items differ (-want +got):\n%s", diff)
	}
}

// TestItemsAreThoseOfEveryVersion holds the hash: with another one two nodes of
// different versions would take the same file.
func TestItemsAreThoseOfEveryVersion(t *testing.T) {
	t.Parallel()
	dir := tree{"a": "", "foobar": ""}.write(t)
	// The published values of FNV-1a for "a" and "foobar" are 0xaf63dc4c8601ec8c
	// and 0x85944171f73967e8.
	for hash, want := range map[uint64]tree{0xaf63dc4c8601ec8c: {"a": ""}, 0x85944171f73967e8: {"foobar": ""}} {
		target := t.TempDir()
		if _, err := run(t, int(hash%1000), 1000, file.PropAction, file.ActionCopy, file.PropSource, dir, file.PropTarget, target); err != nil {
			t.Fatal(err)
		}
		wantTree(t, target, want)
	}
}

func TestCopyKeepsModeAndTime(t *testing.T) {
	t.Parallel()
	source, target := tree{"a": "one"}.write(t), t.TempDir()
	at := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := errors.Join(os.Chmod(filepath.Join(source, "a"), 0o400), os.Chtimes(filepath.Join(source, "a"), at, at)); err != nil {
		t.Fatal(err)
	}
	wantRun(t, "copy: 1 files, 3 bytes, 0 skipped", file.PropAction, file.ActionCopy, file.PropSource, source, file.PropTarget, target)
	info, err := os.Stat(filepath.Join(target, "a"))
	if err != nil || info.Mode().Perm()&0o222 != 0 || !info.ModTime().Equal(at) {
		t.Errorf("the copy has mode %v and time %v, %v, want those of the source", info.Mode(), info.ModTime(), err)
	}
}

func TestOverwrite(t *testing.T) {
	t.Parallel()
	for overwrite, want := range map[string]tree{
		file.OverwriteNever:   {"same": "target", "other": "old"},
		file.OverwriteChanged: {"same": "target", "other": "new content"},
		file.OverwriteAlways:  {"same": "source", "other": "new content"},
	} {
		t.Run(overwrite, func(t *testing.T) {
			t.Parallel()
			source, target := tree{"same": "source", "other": "new content"}.write(t), tree{"same": "target", "other": "old"}.write(t)
			at := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
			for _, dir := range []string{source, target} {
				if err := os.Chtimes(filepath.Join(dir, "same"), at, at); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := run(t, 0, 1, file.PropAction, file.ActionMove, file.PropSource, source, file.PropTarget, target, file.PropOverwrite, overwrite); err != nil {
				t.Fatal(err)
			}
			wantTree(t, target, want)
			if left, moved := len(read(t, source)), map[string]int{file.OverwriteNever: 0, file.OverwriteChanged: 1, file.OverwriteAlways: 2}[overwrite]; left != 2-moved {
				t.Errorf("%d files of the source are left, want those that were not moved, %d", left, 2-moved)
			}
		})
	}
}

func TestOlderThan(t *testing.T) {
	t.Parallel()
	source := tree{"old": "", "new": ""}.write(t)
	at := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(filepath.Join(source, "old"), at, at); err != nil {
		t.Fatal(err)
	}
	wantRun(t, "delete: 1 files, 0 bytes, 1 skipped", file.PropAction, file.ActionDelete, file.PropSource, source, file.PropGlob, "*", file.PropOlderThan, "1h")
	wantTree(t, source, tree{"new": ""})
}

func TestFailuresDoNotStopTheOthers(t *testing.T) {
	t.Parallel()
	source, target := tree{"a": "one", "b": "two", "c": "three"}.write(t), t.TempDir()
	if err := os.Mkdir(filepath.Join(target, "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := run(t, 0, 1, file.PropAction, file.ActionMove, file.PropSource, source, file.PropTarget, target, file.PropOverwrite, file.OverwriteAlways)
	if e := spi.AsError(err); e == nil || e.Message != "1 of 3 files failed: b of the target is no file" {
		t.Errorf("Execute() = %v, want one failure", err)
	}
	wantTree(t, source, tree{"b": "two"})
	wantTree(t, target, tree{"a": "one", "c": "three"})
}

func TestCancelledCopyLeavesNothing(t *testing.T) {
	t.Parallel()
	source, target := tree{"a": strings.Repeat("x", 3<<20)}.write(t), t.TempDir()
	job, err := construct(t, file.PropAction, file.ActionCopy, file.PropSource, source, file.PropTarget, target)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	// The first report comes before the first file.
	s := &services{onReport: func() { cancel(spi.ErrStopping) }}
	if _, err := job.Execute(ctx, spi.ExecuteRequest{Context: spi.ShardingContext{ShardingTotalCount: 1}, Services: s}); !errors.Is(err, spi.ErrStopping) {
		t.Errorf("Execute() = %v, want %v", err, spi.ErrStopping)
	}
	wantTree(t, target, tree{})
	if len(s.reports) != 1 || !strings.HasPrefix(s.reports[0], `progress.report {"done":0,"total":1`) {
		t.Errorf("the reports are %q, want one of progress", s.reports)
	}
}

func TestChecksumLeavesListsOut(t *testing.T) {
	t.Parallel()
	source := tree{"a": "one", "SHA256SUMS-7": "old", ".elasticjob-X": "unfinished"}.write(t)
	wantRun(t, "checksum: 1 files, 3 bytes, 0 skipped", file.PropAction, file.ActionChecksum, file.PropSource, source, file.PropTarget, source)
	if got := read(t, source)["SHA256SUMS-0"]; got != "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed  a\n" {
		t.Errorf("the list is %q, want one line", got)
	}
}

func TestPropertiesAreChecked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, test := range []struct {
		name, property string
		given          []string
	}{
		{"delete without a glob", file.PropGlob, []string{file.PropAction, file.ActionDelete}},
		{"delete with a target", file.PropTarget, []string{file.PropAction, file.ActionDelete, file.PropGlob, "*", file.PropTarget, "x"}},
		{"copy without a target", file.PropTarget, []string{file.PropAction, file.ActionCopy}},
		{"checksum without a target", file.PropTarget, []string{file.PropAction, file.ActionChecksum}},
		{"target that is the source", file.PropTarget, []string{file.PropAction, file.ActionMove, file.PropTarget, dir + "/."}},
		{"target in the source", file.PropTarget, []string{file.PropAction, file.ActionCopy, file.PropTarget, filepath.Join(dir, "sub"), file.PropRecursive, "true"}},
		{"glob that is none", file.PropGlob, []string{file.PropAction, file.ActionCopy, file.PropTarget, "x", file.PropGlob, "[a"}},
		{"glob that leaves the directory", file.PropGlob, []string{file.PropAction, file.ActionCopy, file.PropTarget, "x", file.PropGlob, "../*"}},
	} {
		_, err := construct(t, append([]string{file.PropSource, dir}, test.given...)...)
		if e := spi.AsError(err); e == nil || e.Code != spi.CodeInvalidProperties || e.Property != test.property {
			t.Errorf("%s: error = %v, want one of property %s", test.name, err, test.property)
		}
	}
	_, err := run(t, 0, 1, file.PropAction, file.ActionDelete, file.PropSource, filepath.Join(dir, "missing"), file.PropGlob, "*")
	if e := spi.AsError(err); e == nil || e.Code != spi.CodeNotFound {
		t.Errorf("Execute() without the directory = %v, want %s", err, spi.CodeNotFound)
	}
}

func TestGlobs(t *testing.T) {
	t.Parallel()
	files := tree{"a.log": "", "x/a.log": "", "x/y/a.log": "", "x/y/b.txt": "", "y/a.log": ""}
	for pattern, want := range map[string][]string{
		"*.log":     {"a.log", "x/a.log", "x/y/a.log", "y/a.log"},
		"*/*.log":   {"x/a.log", "y/a.log"},
		"x/**":      {"x/a.log", "x/y/a.log", "x/y/b.txt"},
		"**/y/*":    {"x/y/a.log", "x/y/b.txt", "y/a.log"},
		"**/**/a.*": {"a.log", "x/a.log", "x/y/a.log", "y/a.log"},
		"[ab].txt":  {"x/y/b.txt"},
		"**":        {"a.log", "x/a.log", "x/y/a.log", "x/y/b.txt", "y/a.log"},
	} {
		target := t.TempDir()
		if _, err := run(t, 0, 1, file.PropAction, file.ActionCopy, file.PropSource, files.write(t), file.PropTarget, target, file.PropRecursive, "true", file.PropGlob, pattern); err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(read(t, target))); !slices.Equal(got, want) {
			t.Errorf("pattern %q takes %q, want %q", pattern, got, want)
		}
	}
}

// TestMovesIntoOneTargetLoseNothing runs two jobs at once whose files have the
// same names.
func TestMovesIntoOneTargetLoseNothing(t *testing.T) {
	t.Parallel()
	const files = 60
	target := t.TempDir()
	sources := make([]string, 2)
	var jobs sync.WaitGroup
	for i, content := range []string{"first", "second"} {
		source := tree{}
		for n := range files {
			source[strconv.Itoa(n)] = content
		}
		sources[i] = source.write(t)
		jobs.Go(func() {
			if _, err := run(t, 0, 1, file.PropAction, file.ActionMove, file.PropSource, sources[i], file.PropTarget, target); err != nil {
				t.Errorf("the job of %s = %v, want nil", content, err)
			}
		})
	}
	jobs.Wait()
	moved := read(t, target)
	first, second := read(t, sources[0]), read(t, sources[1])
	for n := range files {
		name := strconv.Itoa(n)
		_, isFirstThere := first[name]
		_, isSecondThere := second[name]
		if isFirstThere == isSecondThere || moved[name] != "first" && !isFirstThere || moved[name] != "second" && !isSecondThere {
			t.Errorf("file %s: target has %q, the first source still has it: %t, the second: %t, want that one was moved and one stays", name, moved[name], isFirstThere, isSecondThere)
		}
	}
	if len(moved) != files {
		t.Errorf("the target has %d files, want %d", len(moved), files)
	}
}

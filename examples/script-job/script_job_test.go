//go:build unix

// Package script_job_test runs the jobs of the example.
package script_job_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob"
)

// run runs all items of a job of a file, and returns what they wrote, sorted, and
// their failures.
func run(t *testing.T, file, job string) (lines, failures []string) {
	t.Helper()
	config, problems := elasticjob.LoadFile(file)
	if len(problems) > 0 {
		t.Fatalf("LoadFile(%s) = %v, want no problems", file, problems)
	}
	var log bytes.Buffer
	items, err := elasticjob.RunLocal(t.Context(), config, elasticjob.LocalRun{Job: job}, elasticjob.WithLogger(slog.New(slog.NewJSONHandler(&log, nil))))
	if err != nil {
		t.Fatalf("RunLocal(%s) = %v, want nil", job, err)
	}
	for _, item := range items {
		if item.Error != nil {
			failures = append(failures, item.Error.Message)
		}
	}
	for text := range strings.Lines(log.String()) {
		var record struct{ Msg, Stream, Line string }
		if err := json.Unmarshal([]byte(text), &record); err != nil {
			t.Fatalf("reading the log: %v", err)
		}
		if record.Msg == "plugin output" && record.Stream == "stdout" {
			lines = append(lines, record.Line)
		}
	}
	slices.Sort(lines)
	return lines, failures
}

func TestEveryJobOfTheExample(t *testing.T) {
	t.Parallel()
	for job, want := range map[string][]string{
		"words":   {"item 0 of 2 has 9 words", "item 1 of 2 has 7 words"},
		"letters": {"item 0 has 24 consonants", "item 1 has 21 consonants"},
		"lines":   {"item 0 has 2 lines", "item 1 has 3 lines"},
	} {
		t.Run(job, func(t *testing.T) {
			t.Parallel()
			lines, failures := run(t, "elasticjob.yaml", job)
			if diff := cmp.Diff(want, lines); diff != "" || len(failures) > 0 {
				t.Errorf("failures %q, lines (-want +got):\n%s", failures, diff)
			}
		})
	}
}

// TestWhatToChange does the first thing that the README proposes.
func TestWhatToChange(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("elasticjob.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir), os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "changed.yaml")
	if err := os.WriteFile(file, bytes.Replace(text, []byte("--at-least 5"), []byte("--at-least 50"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	_, failures := run(t, file, "words")
	want := "exit status 1; its last lines:\nfewer than 50 words"
	if !cmp.Equal(failures, []string{want, want}) {
		t.Errorf("failures = %q, want %q of both items", failures, want)
	}
}

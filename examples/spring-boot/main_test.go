//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// story is the log of a node: who waits for a record is told of it.
type story struct {
	mu    sync.Mutex
	seen  map[string]int
	news  chan struct{}
	wrong []string
}

// Write takes one record.
func (s *story) Write(line []byte) (int, error) {
	var record struct {
		Msg, Level, Job, Outcome, Line, Err string
		Item                                int
	}
	if err := json.Unmarshal(line, &record); err != nil {
		return 0, fmt.Errorf("reading the log: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if record.Msg == "item finished" && record.Outcome != "success" {
		s.wrong = append(s.wrong, string(line))
	}
	if record.Msg == "plugin output" {
		// The context behind the words of a script differs from run to run.
		said, _, _ := strings.Cut(record.Line, ": {")
		s.seen[fmt.Sprintf("%s %d: %s", record.Job, record.Item, said)]++
		select {
		case s.news <- struct{}{}:
		default:
		}
	}
	return len(line), nil
}

// await waits for lines of jobs.
func (s *story) await(t *testing.T, want []string) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		s.mu.Lock()
		missing := slices.DeleteFunc(slices.Clone(want), func(line string) bool { return s.seen[line] > 0 })
		said := fmt.Sprint(s.seen)
		s.mu.Unlock()
		if len(missing) == 0 {
			return
		}
		select {
		case <-s.news:
		case <-deadline:
			t.Fatalf("the jobs have not said %q, but %s", missing, said)
		}
	}
}

// TestTheFileRuns runs the folder's file, on a Redis of the test. Its jobs fire
// every five and ten seconds; nobody waits for the latter, which is run by itself.
func TestTheFileRuns(t *testing.T) {
	t.Parallel()
	config := load(t, "elasticjob.yaml")
	config.OverrideDataDir(filepath.Join(t.TempDir(), "data"))
	scripts, err := elasticjob.RunLocal(t.Context(), config, elasticjob.LocalRun{Job: "scriptJob"}, functions()...)
	if err != nil || len(scripts) != 3 {
		t.Fatalf("RunLocal() = %+v, %v, want three items", scripts, err)
	}
	for _, item := range scripts {
		if item.Error != nil {
			t.Errorf("item %d of scriptJob fails: %v", item.Item, item.Error)
		}
	}
	config.RegCenter.Servers = []string{redistest.Start(t).Addr()}
	config.RegCenter.SessionTimeout = 3 * time.Second
	log := &story{seen: make(map[string]int), news: make(chan struct{}, 1)}
	node, err := elasticjob.New(t.Context(), config, append(functions(), elasticjob.WithLogger(slog.New(slog.NewJSONHandler(log, nil))))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Stop() = %v, want nil", err)
		}
	})
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	controller(node).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/execute", nil))
	if !strings.HasSuffix(answer.Body.String(), ": items [0 1 2 3 4 5 6 7 8]\n") || answer.Code != http.StatusOK {
		t.Errorf("GET /execute = %d %s, want all nine items", answer.Code, answer.Body)
	}
	var want []string
	for item, city := range []string{"Beijing", "Shanghai", "Guangzhou"} {
		want = append(want,
			fmt.Sprintf("simpleJob %d: working city=%s", item, city),
			fmt.Sprintf(`dataflowJob %d: processing data="a letter from %s"`, item, city))
	}
	for item := range 9 {
		want = append(want, fmt.Sprintf("manualScriptJob %d: Manual SCRIPT Job", item))
	}
	log.await(t, want)
	log.mu.Lock()
	defer log.mu.Unlock()
	if len(log.wrong) > 0 {
		t.Errorf("items have failed:\n%s", strings.Join(log.wrong, ""))
	}
}

func load(t *testing.T, file string) elasticjob.Config {
	t.Helper()
	config, problems := elasticjob.LoadFile(file)
	if len(problems) > 0 {
		t.Fatalf("LoadFile(%s) = %v, want no problems", file, problems)
	}
	return config
}

// TestTheReadmeShowsTheDifference undoes the changes of the README one by one. The
// file differs from the manual's in these only, and each is asked for by a problem
// that says what to write; a wrong port is nothing that a file could tell.
func TestTheReadmeShowsTheDifference(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("elasticjob.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```diff\n")
	diff, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatal("README.md has no diff")
	}
	changes := regexp.MustCompile(`(?m)^-(.*)\n(?:\+(.*)\n)?`).FindAllStringSubmatch(diff, -1)
	if len(changes) != 4 {
		t.Fatalf("README.md has %d changes, want four", len(changes))
	}
	for i, hint := range []string{"", "java", "java", "beans"} {
		was, is := changes[i][1]+"\n", changes[i][2]+"\n"
		if is == "\n" {
			is = "    manualScriptJob:\n      elasticJobType: SCRIPT\n"
			was = is + was
		}
		if n := bytes.Count(file, []byte(is)); n != 1 {
			t.Errorf("elasticjob.yaml has %q %d times, want once", is, n)
		}
		path := filepath.Join(t.TempDir(), "manual.yaml")
		if err := os.WriteFile(path, bytes.Replace(file, []byte(is), []byte(was), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		_, problems := elasticjob.LoadFile(path)
		if hint == "" {
			if len(problems) > 0 {
				t.Errorf("with %q there are problems: %v, want none", was, problems)
			}
			continue
		}
		if len(problems) != 1 || !strings.Contains(strings.ToLower(problems[0].Message), hint) {
			t.Errorf("with %q the problems are %v, want one about %s", was, problems, hint)
		}
	}
}

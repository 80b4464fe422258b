package spitest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/spitest/subject"
)

// journal is the log of a node, as a script reads it: of each job, the outcome of
// its first run and what its plugin wrote before.
type journal struct {
	wanted int // jobs
	whole  chan struct{}

	mu   sync.Mutex
	jobs map[string]*story
}

// story is what the log says of the first run of a job.
type story struct {
	Output  []string
	Outcome map[string]any // nil until it is known
}

func (j *journal) Write(line []byte) (int, error) {
	var record map[string]any
	if err := json.Unmarshal(bytes.TrimSpace(line), &record); err != nil {
		return 0, err
	}
	name, _ := record["job"].(string)
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.jobs[name]
	if s == nil {
		s = &story{}
		j.jobs[name] = s
	}
	if s.Outcome != nil {
		return len(line), nil
	}
	switch record["msg"] {
	case "plugin output":
		s.Output = append(s.Output, fmt.Sprint(record["level"], " ", record["plugin"], " ", record["item"], " ", record["stream"], " ", record["line"]))
	case "item finished":
		s.Outcome = map[string]any{}
		for _, name := range []string{"outcome", "code", "err", "result", "source", "attempt"} {
			s.Outcome[name] = record[name]
		}
		if j.wanted--; j.wanted == 0 {
			close(j.whole)
		}
	}
	return len(line), nil
}

// nodeJobs are jobs, by name, as lines of their configuration.
func nodeJobs() map[string][]string {
	props := func(pairs ...string) []string {
		lines := []string{"props:"}
		for i := 0; i < len(pairs); i += 2 {
			lines = append(lines, fmt.Sprintf("  %q: %q", pairs[i], pairs[i+1]))
		}
		return lines
	}
	jobs := map[string][]string{
		"says":           props("do", subject.DoSay, "text", "fertig ✓"),
		"says-much":      props("do", subject.DoSay, "text", "長い", "times", "1000"),
		"says-bytes":     props("do", subject.DoSayBytes),
		"fails":          props("do", subject.DoFail, "message", "no luck"),
		"fails-coded":    props("do", subject.DoFail, "code", "1001", "message", "mine", "retryable", "true", "prefix", "working"),
		"fails-timeout":  props("do", subject.DoFail, "code", "6", "message", "not this call"),
		"fails-protocol": props("do", subject.DoFail, "code", "11", "message", "not the plugin"),
		"fails-bytes":    props("do", subject.DoFailBytes),
		"fails-late":     props("do", subject.DoFailLate),
		"fails-ended":    props("do", subject.DoFailEnded),
		"fails-broken":   props("do", subject.DoFailBroken),
		"panics":         props("do", subject.DoPanic, "text", "on purpose"),
		"ends":           props("do", subject.DoGoexit),
		"logs":           props("do", subject.DoLog, "text", "one\r\ntwo\n", "level", "5"),
		"logs-much":      props("do", subject.DoSay, "text", strings.Repeat("x", 1000), "times", "70"),
		"saves":          props("do", subject.DoCheckpoint, "request", "page 7"),
		"reports":        props("do", subject.DoProgress, "request", "half", "total", "2"),
		"asks":           props("do", subject.DoCall, "op", "no.such", "request", "{}"),
		"waits":          append(props("do", subject.DoWait), "timeout: 500ms"),
		"computes":       append(props("do", subject.DoCompute), "timeout: 500ms"),
	}
	flows := map[string][]string{
		"flows":       props("do", subject.DoSay, "text", "step", "data", `1|"二"`, "cursor", "next"),
		"flows-empty": props("do", subject.DoSay, "text", "step"),
		"flow-fails":  props("do", subject.DoFail, "code", "13", "message", "away", "data", "1"),
	}
	for name, lines := range jobs {
		jobs[name] = append(lines, "elasticJobType: "+subject.Type)
	}
	for name, lines := range flows {
		jobs[name] = append(lines, "elasticJobType: "+subject.TypeDataflow)
	}
	return jobs
}

// runUntil runs the node of a file until its log, which it writes as lines of
// JSON, is whole. It fails the test with the message if that does not come.
func runUntil(t *testing.T, file string, log io.Writer, whole <-chan struct{}, message string, options ...elasticjob.Option) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	config, problems := elasticjob.LoadFile(path)
	if len(problems) > 0 {
		t.Fatalf("LoadFile: %v", problems)
	}
	node, err := elasticjob.New(t.Context(), config, append(options, elasticjob.WithLogger(slog.New(slog.NewJSONHandler(log, nil))))...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	if err := node.Start(t.Context()); err != nil {
		t.Fatalf("Start: %v", err)
	}
	select {
	case <-whole:
	case <-t.Context().Done():
		t.Error(message)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cancel() // nothing that still runs is of interest
	if err := node.Stop(ctx); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// runNode runs a node with the jobs until each has run once.
func runNode(t *testing.T, plugins string, options ...elasticjob.Option) map[string]*story {
	t.Helper()
	var file strings.Builder
	file.WriteString("elasticjob:\n  dataDir: ./data\n" + plugins + "  jobs:\n")
	jobs := nodeJobs()
	for name, lines := range jobs {
		fmt.Fprintf(&file, "    %s:\n      every: 1s\n      shardingTotalCount: 1\n      jobErrorHandlerType: IGNORE\n", name)
		for _, line := range lines {
			fmt.Fprintf(&file, "      %s\n", line)
		}
	}
	log := &journal{wanted: len(jobs), whole: make(chan struct{}), jobs: map[string]*story{}}
	runUntil(t, file.String(), log, log.whole, "not all jobs have run", options...)
	log.mu.Lock()
	defer log.mu.Unlock()
	for name, s := range log.jobs {
		switch {
		case jobs[name] == nil:
			delete(log.jobs, name)
		case s.Outcome["code"] == float64(spi.CodeTimeout):
			// How far it came in its time is up to the machine.
			s.Output = nil
		}
	}
	return log.jobs
}

// A node whose plugins are a program or a module logs the same of its jobs as one
// that has them built in.
func TestNodesCannotTell(t *testing.T) {
	t.Parallel()
	builtIn := runNode(t, "", elasticjob.WithPlugins(subject.Plugins()...))
	if builtIn["fails-timeout"] == nil || builtIn["fails-timeout"].Outcome["code"] != float64(spi.CodeFailed) {
		t.Errorf("a job whose own code says TIMEOUT has %v, want code %s", builtIn["fails-timeout"], spi.CodeFailed)
	}
	for host, built := range map[string]func() (string, error){"process": build.program, "wasm": build.module} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			path, err := built()
			if err != nil {
				t.Fatal(err)
			}
			got := runNode(t, fmt.Sprintf("  plugins:\n    - %s: %s\n", host, path))
			if diff := cmp.Diff(builtIn, got); diff != "" {
				t.Errorf("jobs (-built in +%s):\n%s", host, diff)
			}
		})
	}
}

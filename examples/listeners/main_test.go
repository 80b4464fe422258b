package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// runs collects the lines of each run, by its time, and stops the nodes when
// enough runs are complete.
type runs struct {
	stop context.CancelFunc

	mu    sync.Mutex
	lines map[string][]string // without node and time, in order
	nodes map[string][]string // the node of each line
	whole []string            // runs that both nodes have shared, and that are over
}

func (r *runs) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	parts := strings.SplitN(strings.TrimSuffix(string(line), "\n"), "  ", 3)
	fired, node, what := parts[0], parts[1], parts[2]
	r.lines[fired] = append(r.lines[fired], what)
	r.nodes[fired] = append(r.nodes[fired], node)
	if strings.HasPrefix(what, "after all") && slices.Contains(r.nodes[fired], "node-1") && slices.Contains(r.nodes[fired], "node-2") {
		if r.whole = append(r.whole, fired); len(r.whole) == 2 {
			r.stop()
		}
	}
	return len(line), nil
}

func TestBothListenersAreCalledInOrder(t *testing.T) {
	t.Setenv("REDIS", redistest.Start(t).Addr())
	config, problems := elasticjob.LoadFile("elasticjob.yaml")
	if len(problems) > 0 {
		t.Fatalf("LoadFile() = %v, want no problems", problems)
	}
	config.OverrideDataDir(filepath.Join(t.TempDir(), "data"))
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	seen := &runs{stop: stop, lines: make(map[string][]string), nodes: make(map[string][]string)}
	if err := run(ctx, config, &printer{to: seen}); err != nil {
		t.Fatal(err)
	}
	if len(seen.whole) < 2 {
		t.Fatalf("both nodes have shared %d runs in a minute, want two; all lines: %q", len(seen.whole), seen.lines)
	}
	for _, fired := range seen.whole {
		seen.check(t, fired)
	}
}

// check holds that the calls of a run enclose each other.
func (r *runs) check(t *testing.T, fired string) {
	t.Helper()
	lines := r.lines[fired]
	count := func(prefix string) (n int) {
		for _, line := range lines {
			if strings.HasPrefix(line, prefix) {
				n++
			}
		}
		return n
	}
	for prefix, want := range map[string]int{"before all": 1, "after all": 1, "  before my": 2, "    item ": 4} {
		if got := count(prefix); got != want {
			t.Errorf("run %s has %d lines %q, want %d:\n%s", fired, got, prefix, want, strings.Join(lines, "\n"))
		}
	}
	if want := "before all items 0 1 2 3"; lines[0] != want {
		t.Errorf("run %s begins with %q, want %q", fired, lines[0], want)
	}
	last := slices.Index(lines, "after all items 0=success 1=success 2=success 3=failure")
	if last < 0 {
		t.Fatalf("run %s has no end with all outcomes:\n%s", fired, strings.Join(lines, "\n"))
	}
	for i, line := range lines {
		if strings.HasPrefix(line, "    item ") && i > last {
			t.Errorf("run %s has %q after its end", fired, line)
		}
	}
	for _, node := range []string{"node-1", "node-2"} {
		first := -1
		for i, line := range lines {
			if r.nodes[fired][i] != node || strings.HasSuffix(line, "all items 0 1 2 3") || strings.HasPrefix(line, "after all") {
				continue
			}
			if strings.HasPrefix(line, "  before my") {
				first = i
			}
			if strings.HasPrefix(line, "    item ") && first < 0 {
				t.Errorf("run %s: an item of %s is before its listener:\n%s", fired, node, strings.Join(lines, "\n"))
			}
		}
	}
}

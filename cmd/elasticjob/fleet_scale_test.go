//go:build unix

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// TestManyJobsStartSoonAfterAJoin has five nodes, all in this process, share
// 1,000 jobs of 10 items, and measures how long after the last one's coming it
// runs items of every job and all others run as well. It is not parallel: it
// takes the whole machine for a while.
func TestManyJobsStartSoonAfterAJoin(t *testing.T) {
	const jobs, items, nodes = 1000, 10, 5
	file := nodeFile{}
	for i := range jobs {
		file.jobs = append(file.jobs, jobFile{name: fmt.Sprintf("job-%d", i), every: 4 * time.Second, items: items})
	}
	// Here a lease may be hard to renew in time: all nodes share one machine.
	center := regCenter{servers: redistest.Start(t).Addr(), sessionTimeout: 3 * sessionTimeout}
	var fleet []*starts
	join := func() {
		t.Helper()
		node := &starts{last: make(map[string]time.Time)}
		startHere(t, file, center, slog.New(node))
		fleet = append(fleet, node)
	}
	// running counts the items that ran after a time, on all nodes.
	running := func(since time.Time) int {
		all := make(map[string]bool, jobs*items)
		for _, node := range fleet {
			for _, item := range node.since(since) {
				all[item] = true
			}
		}
		return len(all)
	}
	await := func(what string, isMet func() bool) {
		t.Helper()
		for deadline := time.Now().Add(fleetPatience); !isMet(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("after %v there is still not: %s", fleetPatience, what)
			}
		}
	}
	for range nodes - 1 {
		join()
	}
	await("all items running on the first nodes", func() bool { return running(time.Time{}) == jobs*items })
	begin := time.Now()
	join()
	up := time.Now()
	last := fleet[nodes-1]
	await("the last node's share running", func() bool { return len(last.since(begin)) == jobs*items/nodes })
	shared := time.Now()
	await("all items running", func() bool { return running(up) == jobs*items })
	t.Logf("%d jobs of %d items: the last of %d nodes was up after %v, its share ran %v and all items ran %v after that", jobs, items, nodes,
		up.Sub(begin).Round(time.Millisecond), shared.Sub(up).Round(time.Millisecond), time.Since(up).Round(time.Millisecond))
}

// startHere starts a node in this process, and stops it with the test.
func startHere(t *testing.T, file nodeFile, center regCenter, logger *slog.Logger) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "elasticjob.yaml")
	if err := os.WriteFile(path, []byte(file.yaml(center)), 0o600); err != nil {
		t.Fatal(err)
	}
	config, problems := elasticjob.LoadFile(path)
	if len(problems) > 0 {
		t.Fatal(elasticjob.Problems(problems))
	}
	config.DataDir = t.TempDir()
	node, err := elasticjob.New(t.Context(), config, elasticjob.WithLogger(logger))
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
}

// starts is a log handler that remembers when each item was last started.
type starts struct {
	mu   sync.Mutex
	last map[string]time.Time
}

var _ slog.Handler = (*starts)(nil)

// Enabled is for the records that tell of items.
func (s *starts) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle takes note of a start.
func (s *starts) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "item started" {
		return nil
	}
	var key string
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "job" || a.Key == "item" {
			key += "/" + a.Value.String()
		}
		return true
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[key] = r.Time
	return nil
}

// WithAttrs ignores the attributes of the node.
func (s *starts) WithAttrs([]slog.Attr) slog.Handler { return s }

// WithGroup ignores groups.
func (s *starts) WithGroup(string) slog.Handler { return s }

// since are the items that were started after a time.
func (s *starts) since(at time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []string
	for item, last := range s.last {
		if last.After(at) {
			items = append(items, item)
		}
	}
	return items
}

package elasticjob_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// onceWitness is a job type and a listener that is called once for a run, on all
// nodes of a test.
type onceWitness struct {
	mu    sync.Mutex
	story map[string][]string // what happened in a run, in order
}

func (w *onceWitness) note(run, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.story == nil {
		w.story = make(map[string][]string)
	}
	w.story[run] = append(w.story[run], fmt.Sprintf(format, args...))
}

var _ spi.JobListener = (*onceWitness)(nil)

func (w *onceWitness) BeforeJob(_ context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	w.note(req.Run.RunID, "before %d items", len(req.Run.Items))
	return spi.JobListenerResponse{}, nil
}

func (w *onceWitness) AfterJob(_ context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	succeeded := 0
	for _, item := range req.Run.Items {
		if item.Outcome == spi.OutcomeSuccess {
			succeeded++
		}
	}
	w.note(req.Run.RunID, "after %d items", succeeded)
	return spi.JobListenerResponse{}, nil
}

func (w *onceWitness) plugins() elasticjob.Option {
	return elasticjob.WithPlugins(
		spi.Plugin{
			Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "WITNESSED", Description: "is seen by the test"},
			JobType: func(context.Context, props.Values) (spi.JobType, error) {
				return spi.JobTypeFunc(func(_ context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
					w.note(req.Context.RunID, "item")
					time.Sleep(time.Duration(req.Context.ShardingItem) * 10 * time.Millisecond)
					w.note(req.Context.RunID, "end")
					return spi.ExecuteResponse{}, nil
				}), nil
			},
		},
		spi.Plugin{
			Descriptor: spi.Descriptor{
				Kind: spi.KindJobListener, Type: "ONCE", Description: "is seen by the test", Capabilities: []string{spi.CapabilityDistributeOnce},
			},
			JobListener: func(context.Context, props.Values) (spi.JobListener, error) { return w, nil },
		},
	)
}

// enclosed counts the runs that three nodes have seen through: one call before all
// six items and one after them.
func (w *onceWitness) enclosed(t *testing.T) int {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for run, story := range w.story {
		calls := 0
		for i, line := range story {
			switch line {
			case "item", "end":
				continue
			case "before 6 items":
				if i != 0 {
					t.Errorf("run %s = %q, want BeforeJob first", run, story)
				}
			case "after 6 items":
				if i != 13 {
					t.Errorf("run %s = %q, want AfterJob last", run, story)
				}
			}
			calls++
		}
		if calls == 2 && len(story) == 14 {
			n++
		}
		if calls > 2 {
			t.Errorf("run %s = %q, want two calls", run, story)
		}
	}
	return n
}

// TestListenersAreCalledOnceByThreeNodes has nodes on a real Redis.
func TestListenersAreCalledOnceByThreeNodes(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	file := fmt.Sprintf(`
elasticjob:
  regCenter: {serverLists: %s, namespace: orders, sessionTimeoutMilliseconds: 3000}
  jobs:
    reconcile: {elasticJobType: WITNESSED, every: 250ms, shardingTotalCount: 6, jobListenerTypes: ONCE, startedTimeoutMilliseconds: 20000}
`, s.Addr())
	w := &onceWitness{}
	for range 3 {
		start(t, load(t, file), w.plugins())
	}
	shared := w.enclosed(t)
	waitFor(t, "runs that all nodes share", func() bool { return w.enclosed(t) >= shared+8 })
}

// TestListenersCalledOnceAreChecked has a job without marks: lint and the start
// name the place.
func TestListenersCalledOnceAreChecked(t *testing.T) {
	t.Parallel()
	config := load(t, `
elasticjob:
  jobs:
    reconcile:
      elasticJobType: WITNESSED
      every: 1s
      shardingTotalCount: 2
      monitorExecution: false
      jobListenerTypes: ONCE
`)
	want := `9:25 conflict job "reconcile": job listener ONCE is called once for the whole run, which needs monitorExecution: without marks nobody knows when all items have begun or ended`
	var got []string
	for _, p := range elasticjob.Lint(t.Context(), config, true, (&onceWitness{}).plugins()) {
		got = append(got, fmt.Sprintf("%d:%d %s %s", p.Line, p.Column, p.Rule, p.Message))
	}
	if diff := cmp.Diff([]string{want}, got); diff != "" {
		t.Errorf("Lint() (-want +got):\n%s", diff)
	}
	if _, err := elasticjob.New(t.Context(), config, (&onceWitness{}).plugins()); err == nil {
		t.Error("New() = nil, want an error")
	}
}

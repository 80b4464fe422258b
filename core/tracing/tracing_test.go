package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/service"
	"github.com/elasticjob-go/elasticjob/core/service/servicetest"
	"github.com/elasticjob-go/elasticjob/core/tracing"
	"github.com/elasticjob-go/elasticjob/spi"
)

// store is a sink that keeps what it is given.
type store struct {
	// before answers a call before anything is kept; nil keeps everything.
	before func(ctx context.Context, call int) error

	mu      sync.Mutex
	calls   int
	batches [][]spi.TraceEvent
	closed  atomic.Int32
}

func (s *store) Trace(ctx context.Context, req spi.TraceRequest) (spi.TraceResponse, error) {
	s.mu.Lock()
	s.calls++
	call := s.calls
	s.mu.Unlock()
	if s.before != nil {
		if err := s.before(ctx, call); err != nil {
			return spi.TraceResponse{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, slices.Clone(req.Events))
	return spi.TraceResponse{}, nil
}

func (s *store) events() []spi.TraceEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.batches...)
}

func (s *store) called() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func (s *store) sink() *tracing.Sink {
	return &tracing.Sink{Type: "STORE", Sink: s, Close: func(context.Context) { s.closed.Add(1) }}
}

// log is what the tracer writes, safe for concurrent use.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// node publishes events to a tracer.
type node struct {
	tracer *tracing.Tracer
	events execution.Events
	log    log
}

func start(t *testing.T, s *store) *node {
	t.Helper()
	n := &node{}
	n.tracer = tracing.New(spi.Instance{ID: "a", IP: "10.0.0.1"}, s.sink(), time.Now, slog.New(slog.NewTextHandler(&n.log, nil)))
	n.tracer.Follow(&n.events)
	if err := n.tracer.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *node) stop(t *testing.T) {
	t.Helper()
	if err := n.tracer.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
}

func (n *node) begin(task string, item int, items ...int) {
	n.events.Started.Publish(execution.ItemStarted{
		Job: "orders", Item: item, Run: "run", Task: task, Items: registry.NewItems(items...), Source: spi.SourceNormal, Attempt: 1,
	})
}

func (n *node) end(task string, item int, outcome execution.Outcome, items ...int) {
	e := execution.ItemFinished{
		Job: "orders", Item: item, Run: "run", Task: task, Items: registry.NewItems(items...), Source: spi.SourceNormal, Attempt: 1,
		Outcome: outcome, Took: time.Second,
	}
	if outcome != execution.OutcomeSuccess {
		e.Error = spi.NewError(spi.CodeFailed, "no stock")
	}
	n.events.Finished.Publish(e)
}

func TestTheContract(t *testing.T) {
	t.Parallel()
	servicetest.Stress(t, func(*testing.T) service.Service {
		return tracing.New(spi.Instance{ID: "a"}, (&store{}).sink(), time.Now, slog.New(slog.DiscardHandler))
	})
}

func TestARunIsToldInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		n := start(t, s)
		began := time.Now().UTC()
		n.begin("task", 0, 0, 2)
		n.begin("task", 2, 0, 2)
		time.Sleep(time.Second)
		n.end("task", 2, execution.OutcomeFailure, 0, 2)
		n.end("task", 0, execution.OutcomeSuccess, 0, 2)
		n.begin("alone", 1, 1)
		n.end("alone", 1, execution.OutcomeSuccess, 1)
		n.stop(t)
		if got := s.closed.Load(); got != 1 {
			t.Errorf("the sink was closed %d times, want once", got)
		}
		events := s.events()
		type line struct {
			Kind    spi.TraceKind
			Task    string
			State   spi.TraceState
			Item    int
			Running bool
			Success bool
			Items   []int
		}
		var got []line
		ids := map[string]int{}
		for _, e := range events {
			ids[e.ID]++
			if e.JobName != "orders" || e.RunID != "run" || e.Instance.ID != "a" || e.ExecutionSource != spi.SourceNormal || e.Time.Location() != time.UTC {
				t.Errorf("event %+v is not that of the run", e)
			}
			got = append(got, line{e.Kind, e.TaskID, e.State, e.Item, e.Kind == spi.TraceExecution && e.End.IsZero(), e.Success, e.Items})
		}
		want := []line{
			{spi.TraceStatus, "task", spi.StateStaging, 0, false, false, []int{0, 2}},
			{spi.TraceStatus, "task", spi.StateRunning, 0, false, false, []int{0, 2}},
			{spi.TraceExecution, "task", "", 0, true, false, nil},
			{spi.TraceExecution, "task", "", 2, true, false, nil},
			{spi.TraceExecution, "task", "", 2, false, false, nil},
			{spi.TraceExecution, "task", "", 0, false, true, nil},
			{spi.TraceStatus, "task", spi.StateError, 0, false, false, []int{0, 2}},
			{spi.TraceStatus, "alone", spi.StateStaging, 0, false, false, []int{1}},
			{spi.TraceStatus, "alone", spi.StateRunning, 0, false, false, []int{1}},
			{spi.TraceExecution, "alone", "", 1, true, false, nil},
			{spi.TraceExecution, "alone", "", 1, false, true, nil},
			{spi.TraceStatus, "alone", spi.StateFinished, 0, false, false, []int{1}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("events (-want +got):\n%s", diff)
		}
		if len(ids) != 9 || events[2].ID != events[5].ID || events[3].ID != events[4].ID {
			t.Errorf("there are %d ids, want 9: one for the start and the end of each of 3 executions, and 6", len(ids))
		}
		if failed := events[4]; !failed.Start.Equal(began) || !failed.End.Equal(began.Add(time.Second)) || failed.Error.Message != "no stock" {
			t.Errorf("failed execution = %+v, want it from %v for a second, with its error", failed, began)
		}
	})
}

func TestBatchesAreBoundedInSizeAndTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		n := start(t, s)
		n.begin("first", 0, 0)
		time.Sleep(time.Second)
		if got := len(s.events()); got != 3 {
			t.Errorf("after a second there are %d events, want 3", got)
		}
		for range 1000 {
			n.begin("task", 0, 0)
		}
		n.stop(t)
		if got := len(s.events()); got != 3003 {
			t.Errorf("there are %d events, want 3003", got)
		}
		for _, batch := range s.batches {
			if len(batch) > 500 {
				t.Errorf("a batch has %d events, want at most 500", len(batch))
			}
		}
	})
}

func TestASinkThatIsAwayForAWhileLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{before: func(_ context.Context, call int) error {
			if call <= 2 {
				return errors.New("away")
			}
			return nil
		}}
		n := start(t, s)
		n.begin("task", 0, 0)
		time.Sleep(time.Minute)
		n.stop(t)
		if got := len(s.events()); got != 3 || s.called() != 3 {
			t.Errorf("%d events after %d calls, want 3 after 3", got, s.called())
		}
		if got := n.log.String(); got != "" {
			t.Errorf("log = %s, want nothing", got)
		}
	})
}

func TestWhatIsLostIsTold(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		before func(ctx context.Context, call int) error
		events int
		want   []string
	}{
		{"refused", func(context.Context, int) error { return spi.NewError(spi.CodeUnavailable, "away for good") }, 1, []string{"history events not kept", "count=3", "plugin=STORE", "away for good"}},
		{"panic", func(context.Context, int) error { panic("on purpose") }, 1, []string{"history events not kept", "count=3", "panic: on purpose"}},
		{"ended goroutine", func(context.Context, int) error { runtime.Goexit(); return nil }, 1, []string{"the code ended its goroutine"}},
		{"slow", func(ctx context.Context, _ int) error { <-ctx.Done(); return context.Cause(ctx) }, 7000, []string{"history events dropped", "timeout exceeded"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := start(t, &store{before: tt.before})
				for range tt.events {
					n.begin("task", 0, 0)
				}
				time.Sleep(5 * time.Minute)
				n.stop(t)
				for _, want := range tt.want {
					if got := n.log.String(); !strings.Contains(got, want) {
						t.Errorf("log has no %q: %.500s", want, got)
					}
				}
			})
		})
	}
}

func TestASinkThatHangsIsNotCalledAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &store{before: func(_ context.Context, call int) error {
			if call == 1 {
				<-release
			}
			return nil
		}}
		n := start(t, s)
		n.begin("task", 0, 0)
		time.Sleep(time.Minute)
		n.begin("task", 1, 1)
		time.Sleep(time.Minute)
		if s.called() != 1 || !strings.Contains(n.log.String(), "an earlier call still hangs") {
			t.Errorf("%d calls of a sink that hangs, want 1; log: %s", s.called(), n.log.String())
		}
		close(release)
		time.Sleep(time.Second)
		n.begin("task", 2, 2)
		time.Sleep(time.Second)
		n.stop(t)
		if s.called() != 2 {
			t.Errorf("%d calls after the sink has returned, want 2", s.called())
		}
	})
}

func TestTheSinkIsReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := &store{}, &store{}
		n := start(t, first)
		n.begin("task", 0, 0)
		time.Sleep(time.Second)
		n.tracer.Replace(t.Context(), second.sink())
		n.begin("task", 1, 1)
		time.Sleep(time.Second)
		n.tracer.Replace(t.Context(), nil)
		n.begin("task", 2, 2)
		time.Sleep(time.Second)
		n.stop(t)
		for i, s := range []*store{first, second} {
			if got := len(s.events()); got != 3 || s.closed.Load() != 1 {
				t.Errorf("sink %d has %d events and was closed %d times, want 3 and once", i, got, s.closed.Load())
			}
		}
	})
}

func TestWhatWaitsAtTheStopIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, &store{before: func(ctx context.Context, _ int) error { <-ctx.Done(); return context.Cause(ctx) }})
		for range 3000 {
			n.begin("task", 0, 0)
		}
		begin := time.Now()
		n.stop(t)
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("Stop took %v beside a sink that never answers in time, want less than a minute", took)
		}
		if !strings.Contains(n.log.String(), "history events not kept") {
			t.Errorf("log = %.300s, want what was not kept", n.log.String())
		}
	})
}

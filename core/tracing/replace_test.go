package tracing_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestASlowSinkHoldsUpNoReload replaces a sink during a call: as long as its
// caller has time for, and then somebody else closes it.
func TestASlowSinkHoldsUpNoReload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		first := &store{before: func(ctx context.Context, _ int) error {
			calls.Add(1)
			defer calls.Add(-1)
			<-ctx.Done()
			return context.Cause(ctx)
		}}
		second := &store{}
		sink := first.sink()
		closed := 0
		sink.Close = func(context.Context) {
			closed++
			if n := calls.Load(); n != 0 {
				t.Errorf("the sink was closed during %d calls, want none", n)
			}
		}
		n := start(t, second)
		n.tracer.Replace(t.Context(), sink)
		n.begin("task", 0, 0)
		time.Sleep(time.Second)
		for range 2 { // the second one has nothing slow to wait for
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			began := time.Now()
			n.tracer.Replace(ctx, (&store{}).sink())
			if took := time.Since(began); took > time.Second {
				t.Errorf("Replace took %v, want at most the second that its context has", took)
			}
			cancel()
		}
		if closed != 0 {
			t.Errorf("the sink was closed %d times while it was called, want none", closed)
		}
		n.stop(t)
		if closed != 1 {
			t.Errorf("the sink was closed %d times after the stop, want once", closed)
		}
	})
}

// TestASinkThatIsNotClosedIsTold holds that the stop waits no longer for a Close
// than a call may take, and says so.
func TestASinkThatIsNotClosedIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &store{}
		n := start(t, s)
		sink := s.sink()
		sink.Close = func(context.Context) { <-release }
		n.tracer.Replace(t.Context(), sink)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n.tracer.Replace(ctx, nil)
		if err := n.tracer.Stop(t.Context()); err == nil {
			t.Error("Stop() = nil, want that a sink is not closed yet")
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("Replace and Stop took %v beside a sink that does not end, want less than a minute", took)
		}
		close(release)
	})
}

// TestASinkAfterTheStopIsClosed holds that none is left behind.
func TestASinkAfterTheStopIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := &store{}, &store{}
		n := start(t, first)
		n.stop(t)
		n.tracer.Replace(t.Context(), second.sink())
		if first.closed.Load() != 1 || second.closed.Load() != 1 {
			t.Errorf("the sinks were closed %d and %d times, want each once", first.closed.Load(), second.closed.Load())
		}
	})
}

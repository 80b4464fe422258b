package execution

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/service"
	"github.com/elasticjob-go/elasticjob/core/service/servicetest"
	"github.com/elasticjob-go/elasticjob/spi"
)

// handler is an error handler that is a function.
func handler(handle func(ctx context.Context) error) []*Handler {
	return []*Handler{{Type: "PROBE", Handler: spi.ErrorHandlerFunc(func(ctx context.Context, _ spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
		return spi.HandleErrorResponse{Decision: spi.DecisionContinue}, handle(ctx)
	})}}
}

// failing is a spec whose items fail.
func failing(handle func(ctx context.Context) error) *Spec {
	return &Spec{
		JobType:  code(func(context.Context, spi.ExecuteRequest) error { return errors.New("out of order") }),
		Handlers: handler(handle),
	}
}

// unanswered is a handler whose server does not answer.
func unanswered(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestASlowErrorHandlerHoldsUpItsOwnJobOnly lets jobs fail each second whose
// handler takes all of its time, beside one whose handler returns at once.
func TestASlowErrorHandlerHoldsUpItsOwnJobOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		handled := 0
		r := startRig(t)
		noisy := []*Job{r.host("noisy-1", 1, failing(unanswered)), r.host("noisy-2", 3, failing(unanswered))}
		other := r.host("other", 1, failing(func(context.Context) error { handled++; return nil }))
		for second := range 120 {
			for _, j := range noisy {
				r.fire(j)
			}
			r.fire(other)
			synctest.Wait()
			if handled != second+1 {
				t.Errorf("failures of the other job handled when it has failed %d times = %d, want all", second+1, handled)
				break
			}
			time.Sleep(time.Second)
		}
		r.stop(t)
	})
}

// tally is a log that counts records by message and job.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

var _ slog.Handler = (*tally)(nil)

func (*tally) Enabled(context.Context, slog.Level) bool { return true }
func (c *tally) WithAttrs([]slog.Attr) slog.Handler     { return c }
func (c *tally) WithGroup(string) slog.Handler          { return c }

func (c *tally) Handle(_ context.Context, record slog.Record) error {
	what, by := record.Message, 1
	record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "job":
			what += ": " + a.Value.String()
		case "count":
			by = int(a.Value.Int64())
		}
		return true
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = make(map[string]int)
	}
	c.counts[what] += by
	return nil
}

func (c *tally) read() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}

// tallyRig is a started executor and what it logs.
func tallyRig(t *testing.T) (*rig, *tally) {
	t.Helper()
	c := &tally{}
	r := newRig(t, slog.New(c))
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r, c
}

// gauge is how many calls are under way, and how many were at most.
type gauge struct{ now, most, all atomic.Int32 }

// around counts a call.
func (g *gauge) around(handle func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		g.all.Add(1)
		n := g.now.Add(1)
		defer g.now.Add(-1)
		for most := g.most.Load(); n > most && !g.most.CompareAndSwap(most, n); most = g.most.Load() {
		}
		return handle(ctx)
	}
}

// lostOf is the record of a failure of a job that is not handed on.
func lostOf(job string) string { return "failure not handed on to the error handlers: " + job }

// TestTheLineOfAJobIsBounded lets all items of a job fail at once whose handler
// is slow. What is too much is lost for that job only, and told.
func TestTheLineOfAJobIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const items = handlerQueueOfJob + 10
		var noisy, other gauge
		r, c := tallyRig(t)
		r.fire(r.host("noisy", items, failing(noisy.around(unanswered))))
		synctest.Wait()
		r.fire(r.host("other", handlerQueueOfJob, failing(other.around(func(context.Context) error { return nil }))))
		synctest.Wait()
		if got := other.all.Load(); got != handlerQueueOfJob {
			t.Errorf("failures of the other job handled = %d, want %d", got, handlerQueueOfJob)
		}
		time.Sleep(time.Hour)
		records := c.read()
		lost := records[lostOf("noisy")]
		if lost > 10 || lost < 10-handlerCallsOfJob || records[lostOf("other")] != 0 {
			t.Errorf("records = %v, want %d to 10 of the noisy job and none of the other", records, 10-handlerCallsOfJob)
		}
		if all, most := int(noisy.all.Load()), noisy.most.Load(); all != items-lost || most != handlerCallsOfJob {
			t.Errorf("failures handled in an hour = %d, at once at most %d, want %d and %d", all, most, items-lost, handlerCallsOfJob)
		}
		checkAtRest(t, r)
		r.stop(t)
	})
}

// checkAtRest checks that nothing is left of failures that were handled.
func checkAtRest(t *testing.T, r *rig) {
	t.Helper()
	synctest.Wait()
	q := r.handlers.failures
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy != 0 || q.waiting != 0 || len(q.lines) != 0 || len(q.ready) != 0 {
		t.Errorf("%d loops, %d failures, %d lines, %d of them ready at rest, want none", q.busy, q.waiting, len(q.lines), len(q.ready))
	}
}

// TestManySlowHandlersLeaveRoom has far more jobs with slow handlers than calls
// are made at once, and more failures of each than all lines have room for.
func TestManySlowHandlersLeaveRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const jobs, items = 200, 60
		var noisy, other gauge
		r, c := tallyRig(t)
		for i := range jobs {
			r.fire(r.host(fmt.Sprint("noisy-", i), items, failing(noisy.around(unanswered))))
		}
		synctest.Wait()
		r.handlers.failures.mu.Lock()
		waiting := r.handlers.failures.waiting
		r.handlers.failures.mu.Unlock()
		if waiting > handlerQueue || waiting < handlerQueue-handlerCalls {
			t.Errorf("%d failures wait, want %d, or less by those that are handled", waiting, handlerQueue)
		}
		r.fire(r.host("other", 5, failing(other.around(func(context.Context) error { return nil }))))
		// Each job has its turn twice before the last of these five.
		time.Sleep((5*jobs/handlerCalls + 2) * (asideTimeout + asideMargin))
		if got := other.all.Load(); got != 5 {
			t.Errorf("failures of the other job handled = %d, want 5", got)
		}
		if got := noisy.most.Load(); got != handlerCalls {
			t.Errorf("failures handled at once = %d at most, want %d", got, handlerCalls)
		}
		if n := c.read()[lostOf("other")]; n != 0 {
			t.Errorf("failures of the other job not handed on = %d, want none", n)
		}
		r.stop(t)
		if n := c.read()["failures not handed on to the error handlers"]; n == 0 {
			t.Error("the failures that were left at the stop were not told")
		}
	})
}

// TestAStopGivesUpWhatWaits stops beside a handler that is too slow: nothing uses
// the plugins of its job after that.
func TestAStopGivesUpWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, c := tallyRig(t)
		const items = 20
		spec := failing(unanswered)
		r.fire(r.host("orders", items, spec))
		synctest.Wait()
		began := time.Now()
		r.stop(t)
		// Within the grace, each of two loops handles two and begins a third.
		if took := time.Since(began); took > rigGrace+time.Second {
			t.Errorf("Stop() took %v, want little more than its grace", took)
		}
		records := c.read()
		if got, most := records["failures not handed on to the error handlers"], items-2; got < items-6 || got > most {
			t.Errorf("failures told to be left = %d, want %d to %d", got, items-6, most)
		}
		if err := spec.WaitUnused(t.Context()); err != nil {
			t.Errorf("WaitUnused() = %v, want nil", err)
		}
		checkAtRest(t, r)
		r.handlers.submit(failure{run: &run{job: r.Job("orders"), spec: spec}})
		if n := c.read()[lostOf("orders")]; n != 1 {
			t.Errorf("records of a failure after the stop = %d, want 1", n)
		}
	})
}

// TestAHandlerStopsAJobOfSeveralItems: in ElasticJob the exception of THROW is
// lost when a job has more than one item.
func TestAHandlerStopsAJobOfSeveralItems(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		var stops atomic.Int32
		r.handlers.stop = func(_ context.Context, job, handler string) {
			if job != "orders" || handler != "STOPS" {
				t.Errorf("stop of %s by %s, want orders by STOPS", job, handler)
			}
			stops.Add(1)
		}
		spec := failing(nil)
		spec.Handlers = []*Handler{{Type: "STOPS", Handler: spi.ErrorHandlerFunc(func(context.Context, spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
			return spi.HandleErrorResponse{Decision: spi.DecisionStop}, nil
		})}}
		r.fire(r.host("orders", 5, spec))
		synctest.Wait()
		if got := stops.Load(); got != 5 {
			t.Errorf("stops of a job of which 5 items failed = %d, want 5", got)
		}
		r.stop(t)
	})
}

func TestHandlersAreAService(t *testing.T) {
	t.Parallel()
	servicetest.Stress(t, func(*testing.T) service.Service {
		return newHandlers(slog.New(slog.DiscardHandler), func(context.Context, string, string) {})
	})
}

// TestFailuresOfManyJobsAtOnce hands on failures from many goroutines while the
// handlers stop. Each is handled, or told to be lost.
func TestFailuresOfManyJobsAtOnce(t *testing.T) {
	t.Parallel()
	const jobs, each = 16, 500
	var handled atomic.Int32
	c := &tally{}
	r := newRig(t, slog.New(c))
	h := r.handlers
	spec := failing(func(context.Context) error { handled.Add(1); return nil })
	var wg sync.WaitGroup
	for i := range jobs {
		one := &run{job: &Job{name: "orders", executor: r.Executor}, spec: spec}
		wg.Go(func() {
			for item := range each {
				h.submit(failure{run: one, item: item})
				if i == 0 && item == each/2 {
					if err := h.Start(t.Context()); err != nil {
						t.Errorf("Start() = %v, want nil", err)
					}
				}
			}
		})
	}
	wg.Wait()
	if err := h.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
	lost := c.read()[lostOf("orders")]
	if got := int(handled.Load()) + lost; got != jobs*each {
		t.Errorf("%d failures handled and %d told to be lost, want %d in all", handled.Load(), lost, jobs*each)
	}
	if err := spec.WaitUnused(t.Context()); err != nil {
		t.Errorf("WaitUnused() = %v, want nil", err)
	}
}

package execution

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// listenerFuncs is a listener of up to two functions.
type listenerFuncs struct {
	before, after func(ctx context.Context, req spi.JobListenerRequest) error
}

var _ spi.JobListener = listenerFuncs{}

func (l listenerFuncs) BeforeJob(ctx context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	if l.before == nil {
		return spi.JobListenerResponse{}, nil
	}
	return spi.JobListenerResponse{}, l.before(ctx, req)
}

func (l listenerFuncs) AfterJob(ctx context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	if l.after == nil {
		return spi.JobListenerResponse{}, nil
	}
	return spi.JobListenerResponse{}, l.after(ctx, req)
}

// diary is what happened, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.lines...)
}

// listener writes its calls down, each of which takes its time.
func (d *diary) listener(name string, takes time.Duration) *Listener {
	entry := func(when string) func(context.Context, spi.JobListenerRequest) error {
		return func(ctx context.Context, req spi.JobListenerRequest) error {
			items := make([]string, len(req.Run.Items))
			for i, one := range req.Run.Items {
				items[i] = fmt.Sprintf("%d:%s", one.Item, one.Outcome)
			}
			d.note("%s %s %s", name, when, strings.Join(items, " "))
			select {
			case <-time.After(takes):
			case <-ctx.Done():
			}
			d.note("%s %s over", name, when)
			return ctx.Err()
		}
	}
	return &Listener{Type: name, Listener: listenerFuncs{before: entry("before"), after: entry("after")}}
}

// work is code that notes its item.
func (d *diary) work(takes time.Duration) spi.JobType {
	return code(func(_ context.Context, req spi.ExecuteRequest) error {
		time.Sleep(takes)
		d.note("item")
		if req.Context.ShardingItem == 1 {
			return errors.New("no")
		}
		return nil
	})
}

func TestListenersEncloseTheItemsOfARun(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{false, true} {
		t.Run(fmt.Sprintf("monitored=%v", monitored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var d diary
				r := startRig(t)
				spec := &Spec{JobType: d.work(time.Second), Listeners: []*Listener{d.listener("A", time.Second), d.listener("B", 2*time.Second)}}
				spec.Config.MonitorExecution = monitored
				spec.Pool = 2
				r.fire(r.host("orders", 3, spec))
				time.Sleep(time.Minute)
				want := []string{
					"A before 0: 1: 2:", "A before over", "B before 0: 1: 2:", "B before over", "item", "item", "item",
					"A after 0:success 1:failure 2:success", "A after over", "B after 0:success 1:failure 2:success", "B after over",
				}
				if diff := cmp.Diff(want, d.read()); diff != "" {
					t.Errorf("what happened (-want +got):\n%s", diff)
				}
				r.stop(t)
				if monitored && len(r.reports()) == 0 {
					t.Error("no item was completed in the registry")
				}
			})
		})
	}
}

func TestListenersSeeTheRun(t *testing.T) {
	t.Parallel()
	for _, items := range []int{1, 2} {
		t.Run(fmt.Sprintf("items=%d", items), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var task string
				var got []spi.JobRun
				keep := func(_ context.Context, req spi.JobListenerRequest) error {
					if req.Once || req.Props["batch.size"] != "5" {
						t.Errorf("request = once %v, props %v, want false and batch.size 5", req.Once, req.Props)
					}
					got = append(got, req.Run)
					// What a listener does to its copy is its own affair.
					req.Run.Items[0].Item = 99
					return nil
				}
				r := startRig(t)
				spec := &Spec{
					Values: props.Values{"batch.size": "5"}, Parameters: map[int]string{0: "Beijing"},
					Listeners: []*Listener{{Type: "A", Listener: listenerFuncs{before: keep, after: keep}}},
					JobType: code(func(_ context.Context, req spi.ExecuteRequest) error {
						task = req.Context.TaskID
						if req.Context.ShardingItem == 1 {
							panic("oh")
						}
						return nil
					}),
				}
				j := r.host("orders", items, spec)
				j.spec.Config.JobParameter = "all"
				at := r.fire(j)
				synctest.Wait()
				r.stop(t)
				if len(got) != 2 {
					t.Fatalf("%d calls, want 2", len(got))
				}
				want := spi.JobRun{
					JobName: "orders", TaskID: task, RunID: registry.FormatRunID(at), FireTime: at, ExecutionSource: spi.SourceNormal,
					ShardingTotalCount: items, JobParameter: "all", Items: []spi.RunItem{{Item: 99, Parameter: "Beijing"}, {Item: 1}}[:items],
				}
				if diff := cmp.Diff(want, got[0]); diff != "" {
					t.Errorf("before (-want +got):\n%s", diff)
				}
				want.Items[0].Outcome = spi.OutcomeSuccess
				if items == 2 {
					want.Items[1] = spi.RunItem{Item: 1, Outcome: spi.OutcomeFailure, Error: got[1].Items[1].Error}
					if e := got[1].Items[1].Error; e == nil || e.Message != "panic: oh" {
						t.Errorf("error of item 1 = %v, want panic: oh", e)
					}
				}
				if diff := cmp.Diff(want, got[1]); diff != "" {
					t.Errorf("after (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAListenerThatFailsKeepsNobodyFromAnything(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(context.Context, spi.JobListenerRequest) error{
		"error":              func(context.Context, spi.JobListenerRequest) error { return errors.New("no") },
		"panic":              func(context.Context, spi.JobListenerRequest) error { panic("no") },
		"ends its goroutine": func(context.Context, spi.JobListenerRequest) error { runtime.Goexit(); return nil },
		"hangs":              func(ctx context.Context, _ spi.JobListenerRequest) error { <-ctx.Done(); return context.Cause(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var d diary
				r := startRig(t)
				j := r.host("orders", 1, &Spec{
					JobType:   d.work(0),
					Listeners: []*Listener{{Type: "BAD", Listener: listenerFuncs{before: fail, after: fail}}, d.listener("B", 0)},
				})
				r.fire(j)
				time.Sleep(time.Minute)
				want := []string{"B before 0:", "B before over", "item", "B after 0:success", "B after over"}
				if diff := cmp.Diff(want, d.read()); diff != "" {
					t.Errorf("what happened (-want +got):\n%s", diff)
				}
				r.stop(t)
			})
		})
	}
}

// TestAHangingListenerHoldsUpItsOwnRunOnly has one that ignores its context
// beside jobs of their own listeners.
func TestAHangingListenerHoldsUpItsOwnRunOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var hanging atomic.Int32
		stuck := &Listener{Type: "STUCK", Listener: listenerFuncs{before: func(context.Context, spi.JobListenerRequest) error {
			hanging.Add(1)
			<-release
			return nil
		}}}
		r := startRig(t)
		var d diary
		jobs := make([]*Job, 20)
		for i := range jobs {
			jobs[i] = r.host(fmt.Sprint("bad-", i), 1, &Spec{JobType: code(func(context.Context, spi.ExecuteRequest) error { d.note("late"); return nil }), Listeners: []*Listener{stuck}})
		}
		sound := r.host("sound", 1, &Spec{JobType: d.work(0), Listeners: []*Listener{d.listener("B", time.Second)}})
		for _, j := range jobs {
			r.fire(j)
		}
		r.fire(sound)
		time.Sleep(3 * time.Second)
		if diff := cmp.Diff([]string{"B before 0:", "B before over", "item", "B after 0:success", "B after over"}, d.read()); diff != "" {
			t.Errorf("the job beside them (-want +got):\n%s", diff)
		}
		time.Sleep(8 * time.Second)
		if got := len(d.read()); got != 5+len(jobs) {
			t.Errorf("%d items ran after the time of their listener, want %d", got-5, len(jobs))
		}
		for range 10 {
			for _, j := range jobs {
				r.fire(j)
			}
			time.Sleep(time.Second)
		}
		if got := int(hanging.Load()); got != len(jobs) {
			t.Errorf("the listener was called %d times, want %d: all of these hang", got, len(jobs))
		}
		close(release)
		synctest.Wait()
		if n := stuck.calls.hanging.Load(); n != 0 {
			t.Errorf("%d calls count as hanging when all have returned, want 0", n)
		}
		r.stop(t)
	})
}

// TestASlowListenerDelaysNeitherCompletionNorTheNextRun measures AfterJob.
func TestASlowListenerDelaysNeitherCompletionNorTheNextRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d diary
		r := startRig(t)
		slow := &Listener{Type: "SLOW", Listener: listenerFuncs{after: func(context.Context, spi.JobListenerRequest) error {
			time.Sleep(9 * time.Second)
			d.note("after")
			return nil
		}}}
		spec := &Spec{JobType: d.work(0), Listeners: []*Listener{slow}}
		spec.Config.MonitorExecution = true
		j := r.host("orders", 1, spec)
		for range 3 {
			r.fire(j)
			time.Sleep(time.Second)
		}
		if diff := cmp.Diff([]string{"item", "item", "item"}, d.read()); diff != "" {
			t.Errorf("what happened (-want +got):\n%s", diff)
		}
		if n := len(r.reports()); n != 3 {
			t.Errorf("%d runs completed, want 3", n)
		}
		began := time.Now()
		r.stop(t)
		if got := len(d.read()); got != 6 {
			t.Errorf("%d listeners were done when the node had stopped, want 3", got-3)
		}
		if took := time.Since(began); took > rigGrace {
			t.Errorf("Stop() took %v, want less than its grace", took)
		}
	})
}

// TestItemsThatWaitForTheirListenersAreGivenUp stops the job or the node before
// BeforeJob has returned.
func TestItemsThatWaitForTheirListenersAreGivenUp(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(t *testing.T, r *rig){
		"stop":   func(t *testing.T, r *rig) { t.Helper(); r.stop(t) },
		"remove": func(_ *testing.T, r *rig) { r.Remove("orders") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var d diary
				r := startRig(t)
				missed := 0
				r.events.Misfired.Subscribe(func(e ItemMisfired) { missed += e.Count })
				spec := &Spec{JobType: d.work(0), Listeners: []*Listener{d.listener("A", 5*time.Second)}}
				spec.Config.MonitorExecution = true
				j := r.host("orders", 2, spec)
				r.fire(j)
				time.Sleep(time.Second)
				if got := j.busyItems(); got != 2 {
					t.Errorf("%d items are busy while their listeners are called, want 2", got)
				}
				stop(t, r)
				time.Sleep(time.Minute)
				want := []string{"A before 0: 1:", "A before over", "A after 0:cancelled 1:cancelled", "A after over"}
				if diff := cmp.Diff(want, d.read()); diff != "" {
					t.Errorf("what happened (-want +got):\n%s", diff)
				}
				if done := r.reports(); missed != 2 || len(done) != 1 || done[0].Items.Len() != 2 {
					t.Errorf("%d fires missed and %+v completed, want both items", missed, done)
				}
				if err := spec.WaitUnused(t.Context()); err != nil {
					t.Errorf("WaitUnused() = %v, want nil", err)
				}
				r.stop(t)
			})
		})
	}
}

// TestAStopDoesNotWaitForAnItemThatNeverEnds has code that ignores its
// cancellation: its listener is not told of an end that there was not.
func TestAStopDoesNotWaitForAnItemThatNeverEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d diary
		r := startRig(t)
		release := make(chan struct{})
		j := r.host("orders", 1, &Spec{
			JobType:   code(func(context.Context, spi.ExecuteRequest) error { <-release; return nil }),
			Listeners: []*Listener{d.listener("A", 0)},
		})
		r.fire(j)
		synctest.Wait()
		began := time.Now()
		r.stop(t)
		if took := time.Since(began); took > rigGrace+3*cancelMargin {
			t.Errorf("Stop() took %v, want little more than its grace", took)
		}
		if diff := cmp.Diff([]string{"A before 0:", "A before over"}, d.read()); diff != "" {
			t.Errorf("what happened (-want +got):\n%s", diff)
		}
		close(release)
	})
}

// TestADrainWaitsForItemsThatWaitForTheirListeners lets a node leave.
func TestADrainWaitsForItemsThatWaitForTheirListeners(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d diary
		r := startRig(t)
		r.fire(r.host("orders", 1, &Spec{JobType: d.work(time.Second), Listeners: []*Listener{d.listener("A", 3*time.Second)}}))
		time.Sleep(time.Second)
		r.HandOver()
		if err := r.WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ends := r.ends(); len(ends) != 1 || ends[0].Outcome != OutcomeSuccess {
			t.Errorf("ends = %+v after WaitIdle(), want one success", ends)
		}
		r.stop(t)
	})
}

// TestASpecIsUsedUntilItsListenersAreDone replaces the spec of a job: plugins are
// closed when WaitUnused returns.
func TestASpecIsUsedUntilItsListenersAreDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d diary
		r := startRig(t)
		spec := &Spec{JobType: d.work(time.Second), Listeners: []*Listener{d.listener("A", 3*time.Second)}}
		j := r.host("orders", 1, spec)
		r.fire(j)
		time.Sleep(time.Millisecond)
		j.Replace(&Spec{Config: spec.Config, Schedule: spec.Schedule, JobType: spec.JobType, Pool: 1})
		began := time.Now()
		if err := spec.WaitUnused(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began).Round(time.Second); took != 7*time.Second {
			t.Errorf("WaitUnused() took %v, want the 7s of the listeners and the item", took)
		}
		r.stop(t)
	})
}

// TestAStopAwaitsALostTurn stops a node whose question for its turn goes unanswered
// for a while. The registry may have given it the turn, so nobody else will call.
func TestAStopAwaitsALostTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		r := startRig(t)
		asked := 0
		r.meet = func(q registry.MeetRequest) (registry.Gathering, error) {
			if q.Act == registry.ActDone {
				d.note("done")
				return registry.Gathering{Run: q.Run, Turn: registry.TurnGo}, nil
			}
			if asked++; asked == 1 {
				time.Sleep(callTimeout)
				return registry.Gathering{}, errAway
			}
			return registry.Gathering{Run: q.Run, Turn: registry.TurnCall}, nil
		}
		once := &Listener{Type: "ONCE", Listener: listenerFuncs{after: func(context.Context, spi.JobListenerRequest) error {
			d.note("after")
			return nil
		}}}
		j := r.host("job", 1, &Spec{
			JobType: code(func(context.Context, spi.ExecuteRequest) error { return nil }), OnceListeners: []*Listener{once},
			Config: job.Config{MonitorExecution: true},
		})
		r.fire(j)
		time.Sleep(firstLook + time.Second)
		r.stop(t)
		if diff := cmp.Diff([]string{"after", "done"}, d.read()); diff != "" {
			t.Errorf("calls of a node that stops (-want +got):\n%s", diff)
		}
	})
}

package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// witness sees the items of a fleet, and the calls of a listener that is called
// once for a run.
type witness struct {
	mu       sync.Mutex
	runs     map[string]*witnessed
	failures []string // that a handler was told of
	// code is what an item does, and calling what the listener does; nil for
	// nothing.
	code    func(ctx context.Context, node int, req spi.ExecuteRequest) error
	calling func(ctx context.Context, node int, when string, run spi.JobRun) error
}

// witnessed is one run: when its items began and ended, and its calls.
type witnessed struct {
	started, ended map[int]time.Time
	calls          map[string][]onceCall
}

// onceCall is a call of the listener, its items as "0:success 1:".
type onceCall struct {
	node         int
	began, ended time.Time
	items        string
	run          spi.JobRun
}

const (
	onceBefore = "before"
	onceAfter  = "after"
)

func (w *witness) of(run string) *witnessed {
	if w.runs == nil {
		w.runs = make(map[string]*witnessed)
	}
	if w.runs[run] == nil {
		w.runs[run] = &witnessed{started: make(map[int]time.Time), ended: make(map[int]time.Time), calls: make(map[string][]onceCall)}
	}
	return w.runs[run]
}

// plugins are the plugins of a node.
func (w *witness) plugins(node int) []spi.Plugin {
	return []spi.Plugin{
		probe(func(ctx context.Context, req spi.ExecuteRequest) error {
			isNormal := req.Context.ExecutionSource == spi.SourceNormal
			w.mu.Lock()
			r := w.of(req.Context.RunID)
			if isNormal {
				r.started[req.Context.ShardingItem] = time.Now()
			}
			w.mu.Unlock()
			var err error
			if w.code != nil {
				err = w.code(ctx, node, req)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if isNormal {
				r.ended[req.Context.ShardingItem] = time.Now()
			}
			return err
		}),
		w.listener("ONCE", node, spi.CapabilityDistributeOnce),
		{
			Descriptor: spi.Descriptor{Kind: spi.KindErrorHandler, Type: "NOTE", Description: "notes failures"},
			ErrorHandler: func(context.Context, props.Values) (spi.ErrorHandler, error) {
				return spi.ErrorHandlerFunc(func(_ context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
					w.mu.Lock()
					defer w.mu.Unlock()
					w.failures = append(w.failures, fmt.Sprintf("%s %s: %s", req.Context.RunID, req.Error.Code, req.Error.Message))
					return spi.HandleErrorResponse{}, nil
				}), nil
			},
		},
	}
}

// listener is a listener that the witness sees.
func (w *witness) listener(name string, node int, capabilities ...string) spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{Kind: spi.KindJobListener, Type: name, Description: "notes its calls", Capabilities: capabilities},
		JobListener: func(context.Context, props.Values) (spi.JobListener, error) {
			return &onceListener{w: w, name: name, node: node}, nil
		},
	}
}

// onceListener notes its calls under when, or its name and when if it is not ONCE.
type onceListener struct {
	w    *witness
	name string
	node int
}

var _ spi.JobListener = (*onceListener)(nil)

func (l *onceListener) BeforeJob(ctx context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	return spi.JobListenerResponse{}, l.call(ctx, onceBefore, req)
}

func (l *onceListener) AfterJob(ctx context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	return spi.JobListenerResponse{}, l.call(ctx, onceAfter, req)
}

func (l *onceListener) call(ctx context.Context, when string, req spi.JobListenerRequest) error {
	c := onceCall{node: l.node, began: time.Now(), run: req.Run}
	items := make([]string, len(req.Run.Items))
	for i, one := range req.Run.Items {
		items[i] = fmt.Sprintf("%d:%s", one.Item, one.Outcome)
	}
	c.items = strings.Join(items, " ")
	var err error
	if l.w.calling != nil {
		err = l.w.calling(ctx, l.node, when, req.Run)
	}
	c.ended = time.Now()
	key := when
	if l.name != "ONCE" {
		key = fmt.Sprintf("%s %s once=%v", l.name, when, req.Once)
	}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	r := l.w.of(req.Run.RunID)
	r.calls[key] = append(r.calls[key], c)
	return err
}

// onceFleet is a fleet of so many nodes of a job with a listener that is called
// once.
func onceFleet(t *testing.T, w *witness, c job.Config, nodes int) *fleet {
	t.Helper()
	f := newFleet(t, setup{jobs: []job.Config{c}})
	for range nodes {
		w.join(f)
	}
	return f
}

// join starts another node, whose plugins know which it is.
func (w *witness) join(f *fleet) *observed {
	f.t.Helper()
	f.setup.plugins = w.plugins(len(f.nodes))
	return f.join()
}

func onceJob(every time.Duration, items int) job.Config {
	c := fleetJob(every, items, true)
	c.ListenerTypes, c.ErrorHandlerTypes = []string{"ONCE"}, []string{"NOTE"}
	return c
}

// check fails unless every run has at most one call each, before all starts and
// after all ends, and between the two times exactly one each.
func (w *witness) check(t *testing.T, from, to time.Time) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := 0
	for _, id := range slices.Sorted(maps.Keys(w.runs)) {
		r := w.runs[id]
		at, err := time.Parse("20060102T150405.000Z", id)
		if err != nil {
			t.Fatal(err)
		}
		mustHave := !at.Before(from) && !at.After(to)
		if mustHave {
			seen++
		}
		for _, when := range []string{onceBefore, onceAfter} {
			if n := len(r.calls[when]); n > 1 || mustHave && n == 0 && len(r.started) > 0 {
				t.Errorf("run %s has %d calls %s it, want one: %+v", id, n, when, r.calls[when])
			}
		}
		for _, c := range r.calls[onceBefore] {
			for item, started := range r.started {
				if started.Before(c.ended) {
					t.Errorf("run %s: item %d started %v before BeforeJob had returned", id, item, c.ended.Sub(started))
				}
			}
		}
		for _, c := range r.calls[onceAfter] {
			for item := range r.started {
				if ended, ok := r.ended[item]; !ok || ended.After(c.began) {
					t.Errorf("run %s: AfterJob was called before item %d had ended", id, item)
				}
			}
		}
	}
	if want := int(to.Sub(from)/time.Second) + 1; !to.IsZero() && seen == 0 && want > 0 {
		t.Errorf("no run was seen from %v to %v", from, to)
	}
}

// noFailures fails if a handler was told of anything.
func (w *witness) noFailures(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.failures) > 0 {
		t.Errorf("the error handler was told of %q, want nothing", w.failures)
	}
}

// TestListenersAreCalledOnceForARun has fleets of one to five nodes. Apache
// ElasticJob calls such listeners several times, or before others have begun or
// ended: #487, #631, #2142, #2032.
func TestListenersAreCalledOnceForARun(t *testing.T) {
	t.Parallel()
	for nodes := 1; nodes <= 5; nodes++ {
		t.Run(fmt.Sprintf("%d nodes", nodes), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &witness{code: func(ctx context.Context, _ int, req spi.ExecuteRequest) error {
					err := runFor(time.Duration(req.Context.ShardingItem)*100*time.Millisecond)(ctx, req)
					if req.Context.ShardingItem == 2 {
						return errors.New("no")
					}
					return err
				}}
				c := onceJob(time.Second, 7)
				f := onceFleet(t, w, c, nodes)
				from := nextMultiple(time.Second).Add(time.Second)
				sleepUntil(from.Add(10*time.Second + 950*time.Millisecond))
				f.leaveAll()
				w.check(t, from, from.Add(9*time.Second))
				synctest.Wait()
				r := w.of("")
				for id, one := range w.runs {
					if at, err := time.Parse("20060102T150405.000Z", id); err == nil && at.Equal(from.Add(5*time.Second)) {
						r = one
					}
				}
				if len(r.calls[onceBefore]) != 1 || len(r.calls[onceAfter]) != 1 {
					t.Fatalf("calls = %+v, want one before and one after", r.calls)
				}
				if got, want := r.calls[onceBefore][0].items, "0: 1: 2: 3: 4: 5: 6:"; got != want {
					t.Errorf("items before = %q, want %q", got, want)
				}
				want := "0:success 1:success 2:failure 3:success 4:success 5:success 6:success"
				if got := r.calls[onceAfter][0].items; got != want {
					t.Errorf("items after = %q, want %q", got, want)
				}
				for _, failure := range w.failures {
					if !strings.HasSuffix(failure, ": no") {
						t.Errorf("the error handler was told of %q, want the failures of item 2 only", failure)
					}
				}
			})
		})
	}
}

// TestDisabledItemsAreNotAwaited disables an item, in Apache ElasticJob a certain
// time-out: #271.
func TestDisabledItemsAreNotAwaited(t *testing.T) {
	t.Parallel()
	for _, item := range []int{0, 6} { // one of several of its owner, and its only one
		t.Run(fmt.Sprintf("item %d", item), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &witness{}
				f := onceFleet(t, w, onceJob(time.Second, 7), 4)
				f.up[0].disable(t, Target{Job: "orders", Item: &item})
				time.Sleep(100 * time.Millisecond)
				from := nextMultiple(time.Second).Add(time.Second)
				sleepUntil(from.Add(5*time.Second + 900*time.Millisecond))
				f.leaveAll()
				w.check(t, from, from.Add(5*time.Second))
				w.noFailures(t)
				synctest.Wait()
				r := w.of(from.Add(3 * time.Second).Format("20060102T150405.000Z"))
				if calls := r.calls[onceAfter]; len(calls) != 1 || !strings.Contains(calls[0].items+" ", fmt.Sprintf("%d: ", item)) || len(calls[0].run.Items) != 7 {
					t.Errorf("calls after = %+v, want one of 7 items, item %d without outcome", calls, item)
				}
			})
		})
	}
}

// TestAJobThatIsDisabledLeavesNobodyWaiting disables it between the begins of two
// nodes.
func TestAJobThatIsDisabledLeavesNobodyWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &witness{}
		var slow atomic.Bool
		f := onceFleet(t, w, onceJob(10*time.Second, 4), 1)
		f.setup.before = func(args []any) error {
			if slow.Load() && isNormalBegin(args) {
				time.Sleep(2 * time.Second)
			}
			return nil
		}
		w.join(f)
		instant := nextMultiple(10 * time.Second).Add(10 * time.Second)
		sleepUntil(instant.Add(-time.Second))
		slow.Store(true)
		sleepUntil(instant.Add(time.Second))
		f.up[0].disable(t, Target{Job: "orders"})
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		r := w.of(instant.Format("20060102T150405.000Z"))
		if len(r.calls[onceBefore]) != 1 || len(r.calls[onceAfter]) != 1 || len(r.ended) != 2 {
			t.Errorf("run = %+v half a second after the job was disabled, want one call each and two items", r)
		}
		f.leaveAll()
		w.noFailures(t)
	})
}

// TestOnceListenersWithSlowItems lets items run through later instants, at which
// they are held and for which they are made up: those runs do not wait for them.
func TestOnceListenersWithSlowItems(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &witness{code: func(ctx context.Context, _ int, req spi.ExecuteRequest) error {
			if req.Context.ShardingItem == 0 {
				return runFor(3500*time.Millisecond)(ctx, req)
			}
			return runFor(100*time.Millisecond)(ctx, req)
		}}
		f := onceFleet(t, w, onceJob(time.Second, 3), 3)
		from := nextMultiple(time.Second).Add(time.Second)
		sleepUntil(from.Add(20*time.Second + 900*time.Millisecond))
		f.leaveAll()
		w.check(t, from, from.Add(15*time.Second))
		w.noFailures(t)
		held := 0
		for _, r := range w.runs {
			if calls := r.calls[onceAfter]; len(calls) == 1 && strings.HasPrefix(calls[0].items, "0: ") {
				held++
			}
		}
		if held < 8 {
			t.Errorf("%d runs ended without item 0, want most of them", held)
		}
	})
}

// TestReshardsLetNobodyWait has nodes come and go while runs are under way. In
// ElasticJob a whole round waited for the sharding (#1471, #2395, #717, #778).
func TestReshardsLetNobodyWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &witness{code: func(ctx context.Context, _ int, req spi.ExecuteRequest) error {
			return runFor(800*time.Millisecond)(ctx, req)
		}}
		f := onceFleet(t, w, onceJob(time.Second, 7), 2)
		from := nextMultiple(time.Second).Add(time.Second)
		for i := range 6 {
			time.Sleep(3*time.Second + time.Duration(i)*170*time.Millisecond)
			if i%2 == 0 {
				w.join(f)
			} else {
				f.leave(f.up[0])
			}
		}
		time.Sleep(3 * time.Second)
		to := nextMultiple(time.Second).Add(-3 * time.Second)
		sleepUntil(to.Add(2900 * time.Millisecond))
		f.leaveAll()
		w.check(t, from, to)
		w.noFailures(t)
	})
}

// TestAnItemThatNobodyBeginsIsAwaitedForATime has a node that does not begin: the
// others go on after the time-out, and a handler is told once.
func TestAnItemThatNobodyBeginsIsAwaitedForATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &witness{}
		c := onceJob(time.Minute, 6)
		c.StartedTimeoutMilliseconds = 4000
		var mute atomic.Bool
		f := onceFleet(t, w, c, 2)
		f.setup.before = func(args []any) error {
			if mute.Load() && isNormalBegin(args) {
				time.Sleep(6 * time.Second)
			}
			return nil
		}
		w.join(f)
		instant := nextMultiple(time.Minute)
		sleepUntil(instant.Add(-time.Second))
		mute.Store(true)
		sleepUntil(instant.Add(3 * time.Second))
		mute.Store(false)
		sleepUntil(instant.Add(30 * time.Second))
		f.leaveAll()
		id := instant.Format("20060102T150405.000Z")
		synctest.Wait()
		r := w.of(id)
		if len(r.calls[onceBefore]) != 0 || len(r.calls[onceAfter]) != 1 {
			t.Errorf("calls = %+v, want none before and one after", r.calls)
		}
		early := 0
		for _, at := range r.started {
			if late := at.Sub(instant); late < 4500*time.Millisecond && late >= 4*time.Second {
				early++
			}
		}
		if early != 4 || len(r.started) != 6 {
			t.Errorf("%d items of %d started when the time was over, want 4 of 6: %v", early, len(r.started), r.started)
		}
		want := []string{id + " TIMEOUT: not all items of the run had begun after 4s, so the listeners that are called once before it were not called"}
		if diff := cmp.Diff(want, w.failures); diff != "" {
			t.Errorf("failures (-want +got):\n%s", diff)
		}
	})
}

// TestAnItemThatDoesNotEndIsWatchedForATime has an item that outlasts the time-out
// of the end.
func TestAnItemThatDoesNotEndIsWatchedForATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &witness{code: func(ctx context.Context, _ int, req spi.ExecuteRequest) error {
			if req.Context.ShardingItem == 0 {
				return runFor(20*time.Second)(ctx, req)
			}
			return nil
		}}
		c := onceJob(time.Minute, 6)
		c.CompletedTimeoutMilliseconds = 5000
		f := onceFleet(t, w, c, 3)
		instant := nextMultiple(time.Minute)
		sleepUntil(instant.Add(50 * time.Second))
		f.leaveAll()
		id := instant.Format("20060102T150405.000Z")
		synctest.Wait()
		r := w.of(id)
		if len(r.calls[onceBefore]) != 1 || len(r.calls[onceAfter]) != 0 || len(r.ended) != 6 {
			t.Errorf("calls = %+v, want one before and none after", r.calls)
		}
		want := []string{id + " TIMEOUT: not all items of the run had ended after 5s, so the listeners that are called once after it were not called"}
		if diff := cmp.Diff(want, w.failures); diff != "" {
			t.Errorf("failures (-want +got):\n%s", diff)
		}
	})
}

// TestANodeThatDiesInACallLeavesNobodyWaiting kills the node that calls the
// listeners, while it does: nobody calls them again, and a handler is told.
func TestANodeThatDiesInACallLeavesNobodyWaiting(t *testing.T) {
	t.Parallel()
	for _, when := range []string{onceBefore, onceAfter} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var caller atomic.Int32
				caller.Store(-1)
				instant := nextMultiple(2 * time.Minute).Add(2 * time.Minute)
				w := &witness{}
				w.calling = func(ctx context.Context, node int, at string, run spi.JobRun) error {
					if at != when || !run.FireTime.Equal(instant) || !caller.CompareAndSwap(-1, int32(node)) {
						return nil
					}
					<-ctx.Done()
					return ctx.Err()
				}
				c := onceJob(2*time.Minute, 6)
				c.StartedTimeoutMilliseconds = 60_000
				f := onceFleet(t, w, c, 3)
				sleepUntil(instant.Add(time.Second))
				if caller.Load() < 0 {
					t.Fatal("no node calls the listener")
				}
				dead := f.nodes[caller.Load()]
				f.up = slices.DeleteFunc(f.up, func(n *observed) bool { return n == dead })
				dead.kill(t)
				sleepUntil(instant.Add(2*time.Minute + 30*time.Second))
				f.leaveAll()
				id := instant.Format("20060102T150405.000Z")
				synctest.Wait()
				r := w.of(id)
				if n := len(r.calls[when]); n != 1 {
					t.Errorf("%d calls %s the run, want the one that was cut off", n, when)
				}
				want := []string{id + " UNAVAILABLE: the instance that was to call the listeners that are called once " + when + " the run is gone; whether it has called them is not known"}
				if diff := cmp.Diff(want, w.failures); diff != "" {
					t.Errorf("failures (-want +got):\n%s", diff)
				}
				if when == onceBefore && len(r.started) != 4 {
					t.Errorf("%d items started, want the 4 of the others", len(r.started))
				}
				synctest.Wait()
				next := w.of(instant.Add(2 * time.Minute).Format("20060102T150405.000Z"))
				if len(next.calls[onceBefore]) != 1 || len(next.calls[onceAfter]) != 1 {
					t.Errorf("calls of the next run = %+v, want one each", next.calls)
				}
			})
		})
	}
}

// TestANodeThatDiesIsNotWaitedFor kills a node before its items have begun, and
// while they run: others see them through.
func TestANodeThatDiesIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]time.Duration{"before its begin": -100 * time.Millisecond, "while its items run": 300 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &witness{code: func(ctx context.Context, _ int, req spi.ExecuteRequest) error { return runFor(time.Second)(ctx, req) }}
				f := onceFleet(t, w, onceJob(time.Minute, 6), 3)
				instant := nextMultiple(time.Minute)
				sleepUntil(instant.Add(after))
				dead := f.up[2]
				f.up = f.up[:2]
				go dead.kill(t)
				sleepUntil(instant.Add(45 * time.Second))
				f.leaveAll()
				synctest.Wait()
				r := w.of(instant.Format("20060102T150405.000Z"))
				if len(r.calls[onceBefore]) != 1 || len(r.calls[onceAfter]) != 1 {
					t.Fatalf("calls = %+v, want one each", r.calls)
				}
				if got := r.calls[onceAfter][0].items; strings.Contains(got, ": ") || strings.Contains(got, "cancelled") != (after > 0) {
					t.Errorf("items after = %q, want an outcome of each, and cancelled ones only of a node that died while they ran", got)
				}
				w.noFailures(t)
			})
		})
	}
}

// TestNoWordThatIsLostLeavesAnybodyWaiting loses the answers to begins, completes
// and reports, and the doorbell: #512.
func TestNoWordThatIsLostLeavesAnybodyWaiting(t *testing.T) {
	t.Parallel()
	for _, lost := range []string{"answers", "doorbell"} {
		t.Run(lost, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &witness{code: func(ctx context.Context, _ int, req spi.ExecuteRequest) error {
					return runFor(300*time.Millisecond)(ctx, req)
				}}
				f := newFleet(t, setup{jobs: []job.Config{onceJob(10*time.Second, 6)}})
				for range 3 {
					seen := make(map[string]int)
					var mu sync.Mutex
					f.setup.after = func(args []any) {
						// The answer to every second script comes too late.
						if lost != "answers" || !strings.HasPrefix(fmt.Sprint(args[0]), "eval") || !slices.Contains(args, any("orders")) {
							return
						}
						mu.Lock()
						n := seen[fmt.Sprint(args[1])]
						seen[fmt.Sprint(args[1])]++
						mu.Unlock()
						if n%2 == 0 {
							time.Sleep(5100 * time.Millisecond)
						}
					}
					f.setup.before = func(args []any) error {
						if lost == "doorbell" && fmt.Sprint(args[0]) == "subscribe" {
							return errors.New("deaf")
						}
						return nil
					}
					w.join(f)
				}
				from := nextMultiple(10 * time.Second).Add(10 * time.Second)
				sleepUntil(from.Add(119 * time.Second))
				f.leaveAll()
				w.check(t, from, from.Add(80*time.Second))
				w.noFailures(t)
			})
		})
	}
}

// TestAStopLetsACallEnd stops the node that calls the listeners.
func TestAStopLetsACallEnd(t *testing.T) {
	t.Parallel()
	for _, when := range []string{onceBefore, onceAfter} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var caller atomic.Int32
				caller.Store(-1)
				w := &witness{}
				w.calling = func(_ context.Context, node int, at string, _ spi.JobRun) error {
					if at == when && caller.CompareAndSwap(-1, int32(node)) {
						time.Sleep(5 * time.Second)
					}
					return nil
				}
				f := onceFleet(t, w, onceJob(time.Minute, 6), 3)
				instant := nextMultiple(time.Minute)
				sleepUntil(instant.Add(time.Second))
				f.leave(f.nodes[caller.Load()])
				sleepUntil(instant.Add(40 * time.Second))
				f.leaveAll()
				w.check(t, instant, instant)
				w.noFailures(t)
			})
		})
	}
}

// TestReloadedListenersLetNobodyWait takes the listener away from one node after
// the other and gives it back, while the job fires.
func TestReloadedListenersLetNobodyWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &witness{}
		c := onceJob(time.Second, 6)
		f := onceFleet(t, w, c, 3)
		time.Sleep(5 * time.Second)
		without := c
		without.ListenerTypes, without.Overwrite = nil, true
		again := c
		again.Overwrite = true
		for _, change := range []job.Config{without, again} {
			for i, n := range f.up {
				n.mustReload(t, []job.Config{change}, w.plugins(i)...)
				time.Sleep(2300 * time.Millisecond)
			}
		}
		time.Sleep(10 * time.Second)
		from := nextMultiple(time.Second).Add(-6 * time.Second)
		sleepUntil(from.Add(6*time.Second + 900*time.Millisecond))
		f.leaveAll()
		w.check(t, from, from.Add(5*time.Second))
		w.noFailures(t)
		for id, r := range w.runs {
			for item, at := range r.started {
				due, err := time.Parse("20060102T150405.000Z", id)
				if err != nil {
					t.Fatal(err)
				}
				if late := at.Sub(due); late > 3*time.Second {
					t.Errorf("run %s: item %d started %v late, want it not to wait for nodes without the listener", id, item, late)
				}
			}
		}
	})
}

// TestListenersEncloseEachOther has listeners of both kinds, and one that is both.
// Each job has a listener of its own, which Apache ElasticJob shares: #1502.
func TestListenersEncloseEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []string
		made := 0
		listener := func(name string, capabilities ...string) spi.Plugin {
			return spi.Plugin{
				Descriptor: spi.Descriptor{Kind: spi.KindJobListener, Type: name, Description: "notes its calls", Capabilities: capabilities},
				JobListener: func(context.Context, props.Values) (spi.JobListener, error) {
					made++
					return noteListener(func(when string, req spi.JobListenerRequest) {
						mu.Lock()
						defer mu.Unlock()
						order = append(order, fmt.Sprintf("%s %s once=%v", name, when, req.Once))
					}), nil
				},
			}
		}
		c := fleetJob(time.Minute, 2, true)
		c.ListenerTypes = []string{"EACH", "BOTH", "LAST"}
		other := c
		other.Name = "other"
		other.Every = time.Hour
		f := newFleet(t, setup{jobs: []job.Config{c, other}, plugins: []spi.Plugin{
			probe(func(context.Context, spi.ExecuteRequest) error { return nil }), listener("EACH"),
			listener("BOTH", spi.CapabilityPerInstance, spi.CapabilityDistributeOnce), listener("LAST", spi.CapabilityDistributeOnce),
		}})
		f.join()
		sleepUntil(nextMultiple(time.Minute).Add(10 * time.Second))
		f.leaveAll()
		want := []string{
			"BOTH before once=true", "LAST before once=true", "EACH before once=false", "BOTH before once=false",
			"EACH after once=false", "BOTH after once=false", "BOTH after once=true", "LAST after once=true",
		}
		if diff := cmp.Diff(want, order); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		if made != 6 {
			t.Errorf("%d listeners were made for two jobs of three, want 6", made)
		}
	})
}

// noteListener is a listener that is told of its calls.
type noteListener func(when string, req spi.JobListenerRequest)

var _ spi.JobListener = noteListener(nil)

func (n noteListener) BeforeJob(_ context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	n(onceBefore, req)
	return spi.JobListenerResponse{}, nil
}

func (n noteListener) AfterJob(_ context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	n(onceAfter, req)
	return spi.JobListenerResponse{}, nil
}

// TestListenersCalledOnceNeedMarks refuses them without monitorExecution.
func TestListenersCalledOnceNeedMarks(t *testing.T) {
	t.Parallel()
	w := &witness{}
	c := onceJob(time.Second, 1)
	c.MonitorExecution = false
	_, problems := newHost(t, setup{jobs: []job.Config{c}, plugins: w.plugins(0)})
	if len(problems) != 1 || problems[0].Rule != job.RuleConflict || !strings.Contains(problems[0].Message, "monitorExecution") {
		t.Errorf("New() = %+v, want one problem of rule %s that names monitorExecution", problems, job.RuleConflict)
	}
}

// TestRandomLivesCallListenersOnce lets nodes join, leave, die and be cut off, on a
// slow network, while items run and are disabled: per run there is at most one call
// each, before all starts and after all ends, and while nobody dies or is cut off
// exactly one.
func TestRandomLivesCallListenersOnce(t *testing.T) {
	t.Parallel()
	for _, faults := range []bool{false, true} {
		for seed := range *seeds {
			t.Run(fmt.Sprintf("faults=%v, seed %d", faults, seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { onceLives(t, seed, faults) })
			})
		}
	}
}

func onceLives(t *testing.T, seed uint64, faults bool) {
	t.Helper()
	random, delays := rand.New(rand.NewPCG(seed, 21)), rand.New(rand.NewPCG(seed, 22))
	var mu sync.Mutex
	delay := func(most int) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(delays.IntN(most)) * time.Millisecond
	}
	w := &witness{
		code:    func(ctx context.Context, _ int, req spi.ExecuteRequest) error { return runFor(delay(1500))(ctx, req) },
		calling: func(context.Context, int, string, spi.JobRun) error { time.Sleep(delay(300)); return nil },
	}
	c := onceJob(time.Second, 7)
	f := newFleet(t, setup{jobs: []job.Config{c}})
	away := map[*observed]*atomic.Bool{}
	join := func() {
		isAway := f.unsteady(func() time.Duration { return delay(20) })
		away[w.join(f)] = isAway
	}
	join()
	join()
	from := nextMultiple(time.Second).Add(2 * time.Second)
	off := map[int]bool{}
	for range 15 {
		time.Sleep(time.Duration(random.IntN(4000)) * time.Millisecond)
		most := 4
		if faults {
			most = 6
		}
		switch random.IntN(most) {
		case 0:
			if len(f.up) < 5 {
				join()
			}
		case 1:
			if len(f.up) > 2 {
				f.leave(f.up[random.IntN(len(f.up))])
			}
		case 2:
			time.Sleep(delay(5000))
		case 3:
			item := random.IntN(7)
			if n := f.up[random.IntN(len(f.up))]; !away[n].Load() {
				if _, err := n.SetEnabled(t.Context(), Target{Job: c.Name, Item: &item}, off[item], "test"); err == nil {
					off[item] = !off[item]
				}
			}
		case 4:
			if len(f.up) > 2 {
				i := random.IntN(len(f.up))
				dead := f.up[i]
				f.up = append(f.up[:i:i], f.up[i+1:]...)
				away[dead].Store(false)
				dead.kill(t)
			}
		case 5:
			isAway := away[f.up[random.IntN(len(f.up))]]
			isAway.Store(true)
			go func() {
				time.Sleep(delay(25000))
				isAway.Store(false)
			}()
		}
	}
	for _, a := range away {
		a.Store(false)
	}
	to := nextMultiple(time.Second).Add(-2 * time.Second)
	if faults {
		// What is undone is settled, and then all is as it was.
		time.Sleep(2 * time.Minute)
		from, to = nextMultiple(time.Second).Add(-30*time.Second), nextMultiple(time.Second).Add(-10*time.Second)
	}
	time.Sleep(10 * time.Second)
	f.leaveAll()
	w.check(t, from, to)
	if !faults {
		w.noFailures(t)
	}
}

// TestTriggersCallListenersOnce runs a one-off job of three nodes, and some of its
// items.
func TestTriggersCallListenersOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &witness{}
		c := oneOffJob(6, true)
		c.ListenerTypes, c.ErrorHandlerTypes = []string{"ONCE"}, []string{"NOTE"}
		f := onceFleet(t, w, c, 3)
		time.Sleep(time.Second)
		for items, want := range map[string]string{"": "0:success 1:success 2:success 3:success 4:success 5:success", "1,2": "1:success 2:success"} {
			what := Trigger{Job: c.Name}
			if items != "" {
				what.Items = []int{1, 2}
			}
			result, err := f.up[0].Trigger(t.Context(), what)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			r := w.of(result.ID)
			if len(r.calls[onceBefore]) != 1 || len(r.calls[onceAfter]) != 1 || r.calls[onceAfter][0].items != want {
				t.Errorf("calls of a trigger of items %q = %+v, want one each and after it %q", items, r.calls, want)
			}
		}
		f.leaveAll()
		w.noFailures(t)
	})
}

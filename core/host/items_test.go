package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// untilCancelled is code that ends with its context only.
func untilCancelled(ctx context.Context, _ spi.ExecuteRequest) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestEachFireCancelsTheOneBefore lets a job hang for ever that cancels what runs,
// with misfire off: every instant is started.
func TestEachFireCancelsTheOneBefore(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		t.Run(fmt.Sprintf("monitored=%v", monitored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(time.Second, 4, monitored)
				c.Misfire, c.ConcurrencyPolicy, c.PoolType = false, job.ConcurrencyCancelRunning, "4"
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(untilCancelled)}})
				f.join()
				f.join()
				sleepUntil(nextMultiple(10 * time.Second).Add(10*time.Second + 500*time.Millisecond))
				synctest.Wait()
				first := nextMultiple(time.Second).Add(-11 * time.Second)
				last := nextMultiple(time.Second).Add(-time.Second)
				for _, n := range f.nodes {
					for _, e := range n.finished {
						if e.Outcome != execution.OutcomeCancelled || e.Error.Message != spi.ErrSuperseded.Error() {
							t.Errorf("finished %+v, want it cancelled by its next fire", e)
						}
					}
				}
				f.leaveAll()
				for item := range c.ShardingTotalCount {
					f.checkStartedOnce(c, item, first, last)
				}
			})
		})
	}
}

// TestAnItemThatRunsOnItsFormerNodeIsWaitedFor moves an item while it runs: its
// code ignores its cancellation, and its new owner runs the latest instant when it
// has ended, with misfire off.
func TestAnItemThatRunsOnItsFormerNodeIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 1, true)
		c.Misfire, c.ConcurrencyPolicy = false, job.ConcurrencyCancelRunning
		goOn := make(chan struct{})
		var isSlow atomic.Bool
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(context.Context, spi.ExecuteRequest) error {
			if isSlow.CompareAndSwap(true, false) {
				<-goOn
			}
			return nil
		})}})
		a := f.joinAs("node-a")
		sleepUntil(nextMultiple(time.Second).Add(500 * time.Millisecond))
		isSlow.Store(true)
		time.Sleep(time.Second)
		// The item moves as soon as there is somebody else.
		f.set(Target{Job: c.Name, Instance: "node-a"}, false)
		b := f.joinAs("node-b")
		held := nextMultiple(time.Second).Add(4 * time.Second)
		sleepUntil(held.Add(500 * time.Millisecond))
		if got := b.startedSince(t, time.Time{}); len(got) > 0 {
			t.Errorf("the new owner started %v while the item ran on its former node", got)
		}
		close(goOn)
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		if got := b.verdicts(t, c, 0)[held]; !slices.Equal(got, []string{startedNormal}) {
			t.Errorf("verdict of the new owner on the latest instant = %q, want %q", got, startedNormal)
		}
		if len(a.finished) == 0 || a.finished[len(a.finished)-1].Outcome != execution.OutcomeSuccess {
			t.Errorf("the item ended as %+v, want a success", a.finished)
		}
		f.leaveAll()
	})
}

// TestARetryAsksTheRegistryNothing counts the calls of a job whose item fails
// twice: its fire is begun and completed once, and stays marked in between.
func TestARetryAsksTheRegistryNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := probeJob(time.Minute)
		c.MaxRetries, c.RetryBackoff = 5, 10*time.Second
		var calls atomic.Int32
		n := observe(t, setup{
			jobs: []job.Config{c},
			plugins: []spi.Plugin{probe(func(_ context.Context, req spi.ExecuteRequest) error {
				if req.Context.Attempt < 3 {
					return errors.New("out of order")
				}
				return nil
			})},
			after: func(args []any) {
				if isScriptAbout(args, c.Name) {
					calls.Add(1)
				}
			},
		})
		n.start(t)
		instant := nextMultiple(time.Minute)
		sleepUntil(instant.Add(-time.Second))
		synctest.Wait()
		calls.Store(0)
		sleepUntil(instant.Add(25 * time.Second))
		items, err := n.Items(t.Context(), c.Name)
		if err != nil || items[0].Status != ItemRunning || items[0].Run != registry.FormatRunID(instant) {
			t.Errorf("Items() in a pause = %+v, %v, want item 0 running", items, err)
		}
		sleepUntil(instant.Add(50 * time.Second))
		synctest.Wait()
		if got := calls.Load(); got != 2 {
			t.Errorf("scripts about the job = %d, want 2: a begin and a complete", got)
		}
		n.stop(t)
		if got := fmt.Sprint(attemptsOf(n)); got != "[1 failure 2 failure 3 success]" {
			t.Errorf("attempts = %s, want two failures and a success", got)
		}
	})
}

// isScriptAbout reports whether a command runs a script with the keys of a job.
func isScriptAbout(args []any, name string) bool {
	return strings.HasPrefix(fmt.Sprint(args[0]), "evalsha") && slices.ContainsFunc(args, func(arg any) bool {
		text, ok := arg.(string)
		return ok && strings.HasSuffix(text, ":"+name)
	})
}

func attemptsOf(n *observed) []string {
	var lines []string
	for _, e := range n.finished {
		lines = append(lines, fmt.Sprintf("%d %s", e.Attempt, e.Outcome))
	}
	return lines
}

// TestAFireBetweenTwoAttemptsIsCaughtUp fires a job while its item waits for its
// next attempt.
func TestAFireBetweenTwoAttemptsIsCaughtUp(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		t.Run(fmt.Sprintf("monitored=%v", monitored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(10*time.Second, 1, monitored)
				c.MaxRetries, c.RetryBackoff = 1, 25*time.Second
				failed := false
				n := observe(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(context.Context, spi.ExecuteRequest) error {
					if !failed {
						failed = true
						return errors.New("out of order")
					}
					return nil
				})}})
				n.start(t)
				first := nextMultiple(10 * time.Second)
				sleepUntil(first.Add(35 * time.Second))
				n.stop(t)
				want := map[time.Time][]string{
					first: {startedNormal, "started RETRY"}, first.Add(10 * time.Second): {missedRunning},
					first.Add(20 * time.Second): {missedRunning, startedMisfire}, first.Add(30 * time.Second): {startedNormal},
				}
				if diff := cmp.Diff(want, n.verdicts(t, c, 0)); diff != "" {
					t.Errorf("verdicts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestANodeThatLeavesDoesNotWaitForPauses stops and drains nodes whose items wait
// for their next attempt: the other node has the next fire.
func TestANodeThatLeavesDoesNotWaitForPauses(t *testing.T) {
	t.Parallel()
	for _, drains := range []bool{true, false} {
		t.Run(fmt.Sprintf("drains=%v", drains), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var handled atomic.Int32
				c := fleetJob(10*time.Second, 2, true)
				c.MaxRetries, c.RetryBackoff, c.ErrorHandlerTypes = 100, job.MaxRetryPause, []string{"COUNT"}
				var heals atomic.Bool
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{
					probe(func(context.Context, spi.ExecuteRequest) error {
						if heals.Load() {
							return nil
						}
						return errors.New("out of order")
					}),
					handlerOf("COUNT", func(context.Context) error { handled.Add(1); return nil }),
				}})
				a, b := f.joinAs("node-a"), f.joinAs("node-b")
				sleepUntil(nextMultiple(10 * time.Second).Add(10*time.Second + 500*time.Millisecond))
				heals.Store(true)
				begin := time.Now()
				if drains {
					if err := a.Drain(t.Context()); err != nil {
						t.Errorf("Drain() = %v, want nil", err)
					}
				} else {
					f.leave(a)
				}
				if took := time.Since(begin); took > 2*time.Second {
					t.Errorf("it took %v, want no wait for the pause", took)
				}
				synctest.Wait()
				if got := handled.Load(); got != 1 {
					t.Errorf("failures handled = %d, want that of the node which leaves", got)
				}
				after := nextMultiple(10 * time.Second)
				sleepUntil(after.Add(20*time.Second + 500*time.Millisecond))
				if got := a.finished; len(got) != 1 {
					t.Fatalf("the node which left has finished %+v, want one attempt", got)
				}
				gained := a.finished[0].Item
				if got := b.verdicts(t, c, gained)[after]; !slices.Equal(got, []string{startedNormal}) {
					t.Errorf("verdict of the other node on the next instant of item %d = %q, want %q", gained, got, startedNormal)
				}
				f.leaveAll()
			})
		})
	}
}

// TestACrashBetweenTwoAttemptsLosesTheRun kills a node in a pause: the run is lost
// as any that ran, and recorded.
func TestACrashBetweenTwoAttemptsLosesTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := probeJob(time.Minute)
		c.MaxRetries, c.RetryBackoff = 1, job.MaxRetryPause
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(context.Context, spi.ExecuteRequest) error {
			return errors.New("out of order")
		})}})
		f.joinAs("node-a")
		var lost []execution.ItemLost
		instant := nextMultiple(time.Minute)
		sleepUntil(instant.Add(time.Second))
		a := f.up[0]
		b := f.joinAs("node-b")
		b.events.Lost.Subscribe(func(e execution.ItemLost) { lost = append(lost, e) })
		a.kill(t)
		f.up = f.up[1:]
		time.Sleep(50 * time.Second)
		synctest.Wait()
		want := []execution.ItemLost{{Job: c.Name, Item: 0, Run: registry.FormatRunID(instant), From: "node-a"}}
		if diff := cmp.Diff(want, lost); diff != "" {
			t.Errorf("lost runs differ (-want +got):\n%s", diff)
		}
		f.leaveAll()
	})
}

// TestNothingIsCaughtUpWhileDisabled disables a job, or its item, while the item
// runs that has missed a fire: the fire does not run when the item ends, but after
// somebody has enabled it again, if the registry has kept it.
func TestNothingIsCaughtUpWhileDisabled(t *testing.T) {
	t.Parallel()
	item := 0
	for _, target := range []Target{{Job: "orders"}, {Job: "orders", Item: &item}} {
		for _, monitored := range []bool{true, false} {
			t.Run(fmt.Sprintf("item=%v monitored=%v", target.Item != nil, monitored), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					c := fleetJob(10*time.Second, 1, monitored)
					f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(runFor(15 * time.Second))}})
					n := f.join()
					first := nextMultiple(10 * time.Second)
					sleepUntil(first.Add(12 * time.Second))
					f.set(target, false)
					sleepUntil(first.Add(42 * time.Second))
					if got := len(n.started); got != 1 {
						t.Errorf("starts = %d, want 1: nothing begins while it is disabled", got)
					}
					f.set(target, true)
					sleepUntil(first.Add(50*time.Second + 500*time.Millisecond))
					// What is missed while disabled is not caught up.
					late := n.verdicts(t, c, 0)
					for _, at := range []time.Time{first.Add(20 * time.Second), first.Add(30 * time.Second), first.Add(40 * time.Second)} {
						if diff := cmp.Diff([]string{missedDisabled}, late[at]); diff != "" {
							t.Errorf("verdicts on %v (-want +got):\n%s", at, diff)
						}
					}
					f.leaveAll()
				})
			})
		}
	}
}

// TestASlowItemDelaysItselfOnly regards what ElasticJob's users met: one item that
// takes longer than the interval held up all others (#2113, #506).
func TestASlowItemDelaysItselfOnly(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		t.Run(fmt.Sprintf("monitored=%v", monitored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(time.Second, 3, monitored)
				c.PoolType = "3"
				n := observe(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(ctx context.Context, req spi.ExecuteRequest) error {
					if req.Context.ShardingItem == 1 {
						return runFor(3500*time.Millisecond)(ctx, req)
					}
					return nil
				})}})
				n.start(t)
				first := nextMultiple(time.Second)
				last := first.Add(20 * time.Second)
				sleepUntil(last.Add(500 * time.Millisecond))
				n.stop(t)
				n.checkOneVerdictEach(t, c, first, last.Add(-4*time.Second))
				for _, item := range []int{0, 2} {
					for at := first; !at.After(last); at = at.Add(time.Second) {
						if got := n.verdicts(t, c, item)[at]; !slices.Equal(got, []string{startedNormal}) {
							t.Errorf("item %d at %s: %q, want it started at its instant", item, at.Format("15:04:05"), got)
						}
					}
				}
			})
		})
	}
}

// TestHostileJobsKeepOthersInTime runs a job that hangs for ever, one that floods
// its log and one that fails hundreds of times a second beside one that does its work:
// that loses no instant and starts no run late, and what happened is told.
func TestHostileJobsKeepOthersInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var lines atomic.Int64
		hostile := map[string]func(context.Context, spi.ExecuteRequest) error{
			"HANGS": func(context.Context, spi.ExecuteRequest) error { <-release; return nil },
			"FLOODS": func(ctx context.Context, req spi.ExecuteRequest) error {
				for range 100 {
					lines.Add(1)
					req.Services.Log(ctx, spi.LogRecord{Level: spi.LevelDebug, Line: strings.Repeat("x", 100)})
				}
				return nil
			},
			"FAILS": func(context.Context, spi.ExecuteRequest) error { return errors.New("out of order") },
		}
		good := fleetJob(time.Second, 2, true)
		jobs, plugins := []job.Config{good}, []spi.Plugin{probe(quick)}
		for name, code := range hostile {
			c := fleetJob(100*time.Millisecond, 10, name == "FAILS")
			c.Name, c.Type = strings.ToLower(name), name
			if name == "FAILS" {
				c.MaxRetries, c.RetryBackoff = 9, time.Millisecond
			}
			jobs, plugins = append(jobs, c), append(plugins, jobTypeOf(name, code))
		}
		n := observe(t, setup{jobs: jobs, plugins: plugins})
		n.start(t)
		first := nextMultiple(time.Second)
		last := first.Add(5 * time.Second)
		sleepUntil(last.Add(500 * time.Millisecond))
		n.mu.Lock()
		failures := 0
		for _, e := range n.finished {
			if e.Job == "fails" && e.Outcome == execution.OutcomeFailure {
				failures++
			}
		}
		for _, e := range n.started {
			if e.Job == good.Name && e.Late > 10*time.Millisecond {
				t.Errorf("started %+v, want it in time", e)
			}
		}
		n.mu.Unlock()
		if failures < 1000 || lines.Load() == 0 {
			t.Errorf("failures = %d, lines = %d, want a thousand and more of both", failures, lines.Load())
		}
		n.stop(t)
		close(release)
		for item := range good.ShardingTotalCount {
			for at := first; !at.After(last); at = at.Add(time.Second) {
				if got := n.verdicts(t, good, item)[at]; !slices.Equal(got, []string{startedNormal}) {
					t.Errorf("item %d at %s: %q, want it started at its instant", item, at.Format("15:04:05"), got)
				}
			}
		}
		// What hangs has missed all that came after its first fire.
		missed := 0
		for _, e := range n.misfired {
			if e.Job == "hangs" && e.Reason == execution.ReasonStillRunning {
				missed += e.Count
			}
		}
		if missed < 400 {
			t.Errorf("recorded fires that the hanging items have missed = %d, want all", missed)
		}
	})
}

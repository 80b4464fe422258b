package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
)

// continuing is a job whose items go on without a lease.
func continuing(every time.Duration, monitored bool) job.Config {
	c := probeJob(every)
	c.MonitorExecution, c.OnLeaseLoss = monitored, job.LeaseLossContinue
	return c
}

// TestAnItemThatGoesOnWithoutItsLeaseIsFenced takes the session away while an item
// runs that goes on, for longer than it takes to come back. Runs that overlap on
// the node fail the test, see observe.
func TestAnItemThatGoesOnWithoutItsLeaseIsFenced(t *testing.T) {
	t.Parallel()
	for _, fails := range []bool{false, true} {
		for _, monitored := range []bool{true, false} {
			t.Run(fmt.Sprintf("fails=%v, monitored=%v", fails, monitored), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					c := continuing(10*time.Minute, monitored)
					c.MaxRetries = 3
					var runs atomic.Int32
					n := observe(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(ctx context.Context, req spi.ExecuteRequest) error {
						if runs.Add(1) > 1 {
							return nil
						}
						if err := runFor(15*time.Minute)(ctx, req); err != nil || !fails {
							return err
						}
						return errors.New("broke")
					})}})
					var fenced []execution.ItemFenced
					n.events.Fenced.Subscribe(func(e execution.ItemFenced) { fenced = append(fenced, e) })
					n.start(t)
					first := nextMultiple(c.Every)
					sleepUntil(first.Add(time.Minute))
					n.loseSession(t)
					sleepUntil(first.Add(25 * time.Minute))
					synctest.Wait()
					n.stop(t)
					if e := n.finished[0]; e.Outcome != execution.OutcomeFenced || e.Error == nil || e.Error.Code != spi.CodeLeaseLost ||
						strings.Contains(e.Error.Message, "broke") != fails || e.Took != 15*time.Minute {
						t.Errorf("finished %+v with %v, want it fenced after 15 minutes", e, e.Error)
					}
					if isTold := len(fenced) == 1 && fenced[0].Run == n.finished[0].Run; isTold != monitored {
						t.Errorf("fenced %+v, want the item that went on if it is monitored: %v", fenced, monitored)
					}
					second, third := first.Add(c.Every), first.Add(2*c.Every)
					want := map[time.Time][]string{first: {startedNormal}, second: {missedRunning}, third: {startedNormal}}
					if !monitored {
						want[second] = []string{missedRunning, startedMisfire}
					}
					if diff := cmp.Diff(want, n.verdicts(t, c, 0)); diff != "" {
						t.Errorf("verdicts (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

// TestAnItemGoesOnWhileItRunsElsewhere cuts a node off whose item goes on: another
// one runs the item meanwhile.
func TestAnItemGoesOnWhileItRunsElsewhere(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{job.LeaseLossCancel, job.LeaseLossContinue} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := continuing(10*time.Minute, true)
				c.OnLeaseLoss, c.Failover = policy, true
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(runFor(5 * time.Minute))}})
				isAway := f.unsteady(func() time.Duration { return 0 })
				cut := f.join()
				f.setup.before = nil
				sleepUntil(nextMultiple(c.Every).Add(time.Minute))
				isAway.Store(true)
				other := f.join()
				time.Sleep(10 * time.Minute)
				isAway.Store(false)
				time.Sleep(time.Minute)
				synctest.Wait()
				want, took := execution.OutcomeCancelled, time.Duration(0)
				if policy == job.LeaseLossContinue {
					want, took = execution.OutcomeFenced, 5*time.Minute
				}
				if got := cut.finished[0]; got.Outcome != want || took > 0 && got.Took != took {
					t.Errorf("the node that was cut off finished %+v, want it %s", got, want)
				}
				if len(other.started) == 0 || other.started[0].Source != spi.SourceFailover || other.finished[0].Outcome != execution.OutcomeSuccess {
					t.Errorf("the other node started %+v and finished %+v, want the item failed over and done", other.started, other.finished)
				}
				f.leaveAll()
			})
		})
	}
}

// TestWhatGoesOnWithoutItsLeaseBeginsNothing lets items wait for room, stream and
// use the services of the node when the session is taken away.
func TestWhatGoesOnWithoutItsLeaseBeginsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := continuing(time.Hour, true)
		c.ShardingTotalCount, c.PoolType = 2, job.PoolSingleThread
		var report, save error
		n := observe(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(ctx context.Context, req spi.ExecuteRequest) error {
			if req.Context.ShardingItem == 1 {
				t.Error("the code of the item that waited was called, want it left alone: others may run it")
				return ctx.Err()
			}
			if err := runFor(time.Minute)(ctx, req); err != nil {
				return err
			}
			_, report = req.Services.Call(ctx, spi.OpProgressReport, []byte(`{"done":1}`))
			_, save = req.Services.Call(ctx, spi.OpCheckpointSave, []byte(`{"data":"YQ=="}`))
			return nil
		})}})
		n.start(t)
		sleepUntil(nextMultiple(c.Every).Add(10 * time.Second))
		n.loseSession(t)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if report != nil || spi.AsError(save) == nil || spi.AsError(save).Code != spi.CodeLeaseLost {
			t.Errorf("progress.report and checkpoint.save without a lease = %v, %v, want nil, LEASE_LOST", report, save)
		}
		outcomes := map[int]execution.Outcome{}
		for _, e := range n.finished {
			outcomes[e.Item] = e.Outcome
		}
		want := map[int]execution.Outcome{0: execution.OutcomeFenced, 1: execution.OutcomeCancelled}
		if diff := cmp.Diff(want, outcomes); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
		n.stop(t)
	})
}

func TestAStopEndsWhatGoesOnWithoutItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := continuing(time.Hour, true)
		var cause error
		n := observe(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(ctx context.Context, _ spi.ExecuteRequest) error {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return cause
		})}})
		n.start(t)
		sleepUntil(nextMultiple(c.Every).Add(time.Minute))
		n.loseSession(t)
		time.Sleep(10 * time.Minute)
		if took := n.stop(t); took != grace || !errors.Is(cause, spi.ErrStopping) {
			t.Errorf("the stop took %v and cancelled the item with %v, want %v and %v", took, cause, grace, spi.ErrStopping)
		}
		if e := n.finished[0]; e.Outcome != execution.OutcomeCancelled || e.Error == nil || e.Error.Code != spi.CodeLeaseLost {
			t.Errorf("finished %+v with %v, want it cancelled with LEASE_LOST", e, e.Error)
		}
	})
}

// TestCodeThatOutlivesItsLease ignores that the lease is lost, for longer than the
// margin: 1.5 seconds of a session of 15.
func TestCodeThatOutlivesItsLease(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		onZombie string
		onLoss   string
		returns  time.Duration // after the loss
		outlives bool
		exits    bool
	}{
		{"it is told of", "", "", time.Minute, true, false},
		{"it ends the process", config.ZombieExit, "", time.Minute, true, true},
		{"it returns in time", config.ZombieExit, "", time.Second, false, false},
		{"it may go on", config.ZombieExit, job.LeaseLossContinue, time.Minute, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := probeJob(time.Hour)
				c.ShardingTotalCount, c.PoolType = 2, job.PoolSingleThread
				if tt.onLoss != "" {
					c.OnLeaseLoss = tt.onLoss
				}
				var exits []time.Duration
				instant := nextMultiple(c.Every)
				n := observe(t, setup{
					jobs: []job.Config{c}, onZombie: tt.onZombie,
					exit: func() { exits = append(exits, time.Since(instant)) },
					plugins: []spi.Plugin{probe(func(_ context.Context, req spi.ExecuteRequest) error {
						if req.Context.ShardingItem == 0 {
							time.Sleep(10*time.Second + tt.returns)
						}
						return nil
					})},
				})
				var outlived []execution.ItemOutlived
				n.events.Outlived.Subscribe(func(e execution.ItemOutlived) { outlived = append(outlived, e) })
				n.start(t)
				sleepUntil(instant.Add(10 * time.Second))
				n.loseSession(t)
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				var want []execution.ItemOutlived
				if tt.outlives {
					want = []execution.ItemOutlived{{Job: c.Name, Run: n.started[0].Run, Total: 1}}
				}
				if diff := cmp.Diff(want, outlived); diff != "" {
					t.Errorf("outlived (-want +got):\n%s", diff)
				}
				var wantExits []time.Duration
				if tt.exits {
					wantExits = []time.Duration{11500 * time.Millisecond}
				}
				if diff := cmp.Diff(wantExits, exits); diff != "" {
					t.Errorf("exits after the instant (-want +got):\n%s", diff)
				}
				n.stop(t)
			})
		})
	}
}

// isRenewal reports whether a command renews a lease of fifteen seconds.
func isRenewal(args []any) bool {
	return len(args) > 3 && fmt.Sprint(args[len(args)-3:]) == "[15000 1000 1]"
}

// TestALateAnswerToARenewalCostsNoLease suspends the process while the answer to a
// renewal is on its way: the next renewal is due as if it had come at once, and is
// not put off until the lease is over.
func TestALateAnswerToARenewalCostsNoLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var suspended atomic.Int64
		var renewals atomic.Int32
		n := observe(t, setup{jobs: []job.Config{probeJob(time.Hour)}, plugins: []spi.Plugin{probe(quick)}, after: func(args []any) {
			if isRenewal(args) && renewals.Add(1) == 3 {
				suspended.Store(int64(9 * time.Second))
			}
		}})
		steady := n.elapsed
		n.elapsed = func() time.Duration { return steady() + time.Duration(suspended.Load()) }
		n.start(t)
		before := n.members[0].membership.lease()
		time.Sleep(30 * time.Second)
		if after := n.members[0].membership.lease(); renewals.Load() < 3 || after != before {
			t.Errorf("lease after %d renewals, one of which was answered late = %+v, want it kept: %+v", renewals.Load(), after, before)
		}
		n.stop(t)
	})
}

// hangRenewals lets renewals be unanswered while it is set.
type hangRenewals struct {
	redis.Hook

	isSet atomic.Bool
	sent  atomic.Int64 // when the last one that was answered was sent
}

func (h *hangRenewals) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !isRenewal(cmd.Args()) {
			return next(ctx, cmd)
		}
		if h.isSet.Load() {
			<-ctx.Done()
			cmd.SetErr(ctx.Err())
			return ctx.Err()
		}
		h.sent.Store(time.Now().UnixNano())
		return next(ctx, cmd)
	}
}

// TestALeaseEndsWhileARenewalIsUnderWay cuts off the answers: code is cancelled when
// the lease is over, and not when the last try to renew it is.
func TestALeaseEndsWhileARenewalIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cancelled := make(chan time.Time, 1)
		c := fleetJob(time.Minute, 1, true)
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(ctx context.Context, _ spi.ExecuteRequest) error {
			<-ctx.Done()
			cancelled <- time.Now()
			return ctx.Err()
		})}})
		n := f.join()
		hang := &hangRenewals{Hook: loseReply{}}
		n.connection.commands.AddHook(hang)
		sleepUntil(nextMultiple(time.Minute).Add(10 * time.Second))
		hang.isSet.Store(true)
		limit := 15*time.Second - 150*time.Millisecond - marginOf(15*time.Second)
		if got := (<-cancelled).Sub(time.Unix(0, hang.sent.Load())); got > limit {
			t.Errorf("code was cancelled %v after the last renewal was sent, want within %v", got, limit)
		}
		hang.isSet.Store(false)
		f.leaveAll()
	})
}

// TestWhatWaitedWhileTheProcessWasSuspendedDoesNotBegin suspends the process for longer
// than its lease while an item waits for its listeners, or to be tried again. The timer
// that ends the session comes later than what the item waits for.
func TestWhatWaitedWhileTheProcessWasSuspendedDoesNotBegin(t *testing.T) {
	t.Parallel()
	const pause = 200 * time.Millisecond // less than that before an item is tried again
	tests := []struct {
		name      string
		listeners []string
		want      int32
	}{
		{"for its listeners", []string{"ONCE"}, 0},
		{"for its next attempt", nil, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := probeJob(time.Hour)
				c.MaxRetries, c.ListenerTypes = 1, tt.listeners
				var begun atomic.Int32
				w := &witness{calling: func(context.Context, int, string, spi.JobRun) error { time.Sleep(2 * pause); return nil }}
				n := observe(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{
					probe(func(context.Context, spi.ExecuteRequest) error { begun.Add(1); return errors.New("broke") }),
					w.listener("ONCE", 0, spi.CapabilityDistributeOnce),
				}})
				steady, suspended := n.elapsed, nextMultiple(c.Every).Add(pause)
				n.elapsed = func() time.Duration {
					if time.Now().Before(suspended) {
						return steady()
					}
					return steady() + 20*time.Second
				}
				n.start(t)
				sleepUntil(suspended.Add(time.Minute))
				synctest.Wait()
				if got := begun.Load(); got != tt.want {
					t.Errorf("attempts begun = %d, want %d, as the lease was over before the next", got, tt.want)
				}
				n.stop(t)
			})
		})
	}
}

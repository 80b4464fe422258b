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

	"github.com/redis/go-redis/v9"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// isRegistration reports whether a command says what an instance is.
func isRegistration(args []any) bool {
	return slices.ContainsFunc(args, func(a any) bool {
		text, ok := a.([]byte)
		return ok && strings.HasPrefix(string(text), `{"id":`)
	})
}

// TestAnInstantIsQueuedOnce lets begins be so slow that several wait while
// the assignment changes.
func TestAnInstantIsQueuedOnce(t *testing.T) {
	t.Parallel()
	for _, took := range []time.Duration{time.Millisecond, 5 * time.Second} {
		t.Run(fmt.Sprint(took), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(time.Second, 1, true)
				var slow atomic.Bool
				instant := nextMultiple(time.Second).Add(3 * time.Second)
				f := newFleet(t, setup{
					jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(ctx context.Context, req spi.ExecuteRequest) error {
						if req.Context.FireTime.Before(instant.Add(3 * time.Second)) {
							return runFor(time.Millisecond)(ctx, req)
						}
						return runFor(took)(ctx, req)
					})},
					before: func(args []any) error {
						if slow.Load() && isNormalBegin(args) {
							time.Sleep(3 * time.Second)
						}
						return nil
					},
					after: func(args []any) { // the way back
						if isNormalBegin(args) {
							time.Sleep(10 * time.Millisecond)
						}
					},
				})
				a := f.join()
				sleepUntil(instant.Add(-100 * time.Millisecond))
				slow.Store(true)
				sleepUntil(instant.Add(500 * time.Millisecond))
				// Something makes another generation of the same items.
				client := f.server.Connect()
				defer client.Close()
				if _, err := a.center.Partition(c.Name).SetStateOnInstance(t.Context(), c.Name, a.instance.ID, false, "test"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(50 * time.Millisecond)
				if _, err := a.center.Partition(c.Name).SetStateOnInstance(t.Context(), c.Name, a.instance.ID, true, "test"); err != nil {
					t.Fatal(err)
				}
				sleepUntil(instant.Add(2950 * time.Millisecond))
				slow.Store(false)
				if took < time.Second {
					time.Sleep(5 * time.Second)
				} else {
					bare := 0
					for range 100 {
						time.Sleep(50 * time.Millisecond)
						a.mu.Lock()
						runs := a.running[0]
						a.mu.Unlock()
						marks, err := a.center.Partition(c.Name).Items(t.Context(), c.Name)
						if err != nil {
							t.Fatal(err)
						}
						if runs > 0 && len(marks[0].Running) == 0 {
							bare++
						}
					}
					if bare > 5 {
						t.Errorf("item 0 ran for %v while the registry had no mark of it: another node might have run it as well", time.Duration(bare)*50*time.Millisecond)
					}
				}
				f.leaveAll()
				for at, verdicts := range f.looseVerdicts(c, 0) {
					started := 0
					for _, v := range verdicts {
						if strings.HasPrefix(v, "started") {
							started++
						}
					}
					if started > 1 {
						t.Errorf("item 0 at %s: %q, want it started once", at.Format("15:04:05"), verdicts)
					}
				}
			})
		})
	}
}

// TestAMissedGenerationLosesNothing lets two assignments follow each other
// before a node has read the first.
// In ElasticJob a stale cache loses the run: #2194, #2190 and #1995.
func TestAMissedGenerationLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 7, false)
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
		leader := f.joinAs("node-b")
		var slow atomic.Bool
		f.setup.before = func(args []any) error {
			if slow.Load() && isAssignmentRead(args) {
				time.Sleep(time.Second)
			}
			return nil
		}
		f.joinAs("node-c") // the slow one
		f.setup.before = nil
		p := leader.center.Partitions()[0]
		time.Sleep(18 * time.Second)
		ghost, err := p.Register(t.Context(), registry.Instance{ID: "node-d", Jobs: []string{c.Name}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(12 * time.Second)
		from := nextMultiple(time.Second)
		sleepUntil(from.Add(300 * time.Millisecond))
		slow.Store(true)
		f.joinAs("node-a")
		time.Sleep(200 * time.Millisecond)
		if err := p.Leave(t.Context(), ghost.Lease, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		slow.Store(false)
		time.Sleep(20 * time.Second)
		last := nextMultiple(time.Second).Add(-time.Second)
		f.leaveAll()
		for _, item := range []int{1, 4} { // those that the slow node gives away
			f.checkStartedOnce(c, item, from, last)
		}
	})
}

// isDeparture reports whether a command says farewell for a job.
func isDeparture(args []any, name string) bool {
	n := len(args)
	return n > 3 && fmt.Sprint(args[n-1]) == name && len(fmt.Sprint(args[n-3])) >= 12 && isDigits(fmt.Sprint(args[n-3]))
}

// TestAnAssignmentBeforeTheFarewellLosesNothing lets a node join between
// the moment at which another one chooses its last instant and the one at which
// the registry hears of it.
func TestAnAssignmentBeforeTheFarewellLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 7, false)
		departing := make(chan struct{})
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
		f.joinAs("node-b")
		f.setup.before = func(args []any) error {
			if isDeparture(args, c.Name) {
				close(departing)
				time.Sleep(100 * time.Millisecond)
			}
			return nil
		}
		d := f.joinAs("node-d")
		f.setup.before = nil
		time.Sleep(30 * time.Second)
		from := nextMultiple(time.Second)
		sleepUntil(from.Add(300 * time.Millisecond))
		gone := make(chan struct{})
		f.up = f.up[:1]
		go func() { defer close(gone); d.stop(t) }()
		<-departing
		f.joinAs("node-a")
		<-gone
		time.Sleep(30 * time.Second)
		last := nextMultiple(time.Second).Add(-time.Second)
		f.leaveAll()
		for item := range c.ShardingTotalCount {
			f.checkStartedOnce(c, item, from, last)
		}
	})
}

// snapshot copies what the registry has of a job.
func snapshot(t *testing.T, client *redis.Client, name string) (restore func()) {
	t.Helper()
	ctx := t.Context()
	keys, err := client.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	hashes := map[string]map[string]string{}
	for _, k := range keys {
		if strings.HasSuffix(k, ":"+name) {
			hashes[k] = client.HGetAll(ctx, k).Val()
		}
	}
	return func() {
		now, err := client.Keys(ctx, "*").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range now {
			if strings.HasSuffix(k, ":"+name) {
				client.Del(ctx, k)
			}
			if strings.HasSuffix(k, ":dirty") {
				client.Del(ctx, k)
			}
		}
		for k, fields := range hashes {
			for field, value := range fields {
				client.HSet(ctx, k, field, value)
			}
		}
	}
}

// TestALostCommitIsNoticed takes a registry back to before the last
// assignment, as a restart with an AOF of every second or a promoted replica does.
func TestALostCommitIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 4, true)
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
		f.joinAs("first")
		f.joinAs("second")
		time.Sleep(10*time.Second + 500*time.Millisecond) // nothing runs
		client := f.server.Connect()
		defer client.Close()
		back := snapshot(t, client, c.Name)
		f.set(Target{Job: c.Name, Instance: "second"}, false)
		time.Sleep(50 * time.Millisecond)
		back()
		// Another primary is noticed by the scripts, which then grant nothing for a
		// while.
		meta := client.Keys(t.Context(), "*:meta").Val()
		client.HSet(t.Context(), meta[0], "notBefore", time.Now().Add(18*time.Second).UnixMilli())
		time.Sleep(60 * time.Second)
		from := time.Now()
		time.Sleep(10 * time.Second)
		counts := map[int]int{}
		for _, n := range f.up {
			counts = sum(counts, n.startedSince(t, from))
		}
		if len(counts) != 4 {
			t.Errorf("a minute after the registry lost its last writes, in ten seconds started %v, want all four items", counts)
		}
		f.leaveAll()
	})
}

// TestADrainedNodeStaysDrained ends the session of a drained node.
func TestADrainedNodeStaysDrained(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 4, true)
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
		f.join()
		drained := f.join()
		time.Sleep(10 * time.Second)
		if err := drained.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		lease := drained.members[0].membership.lease()
		if err := drained.center.Partitions()[0].Leave(t.Context(), lease, time.Time{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		from := time.Now()
		time.Sleep(10 * time.Second)
		counts := map[int]int{}
		for _, n := range f.up {
			counts = sum(counts, n.startedSince(t, from))
		}
		if len(counts) != 4 || drained.executor.Owns() {
			t.Errorf("after the drained node registered anew started %v, and it owns items: %v; want all four items elsewhere", counts, drained.executor.Owns())
		}
		f.leaveAll()
	})
}

// TestAFailedDrainIsNoDrain lets the farewell of a draining node fail once.
func TestAFailedDrainIsNoDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 4, true)
		var away atomic.Bool
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
		f.join()
		f.setup.before = func([]any) error {
			if away.Load() {
				return errors.New("away")
			}
			return nil
		}
		n := f.join()
		time.Sleep(10 * time.Second)
		away.Store(true)
		err := n.Drain(t.Context())
		away.Store(false)
		time.Sleep(60 * time.Second)
		from := time.Now()
		time.Sleep(10 * time.Second)
		counts := map[int]int{}
		for _, n := range f.up {
			counts = sum(counts, n.startedSince(t, from))
		}
		if err == nil && len(counts) != 4 {
			t.Errorf("Drain() = nil, and a minute later started %v, want all four items", counts)
		}
		f.leaveAll()
	})
}

// TestAnEmptiedRegistryRecordsEveryInstant empties the registry right
// before an instant.
func TestAnEmptiedRegistryRecordsEveryInstant(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		t.Run(fmt.Sprint(monitored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(time.Minute, 1, monitored)
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
				f.join()
				instant := nextMultiple(time.Minute).Add(time.Minute)
				sleepUntil(instant.Add(-time.Second))
				if err := f.server.Client().FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				sleepUntil(instant.Add(90 * time.Second))
				f.leaveAll()
				if got := f.looseVerdicts(c, 0)[instant]; len(got) != 1 {
					t.Errorf("item 0 at %s: %q, want it run or recorded as missed", instant.Format("15:04:05"), got)
				}
			})
		})
	}
}

// TestAnEmptiedRegistryLeavesOneVerdictForEachInstant empties the registry of two
// nodes behind a slow network again and again, so that every step of their return
// has an instant in it once.
func TestAnEmptiedRegistryLeavesOneVerdictForEachInstant(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		t.Run(fmt.Sprint(monitored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(time.Second, 3, monitored)
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}, sessionTimeout: 3 * time.Second})
				f.unsteady(func() time.Duration { return 30 * time.Millisecond })
				f.join()
				f.join()
				time.Sleep(20 * time.Second)
				from := nextMultiple(time.Second)
				for step := range 20 {
					sleepUntil(nextMultiple(time.Second).Add(time.Duration(step) * 50 * time.Millisecond))
					if err := f.server.Client().FlushAll(t.Context()).Err(); err != nil {
						t.Fatal(err)
					}
					time.Sleep(15 * time.Second)
				}
				to := nextMultiple(time.Second).Add(-2 * time.Second)
				f.leaveAll()
				f.checkOneVerdict(c, from, to)
			})
		})
	}
}

// TestABadJobIsItsOwnProblem spoils what is stored of one job.
func TestABadJobIsItsOwnProblem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		good, bad := fleetJob(time.Second, 2, true), fleetJob(time.Second, 1, true)
		good.Name, bad.Name = "good", "bad"
		var joins atomic.Int32
		f := newFleet(t, setup{jobs: []job.Config{good, bad}, plugins: []spi.Plugin{probe(quick)}})
		f.setup.before = func(args []any) error {
			if isRegistration(args) {
				joins.Add(1)
			}
			return nil
		}
		a := f.join()
		time.Sleep(10 * time.Second)
		client := f.server.Connect()
		defer client.Close()
		keys := client.Keys(t.Context(), "*:j:bad").Val()
		client.HSet(t.Context(), keys[0], "n", "20000")
		second := observe(t, f.setup)
		second.onto(f.server)
		if err := second.Start(t.Context()); err != nil {
			t.Errorf("Start() beside a spoilt job = %v, want nil", err)
			second.Close(t.Context())
		} else {
			f.nodes, f.up = append(f.nodes, second), append(f.up, second)
		}
		// The session of the first ends, as after a pause.
		before := joins.Load()
		lease := a.members[0].membership.lease()
		if err := a.center.Partitions()[0].Leave(t.Context(), lease, time.Time{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if n := joins.Load() - before; n > 20 {
			t.Errorf("the node registered %d times in twenty seconds, want it to pause ever longer", n)
		}
		from := time.Now()
		time.Sleep(10 * time.Second)
		if counts := a.startedSince(t, from); counts[0] == 0 {
			t.Errorf("beside a spoilt job started %v in ten seconds, want the good job to go on", counts)
		}
		f.leaveAll()
	})
}

// TestAHangingStrategyHoldsUpNobodyElse has jobs whose strategy does not
// return, while a node dies. In ElasticJob jobs waited for their leader for ever (#2102,
// #123, #730).
func TestAHangingStrategyHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int32
		hang := spi.Plugin{
			Descriptor: spi.Descriptor{Kind: spi.KindShardingStrategy, Type: "HANG", Description: "does not return"},
			ShardingStrategy: func(context.Context, props.Values) (spi.ShardingStrategy, error) {
				return strategyOf(func() { calls.Add(1); <-release }), nil
			},
		}
		c := fleetJob(time.Second, 4, true)
		jobs := []job.Config{c}
		for i := range 5 {
			bad := fleetJob(time.Hour, 1, true)
			bad.Name, bad.ShardingStrategyType = fmt.Sprintf("bad%d", i), "HANG"
			jobs = append(jobs, bad)
		}
		f := newFleet(t, setup{jobs: jobs, plugins: []spi.Plugin{probe(quick), hang}})
		leader := f.join()
		dead := f.join()
		time.Sleep(5 * time.Minute)
		if n := calls.Load(); n > 50 {
			t.Errorf("in five minutes %d calls of the hanging strategy were left behind, want them bounded", n)
		}
		died := time.Now()
		dead.kill(t)
		f.up = []*observed{leader}
		time.Sleep(20 * time.Second)
		from := time.Now()
		time.Sleep(10 * time.Second)
		if counts := leader.startedSince(t, from); len(counts) != 4 {
			t.Errorf("%v after a node died started %v, want all four items of the other job", time.Since(died), counts)
		}
		close(release)
		f.leaveAll()
	})
}

// TestASlowConstructorHoldsUpNoOtherJob stores a definition whose plugins
// take long to make.
func TestASlowConstructorHoldsUpNoOtherJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := spi.Plugin{
			Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "SLOW", Description: "takes long to make"},
			JobType: func(context.Context, props.Values) (spi.JobType, error) {
				time.Sleep(20 * time.Second)
				return spi.JobTypeFunc(func(context.Context, spi.ExecuteRequest) (spi.ExecuteResponse, error) {
					return spi.ExecuteResponse{}, nil
				}), nil
			},
		}
		c := fleetJob(time.Second, 1, false)
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick), slow}})
		n := f.join()
		time.Sleep(10 * time.Second)
		other := job.Defaults("other")
		other.Type, other.Every, other.ShardingTotalCount, other.TimeZone = "SLOW", time.Hour, 1, "UTC"
		d, err := definitionOf(other)
		if err != nil {
			t.Fatal(err)
		}
		from := nextMultiple(time.Second)
		sleepUntil(from)
		if _, err := n.center.Partition("other").PutJobs(t.Context(), []registry.JobDefinition{d}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		if counts := n.startedSince(t, from); counts[0] < 28 {
			t.Errorf("started %v in thirty seconds, want one a second", counts)
		}
		f.leaveAll()
	})
}

// TestDisabledInstantsAreRecordedOnce makes new assignments while a job is
// disabled.
func TestDisabledInstantsAreRecordedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 4, true)
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
		f.join()
		time.Sleep(5 * time.Second)
		f.set(Target{Job: c.Name}, false)
		from := nextMultiple(time.Second)
		for range 3 {
			time.Sleep(10 * time.Second)
			f.join()
		}
		time.Sleep(10 * time.Second)
		last := nextMultiple(time.Second).Add(-time.Second)
		f.set(Target{Job: c.Name}, true)
		time.Sleep(5 * time.Second)
		f.leaveAll()
		f.checkOneVerdict(c, from, last)
	})
}

// TestTheServersClockIsFollowedAfterAStep steps this machine's clock.
func TestTheServersClockIsFollowedAfterAStep(t *testing.T) {
	t.Parallel()
	c := newServerClock(nil, newSteadyClock())
	server := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range clockSamples {
		at := server.Add(time.Duration(i) * 5 * time.Second)
		c.observe(at, at.Add(-500*time.Microsecond), at.Add(500*time.Microsecond))
	}
	at := server.Add(time.Hour)
	local := at.Add(10 * time.Second) // NTP set it forward
	c.observe(at, local.Add(-time.Millisecond), local.Add(time.Millisecond))
	if got := c.difference(); got > -9*time.Second {
		t.Errorf("difference after the local clock was set forward by 10s = %v, want -10s", got)
	}
}

// TestAStepOfTheMachinesClockMakesNothingDue sets this machine's clock while the
// server is not asked.
func TestAStepOfTheMachinesClockMakesNothingDue(t *testing.T) {
	t.Parallel()
	wall, elapsed := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Minute
	c := newServerClock(func() time.Time { return wall }, func() time.Duration { return elapsed })
	server := wall.Add(3 * time.Second)
	c.observe(server, c.local(), c.local())
	for _, step := range []time.Duration{time.Hour, -2 * time.Hour} {
		wall, elapsed = wall.Add(step+time.Second), elapsed+time.Second
		server = server.Add(time.Second)
		if got := c.now().Sub(server).Abs(); got > time.Millisecond {
			t.Errorf("a second after the clock was set by %v the server's time is off by %v, want as before", step, got)
		}
		if got, want := c.difference(), server.Sub(wall); (got - want).Abs() > time.Millisecond {
			t.Errorf("difference after the clock was set by %v = %v, want %v", step, got, want)
		}
	}
}

// loseReply fails a command after the server has carried it out.
type loseReply struct{ do func(args []any) bool }

func (l loseReply) DialHook(next redis.DialHook) redis.DialHook { return next }
func (l loseReply) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil && l.do(cmd.Args()) {
			err = errors.New("reply lost")
			cmd.SetErr(err)
		}
		return err
	}
}

func (l loseReply) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestARegistrationWhoseReplyIsLostIsRepeated loses the answer to the
// registration of a node that comes back.
func TestARegistrationWhoseReplyIsLostIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 1, true)
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
		n := f.join()
		time.Sleep(10 * time.Second)
		var lost atomic.Bool
		n.connection.commands.AddHook(loseReply{func(args []any) bool {
			return isRegistration(args) && lost.CompareAndSwap(false, true)
		}})
		if err := n.center.Partitions()[0].Leave(t.Context(), n.members[0].membership.lease(), time.Time{}); err != nil {
			t.Fatal(err)
		}
		from := time.Now()
		time.Sleep(12 * time.Second)
		if counts := n.startedSince(t, from); !lost.Load() || counts[0] < 3 {
			t.Errorf("started %v in twelve seconds after the reply to a registration was lost (%v), want the node back at once", counts, lost.Load())
		}
		f.leaveAll()
	})
}

// TestAMassThatDiedIsReapedAfterOneBrake lets sixty of sixty-two sessions end: none
// is evicted when they are due, and all are a session timeout later.
func TestAMassThatDiedIsReapedAfterOneBrake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 2, true)
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
		n := f.join()
		f.join()
		p := n.center.Partitions()[0]
		for i := range 60 {
			if _, err := p.Register(t.Context(), registry.Instance{ID: fmt.Sprintf("ghost%d", i)}); err != nil {
				t.Fatal(err)
			}
		}
		// Lease, grace and a little: it may be the server's clock.
		time.Sleep(15*time.Second + time.Second + 3*time.Second)
		all, err := p.Instances(t.Context())
		if err != nil || len(all) != 62 {
			t.Errorf("%d sessions (%v) are left when sixty have ended at once, want all", len(all), err)
		}
		// One brake.
		time.Sleep(15 * time.Second)
		all, err = p.Instances(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != 2 {
			t.Errorf("%d sessions are left after the brake, want the two that live", len(all))
		}
		f.leaveAll()
	})
}

// TestARemovedJobsBeginEnds removes a job and puts it anew while its begin
// is on the way.
func TestARemovedJobsBeginEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Minute, 1, true)
		f := newFleet(t, setup{
			jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)},
			before: func(args []any) error {
				if isNormalBegin(args) {
					time.Sleep(2 * time.Second)
				}
				return nil
			},
		})
		n := f.join()
		d, err := definitionOf(*n.jobs.byName[c.Name].file)
		if err != nil {
			t.Fatal(err)
		}
		p := n.center.Partition(c.Name)
		instant := nextMultiple(time.Minute)
		sleepUntil(instant.Add(500 * time.Millisecond))
		if _, err := p.RemoveJobs(t.Context(), c.Name); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		if _, err := p.PutJobs(t.Context(), []registry.JobDefinition{d}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		f.up = nil
		if took := n.stop(t); took > 5*time.Second {
			t.Errorf("the stop of an idle node took %v, want it at once", took)
		}
	})
}

// TestAnEmptyRegistryRemovesNoJob empties the registry and lets the node
// look for changes before it renews its lease.
func TestAnEmptyRegistryRemovesNoJob(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		t.Run(fmt.Sprint(monitored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(time.Second, 2, monitored)
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
				n := f.join()
				time.Sleep(11 * time.Second)
				if err := f.server.Client().FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				n.members[0].membership.tell()
				time.Sleep(60 * time.Second)
				from := time.Now()
				time.Sleep(10 * time.Second)
				if counts := n.startedSince(t, from); len(counts) != 2 {
					t.Errorf("a minute after the registry was emptied, in ten seconds started %v, want both items", counts)
				}
				if names := n.jobs.namesIn(0); len(names) != 1 {
					t.Errorf("the node hosts %v, want the job of its file", names)
				}
				f.leaveAll()
			})
		})
	}
}

package host

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// TestAReloadWhileTheFormerOneIsStoredIsStoredToo reloads again while the
// definitions of a first reload are on their way to the registry.
func TestAReloadWhileTheFormerOneIsStoredIsStoredToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := probeJob(time.Second)
		of := &edition{}
		named := func(name string) job.Config {
			j := probeJob(time.Second)
			j.Name = name
			return j
		}
		var held atomic.Bool
		s := setup{jobs: []job.Config{c}, plugins: []spi.Plugin{of.plugin()}, before: func(args []any) error {
			for _, arg := range args {
				if text := fmt.Sprintf("%s", arg); strings.Contains(text, `"one"`) && strings.Contains(text, "shardingTotalCount") && held.CompareAndSwap(false, true) {
					time.Sleep(2 * time.Second)
				}
			}
			return nil
		}}
		f := newFleet(t, s)
		n := observe(t, s)
		n.config.Node.ShutdownGrace = 30 * time.Second
		n.onto(f.server)
		n.start(t)
		f.nodes, f.up = append(f.nodes, n), append(f.up, n)
		sleepUntil(nextMultiple(10 * time.Second).Add(300 * time.Millisecond))
		n.mustReload(t, []job.Config{c, named("one")}, of.plugin())
		time.Sleep(time.Second)
		n.mustReload(t, []job.Config{c, named("one"), named("two")}, of.plugin())
		time.Sleep(60 * time.Second)
		if !held.Load() {
			t.Error("the definitions of the first reload were not held up")
		}
		for _, name := range []string{"one", "two"} {
			if got := len(n.verdicts(t, named(name), 0)); got < 50 {
				t.Errorf("starts of job %s within a minute = %d, want at least 50", name, got)
			}
		}
		f.leaveAll()
	})
}

// TestAReloadSurvivesAReadThatFails fails one read of assignments after the new
// plugins of a job were installed.
func TestAReloadSurvivesAReadThatFails(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		for fails := range 3 {
			t.Run(fmt.Sprintf("monitored=%v, read %d", monitored, fails), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					c := fleetJob(time.Second, 2, monitored)
					of := &edition{}
					var reads atomic.Int64
					reads.Store(-1 << 40)
					s := setup{jobs: []job.Config{c}, plugins: []spi.Plugin{of.plugin()}, before: func(args []any) error {
						if isAssignmentRead(args) && reads.Add(1) == int64(fails+1) {
							return errors.New("connection reset by peer")
						}
						return nil
					}}
					f := newFleet(t, s)
					n := observe(t, s)
					n.config.Node.ShutdownGrace = 30 * time.Second
					n.onto(f.server)
					n.start(t)
					f.nodes, f.up = append(f.nodes, n), append(f.up, n)
					sleepUntil(nextMultiple(10 * time.Second).Add(300 * time.Millisecond))
					reads.Store(0)
					n.mustReload(t, []job.Config{c}, of.plugin())
					from := nextMultiple(time.Second).Add(10 * time.Second)
					sleepUntil(from.Add(60*time.Second + 300*time.Millisecond))
					last := nextMultiple(time.Second).Add(-time.Second)
					t.Logf("reads of assignments after the reload: %d", reads.Load())
					f.leaveAll()
					for item := range c.ShardingTotalCount {
						f.checkStartedOnce(c, item, from, last)
					}
				})
			})
		}
	}
}

// TestARemovalThatFailsIsTriedAgain fails the removal of a job from the registry
// inside the process for a while.
func TestARemovalThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stays, goes := probeJob(time.Second), probeJob(time.Second)
		stays.Name, goes.Name = "stays", "goes"
		of := &edition{}
		var fails, failed atomic.Bool
		n := observe(t, setup{jobs: []job.Config{stays, goes}, plugins: []spi.Plugin{of.plugin()}, before: func(args []any) error {
			if text := fmt.Sprint(args...); fails.Load() && strings.Contains(text, "goes") && !strings.Contains(text, "stays") {
				failed.Store(true)
				return errors.New("connection reset by peer")
			}
			return nil
		}})
		n.start(t)
		sleepUntil(nextMultiple(10 * time.Second).Add(300 * time.Millisecond))
		fails.Store(true)
		n.mustReload(t, []job.Config{stays}, of.plugin())
		time.Sleep(10 * time.Second)
		fails.Store(false)
		time.Sleep(20 * time.Second)
		from := time.Now()
		time.Sleep(20 * time.Second)
		n.stop(t)
		if !failed.Load() {
			t.Error("the removal was not held up")
		}
		for at, what := range n.verdicts(t, goes, 0) {
			if at.After(from) {
				t.Fatalf("job goes at %s: %q, want nothing twenty seconds after the registry was back", at.Format("15:04:05"), what)
			}
		}
	})
}

// TestAJobThatIsBackInTheFileIsHosted brings a job back with a second reload
// while the node follows its removal by the first.
func TestAJobThatIsBackInTheFileIsHosted(t *testing.T) {
	t.Parallel()
	for pause := 20 * time.Millisecond; pause < 2*time.Second; pause += 110 * time.Millisecond {
		t.Run(pause.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				stays, goes := probeJob(time.Second), probeJob(time.Second)
				stays.Name, goes.Name = "stays", "goes"
				of := &edition{}
				var slow atomic.Bool
				n := observe(t, setup{jobs: []job.Config{stays, goes}, plugins: []spi.Plugin{of.plugin()}, before: func([]any) error {
					if slow.Load() {
						time.Sleep(100 * time.Millisecond)
					}
					return nil
				}})
				n.start(t)
				sleepUntil(nextMultiple(10 * time.Second).Add(300 * time.Millisecond))
				slow.Store(true)
				n.mustReload(t, []job.Config{stays}, of.plugin())
				time.Sleep(pause)
				n.mustReload(t, []job.Config{stays, goes}, of.plugin())
				time.Sleep(5 * time.Second)
				slow.Store(false)
				time.Sleep(30 * time.Second)
				from := time.Now()
				time.Sleep(20 * time.Second)
				n.stop(t)
				count := 0
				for at := range n.verdicts(t, goes, 0) {
					if at.After(from) {
						count++
					}
				}
				if count < 19 {
					t.Errorf("starts of job goes in the last 20 s = %d, want 20: it is in the file since the last reload", count)
				}
			})
		})
	}
}

// TestAReloadMakesFewPluginsAtOnce counts the constructors that a reload of many
// jobs runs at once: each may read and hash a module.
func TestAReloadMakesFewPluginsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		plugin := probe(func(context.Context, spi.ExecuteRequest) error { return nil })
		construct := plugin.JobType
		plugin.JobType = func(ctx context.Context, values props.Values) (spi.JobType, error) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Millisecond)
			now.Add(-1)
			return construct(ctx, values)
		}
		var jobs []job.Config
		for i := range 200 {
			c := probeJob(time.Hour)
			c.Name = fmt.Sprintf("job%d", i)
			jobs = append(jobs, c)
		}
		f := newFleet(t, setup{jobs: jobs, plugins: []spi.Plugin{plugin}})
		n := f.join()
		time.Sleep(10 * time.Second)
		n.mustReload(t, jobs, plugin)
		time.Sleep(10 * time.Second)
		if got := most.Load(); got > 16 {
			t.Errorf("constructors at once in a reload of %d jobs = %d, want at most 16", len(jobs), got)
		}
		f.leaveAll()
	})
}

// TestReloadStorm reloads, starts and stops nodes of a fleet at odd moments.
func TestReloadStorm(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		for seed := range *seeds {
			t.Run(fmt.Sprintf("monitored=%v, seed %d", monitored, seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					random := rand.New(rand.NewPCG(seed, 7))
					c := fleetJob(time.Second, 5, monitored)
					c.PoolType = "8"
					ed := &edition{took: time.Duration(random.IntN(400)) * time.Millisecond}
					f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{ed.plugin()}, before: func(args []any) error {
						if rand.IntN(4) == 0 {
							time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
						}
						return nil
					}})
					f.join()
					f.join()
					first := nextMultiple(time.Second).Add(2 * time.Second)
					sleepUntil(first)
					for step := range 25 {
						switch n := f.up[random.IntN(len(f.up))]; {
						case random.IntN(8) == 0 && len(f.up) < 4:
							f.join()
						case random.IntN(8) == 0 && len(f.up) > 2:
							f.leave(n)
						default:
							jobs := []job.Config{c}
							if random.IntN(3) == 0 {
								other := probeJob(time.Minute)
								other.Name = fmt.Sprintf("other%d", step)
								jobs = append(jobs, other)
							}
							n.mustReload(t, jobs, ed.plugin())
						}
						time.Sleep(time.Duration(random.IntN(2500)) * time.Millisecond)
					}
					time.Sleep(15 * time.Second)
					last := nextMultiple(time.Second).Add(-time.Second)
					sleepUntil(last.Add(950 * time.Millisecond))
					f.leaveAll()
					for item := range c.ShardingTotalCount {
						all := f.looseVerdicts(c, item)
						for at := first; !at.After(last); at = at.Add(c.Every) {
							if len(all[at]) != 1 && !isCaughtUp(all[at]) {
								t.Errorf("item %d at %s: %q, want one verdict", item, at.Format("15:04:05.000"), all[at])
							}
						}
					}
				})
			})
		}
	}
}

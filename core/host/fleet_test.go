package host

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/registry/embedded"
	"github.com/elasticjob-go/elasticjob/spi"
)

// seeds may be raised for a long run.
var seeds = flag.Uint64("host.seeds", 1, "random lives of a fleet that are tried in each mode")

// fleet is several nodes on one server.
type fleet struct {
	t      *testing.T
	server *embedded.Server
	setup  setup
	nodes  []*observed // all that ever were
	up     []*observed
}

func newFleet(t *testing.T, s setup) *fleet {
	t.Helper()
	server, err := embedded.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, server: server, setup: s}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// join starts another node.
func (f *fleet) join() *observed {
	f.t.Helper()
	return f.joinAs("")
}

// joinAs starts another node with an instance.id.
func (f *fleet) joinAs(id string) *observed {
	f.t.Helper()
	n := observe(f.t, f.setup)
	if id != "" {
		n.instance.ID = id
	}
	n.config.Node.ShutdownGrace = 30 * time.Second
	n.onto(f.server)
	n.connection.partitions = cmp.Or(f.setup.partitions, n.connection.partitions)
	n.connection.sessionTimeout = cmp.Or(f.setup.sessionTimeout, n.connection.sessionTimeout)
	n.start(f.t)
	f.nodes, f.up = append(f.nodes, n), append(f.up, n)
	return n
}

// unsteady puts the nodes that join from now on behind a network that delays their
// commands and the answers, and loses the commands as long as what it returns is
// set.
func (f *fleet) unsteady(delay func() time.Duration) (isAway *atomic.Bool) {
	isAway = &atomic.Bool{}
	f.setup.before = func([]any) error {
		time.Sleep(delay())
		if isAway.Load() {
			return errors.New("away")
		}
		return nil
	}
	f.setup.after = func([]any) { time.Sleep(delay()) }
	return isAway
}

// onto makes the node a member of a fleet.
func (n *observed) onto(server *embedded.Server) {
	n.config.Node.RegCenter = &config.RegCenter{Namespace: "fleet"}
	client := server.Connect()
	n.connection = &connection{
		commands: client, namespace: "fleet", sessionTimeout: 15 * time.Second, partitions: 1, isEmbedded: true,
		server: server, close: client.Close,
	}
}

// leave stops one of the nodes.
func (f *fleet) leave(n *observed) {
	f.t.Helper()
	f.up = slices.DeleteFunc(f.up, func(o *observed) bool { return o == n })
	n.stop(f.t)
}

func (f *fleet) leaveAll() {
	f.t.Helper()
	for len(f.up) > 0 {
		f.leave(f.up[len(f.up)-1])
	}
}

// verdicts returns what became of the instants of an item on all nodes.
func (f *fleet) verdicts(c job.Config, item int) map[time.Time][]string {
	f.t.Helper()
	all := make(map[time.Time][]string)
	for i, n := range f.nodes {
		for at, verdicts := range n.verdicts(f.t, c, item) {
			for _, v := range verdicts {
				all[at] = append(all[at], fmt.Sprintf("%s on %d", v, i))
			}
		}
	}
	return all
}

// checkStartedOnce fails unless every instant of an item between the two was
// started exactly once on some node.
func (f *fleet) checkStartedOnce(c job.Config, item int, from, to time.Time) {
	f.t.Helper()
	all := f.verdicts(c, item)
	for at := from; !at.After(to); at = at.Add(c.Every) {
		started := 0
		for _, v := range all[at] {
			if strings.HasPrefix(v, "started") {
				started++
			}
		}
		if started != 1 || len(all[at]) != 1 {
			f.t.Errorf("item %d at %s: %q, want it started once and nothing else", item, at.Format("15:04:05.000"), all[at])
		}
	}
}

// checkOneVerdict fails unless every instant of each item between the two was started
// or recorded, on one node.
func (f *fleet) checkOneVerdict(c job.Config, from, to time.Time) {
	f.t.Helper()
	for item := range c.ShardingTotalCount {
		all := f.verdicts(c, item)
		for at := from; !at.After(to); at = at.Add(c.Every) {
			// What an item missed while it ran may be told first and then caught up.
			isCatchUp := slices.ContainsFunc(all[at], startsWith("started "+string(spi.SourceMisfire)))
			verdicts := slices.DeleteFunc(slices.Clone(all[at]), func(v string) bool {
				return isCatchUp && startsWith("missed "+string(execution.ReasonStillRunning))(v)
			})
			if len(verdicts) != 1 {
				f.t.Errorf("item %d at %s: %q, want one verdict", item, at.Format("15:04:05"), all[at])
			}
		}
	}
}

func startsWith(prefix string) func(string) bool {
	return func(s string) bool { return strings.HasPrefix(s, prefix) }
}

// fleetJob is a job of many items.
func fleetJob(every time.Duration, items int, monitored bool) job.Config {
	c := probeJob(every)
	c.ShardingTotalCount, c.MonitorExecution = items, monitored
	return c
}

func quick(context.Context, spi.ExecuteRequest) error { return nil }

// TestNodesThatComeAndGoLoseAndDoubleNothing takes a fleet from two nodes to
// five and down to one, at odd moments, while a job fires every second.
func TestNodesThatComeAndGoLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		for seed := range *seeds {
			t.Run(fmt.Sprintf("monitored=%v, seed %d", monitored, seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					random := rand.New(rand.NewPCG(seed, 1))
					c := fleetJob(time.Second, 7, monitored)
					f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
					pause := func() { time.Sleep(time.Duration(random.IntN(9000)) * time.Millisecond) }
					f.join()
					first := nextMultiple(time.Second).Add(time.Second)
					pause()
					for range 4 {
						f.join()
						pause()
					}
					for len(f.up) > 1 {
						f.leave(f.up[random.IntN(len(f.up))])
						pause()
					}
					time.Sleep(15 * time.Second)
					last := nextMultiple(time.Second).Add(-time.Second)
					sleepUntil(last.Add(500 * time.Millisecond))
					f.leaveAll()
					for item := range c.ShardingTotalCount {
						f.checkStartedOnce(c, item, first, last)
					}
				})
			})
		}
	}
}

// TestItemsThatComeAndGoLoseAndDoubleNothing gives a job more items and then
// fewer while it fires.
func TestItemsThatComeAndGoLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		t.Run(fmt.Sprintf("monitored=%v", monitored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(time.Second, 3, monitored)
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
				a := f.join()
				f.join()
				first := nextMultiple(time.Second).Add(time.Second)
				put := func(items int) time.Time {
					changed := *a.jobs.byName[c.Name].file
					changed.ShardingTotalCount, changed.Overwrite = items, true
					d, err := definitionOf(changed)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := a.center.Partition(c.Name).PutJobs(t.Context(), []registry.JobDefinition{d}); err != nil {
						t.Fatal(err)
					}
					return time.Now()
				}
				time.Sleep(20300 * time.Millisecond)
				more := put(10)
				time.Sleep(20400 * time.Millisecond)
				fewer := put(2)
				time.Sleep(20500 * time.Millisecond)
				last := nextMultiple(time.Second).Add(-time.Second)
				f.leaveAll()
				for item := range 10 {
					from, to := first, last
					if item >= 3 {
						from = more.Truncate(time.Second).Add(time.Second)
					}
					if item >= 2 {
						to = fewer.Truncate(time.Second)
					}
					f.checkStartedOnce(c, item, from.UTC(), to.UTC())
					for at, verdicts := range f.verdicts(c, item) {
						if at.After(to) {
							t.Errorf("item %d at %s: %q, want none after it was gone", item, at.Format("15:04:05"), verdicts)
						}
					}
				}
			})
		})
	}
}

// TestADeadNodesItemsMove lets the session of one of two nodes end without a
// word, while the node is cut off from the server.
// What a dead node ran blocks nobody: #467, #1754 and #49 of ElasticJob.
func TestADeadNodesItemsMove(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		t.Run(fmt.Sprintf("monitored=%v", monitored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(time.Second, 4, monitored)
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
				dead := f.join()
				other := f.join()
				time.Sleep(20 * time.Second)
				sleepUntil(nextMultiple(time.Second).Add(300 * time.Millisecond))
				died := time.Now()
				dead.kill(t)
				f.up = []*observed{other}
				time.Sleep(40 * time.Second)
				last := nextMultiple(time.Second).Add(-time.Second)
				f.leaveAll()
				moved := map[int]time.Time{}
				for _, e := range other.started {
					at, err := registry.ParseRunID(e.Run)
					if err != nil {
						t.Fatal(err)
					}
					if _, known := moved[e.Item]; !known && at.After(died) {
						moved[e.Item] = at
					}
				}
				for item := range c.ShardingTotalCount {
					if limit := died.Add(15*time.Second + 2*time.Second + time.Second); moved[item].IsZero() || moved[item].After(limit) {
						t.Errorf("item %d ran again at %v after its owner died at %v, want it by %v", item, moved[item], died, limit)
					}
				}
				records := map[int]int{}
				for _, e := range other.misfired {
					if e.Reason != execution.ReasonOwnerLost {
						t.Errorf("misfired %+v, want reason %s", e, execution.ReasonOwnerLost)
					}
					records[e.Item]++
				}
				for item, n := range records {
					if n != 1 {
						t.Errorf("item %d has %d records of its gap, want one", item, n)
					}
				}
				f.checkOneVerdict(c, died.Truncate(time.Second).Add(time.Second).UTC(), last)
				if len(records) == 0 {
					t.Errorf("no gap was recorded, want one for each item of the dead node; misfired %v", slices.Collect(maps.Keys(records)))
				}
			})
		})
	}
}

// TestADyingNodesInstantsHaveVerdicts lets another node join while one is dead and
// nobody can be sure of it, so that items of an unmonitored job are to move twice.
func TestADyingNodesInstantsHaveVerdicts(t *testing.T) {
	t.Parallel()
	const ttl = 15 * time.Second
	for name, joins := range map[string]time.Duration{
		"renewal is late": ttl/3 + 1100*time.Millisecond, "lease nearly over": ttl - 300*time.Millisecond,
		"lease over": ttl + 300*time.Millisecond, "about to be reaped": ttl + registryGrace - time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(time.Second, 4, false)
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
				other, dead := f.join(), f.join() // the first leads
				time.Sleep(20 * time.Second)
				sleepUntil(nextMultiple(time.Second).Add(300 * time.Millisecond))
				from := nextMultiple(time.Second).UTC()
				renewed := dead.members[0].membership.lastRenewal()
				dead.kill(t)
				f.up = []*observed{other}
				sleepUntil(renewed.Add(joins))
				f.join()
				time.Sleep(40 * time.Second)
				last := nextMultiple(time.Second).Add(-time.Second)
				f.leaveAll()
				f.checkOneVerdict(c, from, last)
			})
		})
	}
}

// kill ends the node without a word to the others.
func (n *observed) kill(t *testing.T) {
	t.Helper()
	n.note("killed")
	n.isDead.Store(true)
	if err := n.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
}

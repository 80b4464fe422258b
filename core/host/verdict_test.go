package host

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// passed is a fire that came while its item ran.
type passed struct {
	item int
	run  string
}

// pass writes down what became of such a fire.
func (n *observed) pass(item int, run, verdict string) {
	if n.isDead.Load() {
		return
	}
	n.note("%s of item %d %s", run, item, verdict)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.passed[passed{item, run}] = verdict
}

// TestFiresOfAHeldItemOutliveItsOwner kills the owner of an item that still runs on
// the node which had it before: what the owner knew of the fires that came meanwhile
// was told in time, and the last is with whoever owns the item next.
func TestFiresOfAHeldItemOutliveItsOwner(t *testing.T) {
	t.Parallel()
	for _, misfire := range []bool{true, false} {
		t.Run(fmt.Sprintf("misfire=%v", misfire), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(10*time.Second, 2, true)
				c.Misfire = misfire
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(runFor(90 * time.Second))}})
				f.join()
				first := nextMultiple(c.Every)
				sleepUntil(first.Add(5 * time.Second))
				owner := f.join()
				sleepUntil(first.Add(35 * time.Second))
				synctest.Wait()
				held := len(owner.passed)
				owner.kill(t)
				f.up = f.up[:1]
				sleepUntil(first.Add(3 * time.Minute))
				f.leaveAll()
				if held < 2 {
					t.Errorf("the owner told of %d fires that came while its item ran, want two at least", held)
				}
				for item := range c.ShardingTotalCount {
					all := f.verdicts(c, item)
					for at := first; !at.After(first.Add(2 * time.Minute)); at = at.Add(c.Every) {
						isPassed := false
						for _, n := range f.nodes {
							isPassed = isPassed || n.passed[passed{item, registry.FormatRunID(at)}] != ""
						}
						if len(all[at]) == 0 && !isPassed {
							t.Errorf("item %d at %s has no verdict", item, at.Format("15:04:05"))
						}
					}
				}
			})
		})
	}
}

// TestFiresOfAJobThatIsDisabledAfterItsOwnerDiedHaveVerdicts disables a job when the
// owner of its items is dead and nobody knows that yet.
func TestFiresOfAJobThatIsDisabledAfterItsOwnerDiedHaveVerdicts(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{job.MisfireOnce, job.MisfireAll} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(time.Second, 4, true)
				c.MisfirePolicy = policy
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
				f.join()
				f.join()
				dead := f.join()
				time.Sleep(20 * time.Second)
				first := nextMultiple(c.Every)
				sleepUntil(first.Add(-500 * time.Millisecond))
				dead.kill(t)
				f.up = f.up[:2]
				time.Sleep(5 * time.Second)
				f.set(Target{Job: c.Name}, false)
				time.Sleep(40 * time.Second)
				f.set(Target{Job: c.Name}, true)
				time.Sleep(5 * time.Second)
				last := nextMultiple(c.Every).Add(-c.Every)
				f.leaveAll()
				f.checkOneVerdict(c, first, last)
			})
		})
	}
}

// TestFiresOfADisabledJobWhileItsOwnerIsAwayHaveVerdicts ends the session of the only
// node while its job is disabled, for good or until it is enabled meanwhile.
func TestFiresOfADisabledJobWhileItsOwnerIsAwayHaveVerdicts(t *testing.T) {
	t.Parallel()
	for _, enables := range []bool{false, true} {
		t.Run(fmt.Sprintf("enables=%v", enables), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(time.Second, 2, true)
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
				isAway := f.unsteady(func() time.Duration { return 0 })
				n := f.join()
				first := nextMultiple(c.Every)
				sleepUntil(first.Add(5*time.Second + 500*time.Millisecond))
				f.set(Target{Job: c.Name}, false)
				time.Sleep(5 * time.Second)
				isAway.Store(true)
				time.Sleep(30 * time.Second)
				if enables {
					operator := registryOf(t, f)
					if _, err := operator.SetState(t.Context(), c.Name, true, "test"); err != nil {
						t.Fatal(err)
					}
					time.Sleep(2 * time.Second)
				}
				isAway.Store(false)
				time.Sleep(30 * time.Second)
				last := nextMultiple(c.Every).Add(-c.Every)
				f.leaveAll()
				n.checkOneVerdictEach(t, c, first, last)
			})
		})
	}
}

// registryOf is the registry of a fleet as an operator sees it that no fault hinders.
func registryOf(t *testing.T, f *fleet) *registry.Partition {
	t.Helper()
	client := f.server.Connect()
	t.Cleanup(func() { _ = client.Close() })
	center, err := registry.Open(t.Context(), registry.Config{
		Client: client, Namespace: "fleet", SessionTimeout: 15 * time.Second, Grace: registryGrace, Embedded: true, Partitions: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return center.Partitions()[0]
}

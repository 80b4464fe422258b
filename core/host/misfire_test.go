package host

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
)

// absence is what is to become of the ten fires of a minute each that a fleet has
// missed, the last of them 40 seconds ago.
type absence struct {
	policy  string
	misfire bool
	limit   int
	ran     int // the latest ones, in order; the others are recorded
}

// TestAnAbsenceIsCaughtUpByThePolicy stops a fleet for ten instants, in order or by
// a crash, and starts one node again.
func TestAnAbsenceIsCaughtUpByThePolicy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]absence{
		"ONCE":       {job.MisfireOnce, true, 0, 1},
		"SKIP":       {job.MisfireSkip, false, 0, 0},
		"ALL":        {job.MisfireAll, true, 0, 10},
		"ALL, three": {job.MisfireAll, true, 3, 3},
	} {
		for _, crashes := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, crash %v", name, crashes), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { testAbsence(t, c, crashes) })
			})
		}
	}
}

func testAbsence(t *testing.T, a absence, crashes bool) {
	t.Helper()
	c := fleetJob(time.Minute, 2, true)
	c.Every, c.Cron = 0, "0 * * * * ?"
	c.Misfire, c.MisfirePolicy, c.MisfireLimit = a.misfire, a.policy, a.limit
	f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(context.Context, spi.ExecuteRequest) error {
		time.Sleep(500 * time.Millisecond)
		return nil
	})}})
	n := f.join()
	first := nextMultiple(time.Minute)
	sleepUntil(first.Add(10 * time.Second))
	n.isDead.Store(crashes)
	f.leaveAll()
	sleepUntil(first.Add(10*time.Minute + 40*time.Second))
	f.join()
	time.Sleep(30 * time.Second)
	f.leaveAll()
	c.Every = time.Minute // which is how verdicts counts
	for item := range c.ShardingTotalCount {
		all := f.verdicts(c, item)
		for k := 1; k <= 11; k++ {
			want := startedMisfire + " on 1"
			switch {
			case k == 11:
				want = startedNormal + " on 1"
			case k <= 10-a.ran:
				want = "missed " + string(execution.ReasonOwnerLost) + " on 1"
			}
			at := first.Add(time.Duration(k) * time.Minute)
			if got := all[at.UTC()]; !slices.Equal(got, []string{want}) {
				t.Errorf("verdicts on item %d at %v = %q, want %q", item, at, got, want)
			}
		}
	}
	if runs := startedRuns(f.nodes[1], 0); !slices.IsSorted(runs) {
		t.Errorf("item 0 ran for %v, want them in order", runs)
	}
}

// startedRuns are the ids of the runs that an item of the first job had on a node.
func startedRuns(n *observed, item int) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var runs []string
	for _, e := range n.started {
		if e.Item == item {
			runs = append(runs, e.Run)
		}
	}
	return runs
}

// TestItemsOfTwoFloorsAreCaughtUpTogether lets two nodes die one after the other:
// of the items of the first more fires are missed.
func TestItemsOfTwoFloorsAreCaughtUpTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 2, true)
		c.MisfirePolicy = job.MisfireAll
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}, sessionTimeout: 15 * time.Second})
		a := f.join()
		f.join()
		begin := nextMultiple(30 * time.Second)
		sleepUntil(begin.Add(500 * time.Millisecond))
		a.isDead.Store(true)
		time.Sleep(8 * time.Second)
		f.up[1].isDead.Store(true)
		f.leaveAll()
		sleepUntil(begin.Add(time.Minute + 500*time.Millisecond))
		f.join()
		time.Sleep(5 * time.Second)
		f.leaveAll()
		counts := map[int]bool{}
		for item := range c.ShardingTotalCount {
			f.checkStartedOnce(c, item, begin.Add(-5*time.Second), begin.Add(65*time.Second))
			counts[len(startedRuns(f.nodes[2], item))] = true
		}
		if len(counts) != 2 {
			t.Errorf("runs of the items on the last node = %v, want more of one item", counts)
		}
	})
}

// TestACatchUpGoesOnWhereItsNodeEnded ends the node that catches up in the midst of
// that: the next one goes on.
func TestACatchUpGoesOnWhereItsNodeEnded(t *testing.T) {
	t.Parallel()
	for _, crashes := range []bool{false, true} {
		t.Run(fmt.Sprintf("crash %v", crashes), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(time.Minute, 1, true)
				c.MisfirePolicy = job.MisfireAll
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(ctx context.Context, _ spi.ExecuteRequest) error {
					select {
					case <-time.After(2 * time.Second):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				})}})
				f.join()
				first := nextMultiple(time.Minute)
				sleepUntil(first.Add(10 * time.Second))
				f.leaveAll()
				sleepUntil(first.Add(10*time.Minute + 5*time.Second))
				n := f.join()
				time.Sleep(9 * time.Second)
				n.isDead.Store(crashes)
				f.leaveAll()
				sleepUntil(first.Add(11*time.Minute + 30*time.Second))
				f.join()
				time.Sleep(40 * time.Second)
				f.leaveAll()
				f.checkStartedOnce(c, 0, first, first.Add(12*time.Minute))
				var ran []int
				for _, n := range f.nodes {
					ran = append(ran, len(startedRuns(n, 0)))
				}
				if ran[1] < 3 || ran[2] < 5 {
					t.Errorf("runs on the nodes = %v, want some on each", ran)
				}
			})
		})
	}
}

// TestAManualRunDoesNotWaitForACatchUp triggers a job that never catches up.
func TestAManualRunDoesNotWaitForACatchUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(10*time.Second, 1, true)
		c.MisfirePolicy, c.MisfireLimit = job.MisfireAll, 5
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(context.Context, spi.ExecuteRequest) error {
			time.Sleep(12 * time.Second)
			return nil
		})}})
		f.join()
		time.Sleep(time.Second)
		f.leaveAll()
		time.Sleep(2 * time.Minute)
		n := f.join()
		time.Sleep(time.Minute)
		asked := time.Now()
		trigger, err := n.Trigger(t.Context(), Trigger{Job: c.Name})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		if !slices.Contains(startedRuns(n, 0), trigger.ID) {
			t.Errorf("the run triggered at %v has not begun half a minute later, want it before what is to be caught up", asked)
		}
		f.leaveAll()
	})
}

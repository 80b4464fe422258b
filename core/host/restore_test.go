package host

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// TestARegistryThatComesBackEmptyIsFilledByTheNodes empties the server under
// running nodes: definitions, also those that no file has, and desired state come
// back.
func TestARegistryThatComesBackEmptyIsFilledByTheNodes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fires, rests := fleetJob(time.Second, 2, true), fleetJob(time.Second, 2, true)
		fires.Name, rests.Name = "fires", "rests"
		f := newFleet(t, setup{jobs: []job.Config{fires}, plugins: []spi.Plugin{probe(quick)}})
		f.join()
		f.setup.jobs = []job.Config{rests}
		gone := f.join()
		f.setup.jobs = nil
		f.joinAs("third")
		time.Sleep(10 * time.Second)
		f.set(Target{Job: "rests"}, false)
		item := 1
		f.set(Target{Job: "fires", Item: &item}, false)
		f.set(Target{Instance: "third"}, false)
		// The one node whose file has the job is not there when it matters.
		f.leave(gone)
		time.Sleep(10 * time.Second)
		if err := f.server.Client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		emptied := time.Now()
		time.Sleep(40 * time.Second)
		if got := f.status(rests); got != JobDisabled {
			t.Errorf("status of a job disabled before = %s, want %s", got, JobDisabled)
		}
		if got := f.status(fires); got != JobOK {
			t.Errorf("status of the other job = %s, want %s", got, JobOK)
		}
		for _, n := range f.up {
			counts := map[int]int{}
			for _, e := range n.started {
				if e.Job == "rests" {
					continue
				}
				counts[e.Item]++
			}
			if n.instance.ID == "third" && len(counts) > 0 {
				t.Errorf("the disabled instance started %v", counts)
			}
		}
		if counts := f.up[0].startedSince(t, emptied.Add(30*time.Second)); counts[0] == 0 || counts[item] != 0 {
			t.Errorf("started %v after the registry came back, want item 0 and not item %d, which is disabled", counts, item)
		}
		f.leaveAll()
	})
}

// TestARegistryGetsNoItemsBackThatAJobHasLost gives a job fewer items while one of
// those is disabled: what a node then knows must be what a registry takes.
func TestARegistryGetsNoItemsBackThatAJobHasLost(t *testing.T) {
	t.Parallel()
	s := registry.JobState{Definition: registry.JobDefinition{Name: "j", Items: 2}, DisabledItems: registry.NewItems(1, 2, 5)}
	if got := restorable(s).DisabledItems.String(); got != "1" {
		t.Errorf("restorable(2 items, 1, 2 and 5 disabled).DisabledItems = %q, want %q", got, "1")
	}
}

// TestANodeIsBackSoonAfterItsRegistry lets the registry be away for so long that the node
// tries to register again and again.
func TestANodeIsBackSoonAfterItsRegistry(t *testing.T) {
	t.Parallel()
	for _, away := range []time.Duration{20 * time.Second, 30 * time.Second, time.Minute} {
		t.Run(away.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var isAway atomic.Bool
				n := observe(t, setup{
					jobs:    []job.Config{probeJob(time.Minute)},
					plugins: []spi.Plugin{probe(quick)},
					before: func([]any) error {
						if isAway.Load() {
							return errors.New("away")
						}
						return nil
					},
				})
				n.start(t)
				isAway.Store(true)
				time.Sleep(away)
				isAway.Store(false)
				time.Sleep(1100 * time.Millisecond)
				synctest.Wait()
				if n.members[0].membership.lease() == (registry.Lease{}) {
					t.Errorf("1.1 s after an outage of %v the node has no session", away)
				}
				n.stop(t)
			})
		})
	}
}

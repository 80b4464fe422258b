package host

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// status is what the first node says of the job.
func (f *fleet) status(c job.Config) JobStatus {
	f.t.Helper()
	info, err := f.up[0].Job(f.t.Context(), c.Name)
	if err != nil {
		f.t.Fatal(err)
	}
	return info.Status
}

func (f *fleet) set(target Target, enabled bool) {
	f.t.Helper()
	changed, err := f.up[0].SetEnabled(f.t.Context(), target, enabled, "test")
	if err != nil || !changed {
		f.t.Fatalf("SetEnabled(%+v, %v) = %v, %v, want true, nil", target, enabled, changed, err)
	}
	synctest.Wait()
}

// startedSince counts the starts on a node after a moment, by item.
func (n *observed) startedSince(t *testing.T, moment time.Time) map[int]int {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	counts := map[int]int{}
	for _, e := range n.started {
		at, err := registry.ParseRunID(e.Run)
		if err != nil {
			t.Fatal(err)
		}
		if at.After(moment) {
			counts[e.Item]++
		}
	}
	return counts
}

// TestDesiredStateStopsAndComesBack disables and enables whatever can be, and
// looks at who runs what.
func TestDesiredStateStopsAndComesBack(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		mode := map[bool]string{true: "monitored", false: "unmonitored"}[monitored]
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(time.Second, 4, monitored)
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
				first := f.joinAs("first")
				second := f.joinAs("second")
				settle := func() time.Time {
					// Longer than two hand-overs of an unmonitored job.
					time.Sleep(15*time.Second + 500*time.Millisecond)
					return time.Now()
				}
				settle()
				if got := f.status(c); got != JobOK {
					t.Errorf("status of the job = %s, want %s", got, JobOK)
				}

				item := 2
				f.set(Target{Job: c.Name, Item: &item}, false)
				from := settle()
				settle()
				if counts := sum(first.startedSince(t, from), second.startedSince(t, from)); counts[item] != 0 || counts[0] == 0 {
					t.Errorf("started %v while item %d was disabled", counts, item)
				}
				items, err := first.Items(t.Context(), c.Name)
				if err != nil || items[item].Status != ItemDisabled || items[0].Status != ItemPending {
					t.Errorf("Items() = %+v, %v, want item %d disabled", items, err, item)
				}
				f.set(Target{Job: c.Name, Item: &item}, true)

				f.set(Target{Job: c.Name, Instance: "second"}, false)
				from = settle()
				settle()
				if counts := second.startedSince(t, from); len(counts) != 0 {
					t.Errorf("the instance on which the job was disabled started %v", counts)
				}
				if counts := first.startedSince(t, from); len(counts) != 4 {
					t.Errorf("the other instance started %v, want all items", counts)
				}
				if got := f.status(c); got != JobOK {
					t.Errorf("status of the job = %s, want %s", got, JobOK)
				}
				f.set(Target{Instance: "first"}, false)
				from = settle()
				settle()
				if counts := sum(first.startedSince(t, from), second.startedSince(t, from)); len(counts) != 0 {
					t.Errorf("started %v while no instance was allowed to", counts)
				}
				if got := f.status(c); got != JobDisabled {
					t.Errorf("status of the job = %s, want %s", got, JobDisabled)
				}
				f.set(Target{Instance: "first"}, true)
				f.set(Target{Job: c.Name, Instance: "second"}, true)

				settle()
				f.set(Target{Job: c.Name}, false)
				from = settle()
				settle()
				if counts := sum(first.startedSince(t, from), second.startedSince(t, from)); len(counts) != 0 {
					t.Errorf("started %v while the job was disabled", counts)
				}
				if got := f.status(c); got != JobDisabled {
					t.Errorf("status of the job = %s, want %s", got, JobDisabled)
				}
				f.set(Target{Job: c.Name}, true)
				from = settle()
				settle()
				if counts := sum(first.startedSince(t, from), second.startedSince(t, from)); len(counts) != 4 {
					t.Errorf("started %v after everything was enabled, want all items", counts)
				}
				f.leaveAll()
				for _, n := range f.nodes {
					for _, e := range n.misfired {
						if e.Reason != execution.ReasonDisabled {
							t.Errorf("misfired %+v, want nothing but what was disabled", e)
						}
					}
				}
				for i := range c.ShardingTotalCount {
					for at, verdicts := range f.verdicts(c, i) {
						if len(verdicts) != 1 {
							t.Errorf("item %d at %s: %q, want one verdict", i, at.Format("15:04:05"), verdicts)
						}
					}
				}
			})
		})
	}
}

func sum(all ...map[int]int) map[int]int {
	total := map[int]int{}
	for _, one := range all {
		for item, n := range one {
			total[item] += n
		}
	}
	return total
}

// TestADisabledInstanceStaysSoWhenItComesBack is #696, #946 and #388 of
// ElasticJob, where a restart enables what an operator has disabled.
func TestADisabledInstanceStaysSoWhenItComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 2, true)
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
		f.join()
		second := f.joinAs("second")
		time.Sleep(time.Second)
		f.set(Target{Instance: "second"}, false)
		f.leave(second)
		again := f.joinAs("second")
		time.Sleep(20 * time.Second)
		if counts := again.startedSince(t, time.Time{}); len(counts) != 0 {
			t.Errorf("the disabled instance started %v after its restart", counts)
		}
		instances, err := again.Instances(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(instances, func(i InstanceInfo) bool { return i.ID == "second" })
		if i < 0 || len(instances) != 2 || instances[i].Status != InstanceDisabled || instances[1-i].Status != InstanceOK || !instances[1-i].Leads {
			t.Errorf("Instances() = %+v, want the second of two disabled and the other one the leader", instances)
		}
		f.leaveAll()
	})
}

func TestStatusOfAJobThatNobodyCanRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 2, true)
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
		f.leave(f.join())
		f.setup.plugins, f.setup.jobs = nil, []job.Config{job.Defaults("other")}
		f.setup.jobs[0].Type, f.setup.jobs[0].Every, f.setup.jobs[0].ShardingTotalCount = "FAKE", time.Second, 1
		n := f.join()
		time.Sleep(5 * time.Second)
		if got := f.status(c); got != JobCrashed {
			t.Errorf("status of a job whose type nobody has = %s, want %s", got, JobCrashed)
		}
		if _, err := n.Job(t.Context(), "unknown"); !errors.Is(err, registry.ErrUnknownJob) {
			t.Errorf("Job(unknown) = %v, want %v", err, registry.ErrUnknownJob)
		}
		if all, err := n.Jobs(t.Context()); err != nil || len(all) != 2 || all[0].Name != c.Name && all[1].Name != c.Name {
			t.Errorf("Jobs() = %+v, %v, want both", all, err)
		}
		f.leaveAll()
	})
}

func TestARunningItemIsListedWithItsOwner(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := fleetJob(time.Minute, 2, monitored)
			f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(runFor(5 * time.Second))}})
			n := f.join()
			instant := nextMultiple(time.Minute)
			sleepUntil(instant.Add(2 * time.Second))
			items, err := n.Items(t.Context(), c.Name)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range items {
				if i.Status != ItemRunning || i.RunningOn != n.Instance() || i.Owner != n.Instance() || i.Run != registry.FormatRunID(instant) {
					t.Errorf("Items() has %+v, want it to run the instant %v on %s", i, instant, n.Instance())
				}
			}
			f.leaveAll()
		})
	}
}

// TestDrainHandsOverAndWaits drains one of two nodes while an item runs on it.
// ElasticJob interrupts what runs, or hands over badly: #638 and #2473.
func TestDrainHandsOverAndWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Minute, 2, true)
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(runFor(20 * time.Second))}})
		n := f.join()
		other := f.join()
		instant := nextMultiple(time.Minute)
		sleepUntil(instant.Add(2 * time.Second))
		drained := make(chan error, 1)
		go func() { drained <- n.Drain(context.WithoutCancel(t.Context())) }()
		time.Sleep(2 * time.Second)
		if n.executor.Owns() {
			t.Error("the draining node still owns items after two seconds")
		}
		if err := <-drained; err != nil || time.Since(instant) < 20*time.Second {
			t.Errorf("Drain() = %v after %v, want nil when the item has ended", err, time.Since(instant))
		}
		sleepUntil(instant.Add(70 * time.Second))
		if counts := other.startedSince(t, instant); len(counts) != 2 {
			t.Errorf("the other node started %v at the next instant, want both items", counts)
		}
		f.leaveAll()
	})
}

package execution

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/cron"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/schedule"
	"github.com/elasticjob-go/elasticjob/spi"
)

// backlog is a job of a fire every second that catches up all of them. Its clock is
// told from base, where the job takes over its items.
type backlog struct {
	*rig
	job    *Job
	base   time.Time
	missed []ItemMisfired
}

// startBacklog lets a job adopt its items when their floors are that many seconds
// back. An attempt at an item takes as long as took says.
func startBacklog(t *testing.T, limit int, took time.Duration, floors ...int) *backlog {
	t.Helper()
	every, err := cron.Every(time.Second)
	if err != nil {
		t.Fatal(err)
	}
	b := &backlog{rig: startRig(t)}
	b.events.Misfired.Subscribe(func(e ItemMisfired) { b.missed = append(b.missed, e) })
	b.job = b.host("orders", len(floors), &Spec{
		Config: job.Config{MonitorExecution: true, MisfirePolicy: job.MisfireAll, MisfireLimit: limit},
		JobType: code(func(context.Context, spi.ExecuteRequest) error {
			time.Sleep(took)
			return nil
		}),
	})
	b.job.spec.Schedule = every
	b.base = time.Now().UTC().Truncate(time.Minute).Add(time.Minute)
	time.Sleep(time.Until(b.base.Add(500 * time.Millisecond)))
	b.job.Adopt(b.assigned(2, floors...))
	return b
}

func (b *backlog) assigned(generation int64, floors ...int) registry.Assignment {
	a := registry.Assignment{Generation: generation, Previous: generation - 1, Items: registry.AllItems(len(floors))}
	for item, back := range floors {
		a.Floors = append(a.Floors, registry.ItemsAt{Items: registry.NewItems(item), At: b.at(-back)})
	}
	return a
}

func (b *backlog) at(second int) time.Time { return b.base.Add(time.Duration(second) * time.Second) }

// fireAt delivers the fire of a second.
func (b *backlog) fireAt(second int) {
	time.Sleep(time.Until(b.at(second)))
	b.job.Fire(schedule.Due{Instant: b.at(second), Now: b.at(second)})
}

// runs are the seconds of the runs of item 0, with their sources, in the order in
// which they ended.
func (b *backlog) runs(t *testing.T) []string {
	t.Helper()
	var runs []string
	for _, e := range b.ends() {
		at, err := registry.ParseRunID(e.Run)
		if err != nil {
			t.Fatal(err)
		}
		if e.Item == 0 {
			runs = append(runs, fmt.Sprint(int(at.Sub(b.base)/time.Second), " ", e.Source))
		}
	}
	return runs
}

func (b *backlog) check(t *testing.T, wantRuns []string, wantMissed []ItemMisfired) {
	t.Helper()
	b.stop(t)
	if diff := cmp.Diff(wantRuns, b.runs(t)); diff != "" {
		t.Errorf("runs of item 0 differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantMissed, b.missed); diff != "" {
		t.Errorf("records of what was missed differ (-want +got):\n%s", diff)
	}
}

// TestAllCatchesUpInOrder has four seconds to catch up, while others come due.
func TestAllCatchesUpInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := startBacklog(t, 0, 400*time.Millisecond, 4, 4)
		for second := range 6 {
			b.fireAt(second + 1)
		}
		time.Sleep(900 * time.Millisecond)
		// 0.5s to 2.1s for what was there, with one more instant each second.
		b.check(t, []string{
			"-3 MISFIRE", "-2 MISFIRE", "-1 MISFIRE", "0 MISFIRE", "1 MISFIRE", "2 NORMAL_TRIGGER", "3 NORMAL_TRIGGER", "4 NORMAL_TRIGGER",
			"5 NORMAL_TRIGGER", "6 NORMAL_TRIGGER",
		}, nil)
	})
}

// TestAllIsBoundedByItsLimit has items of two floors, both below what the limit
// leaves.
func TestAllIsBoundedByItsLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := startBacklog(t, 3, 10*time.Millisecond, 20, 6)
		synctest.Wait()
		time.Sleep(300 * time.Millisecond)
		b.check(t, []string{"-2 MISFIRE", "-1 MISFIRE", "0 NORMAL_TRIGGER"}, []ItemMisfired{
			{Job: "orders", Item: 0, Reason: ReasonNotRunning, Count: 17, From: b.at(-19), To: b.at(-3)},
			{Job: "orders", Item: 1, Reason: ReasonNotRunning, Count: 3, From: b.at(-5), To: b.at(-3)},
		})
	})
}

// TestAllDropsTheOldestWhenItNeverCatchesUp has items that take longer than their
// interval.
func TestAllDropsTheOldestWhenItNeverCatchesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := startBacklog(t, 2, 1700*time.Millisecond, 3)
		for second := range 5 {
			b.fireAt(second + 1)
		}
		time.Sleep(200 * time.Millisecond)
		// One ended at 2.2s, one at 3.9s and one runs. Two are left to the next owner.
		b.job.leave(b.at(5))
		b.job.handOver()
		time.Sleep(time.Second)
		b.check(t, []string{"-1 MISFIRE", "1 MISFIRE", "2 MISFIRE"}, []ItemMisfired{
			{Job: "orders", Reason: ReasonNotRunning, Count: 1, From: b.at(-2), To: b.at(-2)},
			{Job: "orders", Reason: ReasonNotRunning, Count: 1, From: b.at(0), To: b.at(0)},
			{Job: "orders", Reason: ReasonNotRunning, Count: 1, From: b.at(3), To: b.at(3)},
		})
	})
}

// TestADisabledBacklogIsRecorded disables a job that has fires to catch up.
func TestADisabledBacklogIsRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := startBacklog(t, 0, 200*time.Millisecond, 4)
		synctest.Wait()
		disabled := b.job.Assignment()
		disabled.Disabled = true
		b.job.Adopt(disabled)
		b.fireAt(1)
		b.check(t, []string{"-3 MISFIRE"}, []ItemMisfired{
			{Job: "orders", Reason: ReasonDisabled, Count: 4, From: b.at(-2), To: b.at(1)},
		})
	})
}

package execution

import (
	"context"
	"fmt"
	"sync"
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

// TestAGapEndsWhereOthersOwnedTheItem lets a node get an item back that was
// another's meanwhile, without its having heard of that: what it misses from then
// on is another gap.
func TestAGapEndsWhereOthersOwnedTheItem(t *testing.T) {
	t.Parallel()
	at := func(second int) time.Time { return time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC) }
	cases := map[string]struct {
		previous int64
		want     []ItemMisfired
	}{
		"kept all the time": {previous: 1},
		"another's in between": {
			previous: 2,
			want:     []ItemMisfired{{Job: "orders", Item: 0, Reason: ReasonStillRunning, Count: 2, From: at(1), To: at(2)}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []ItemMisfired
			events := &Events{}
			events.Misfired.Subscribe(func(e ItemMisfired) { got = append(got, e) })
			e := New(Config{Partitions: []Center{nil}, MaxRunningItems: 1, Now: func() time.Time { return at(9) }, Events: events})
			j := e.Add("orders", &Spec{Config: job.Config{MonitorExecution: true, ShardingTotalCount: 1}}, 0)
			items := registry.NewItems(0)
			j.takeOver(registry.Assignment{Job: "orders", Generation: 1, Items: items})
			j.mu.Lock()
			j.miss(0, ReasonStillRunning, 2, at(1), at(2))
			j.unlock()
			j.takeOver(registry.Assignment{Job: "orders", Generation: 3, Previous: c.previous, Items: items})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("records of gaps after takeOver() (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnInstantThatComesAgainIsRecordedOnce sets the clock back, so that the timer says
// again what items missed that nobody may run.
func TestAnInstantThatComesAgainIsRecordedOnce(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		t.Run(fmt.Sprintf("monitored=%v", monitored), func(t *testing.T) {
			t.Parallel()
			r := startRig(t)
			var got []ItemMisfired
			r.events.Misfired.Subscribe(func(e ItemMisfired) { got = append(got, e) })
			spec := &Spec{JobType: code(func(context.Context, spi.ExecuteRequest) error { return nil })}
			spec.Config.MonitorExecution = monitored
			j := r.host("orders", 1, spec)
			first := time.Now().UTC().Truncate(time.Second)
			j.Adopt(registry.Assignment{Generation: 2, Unowned: registry.NewItems(0), From: first})
			for _, later := range []time.Duration{0, 2 * time.Second, time.Second, 2 * time.Second, 3 * time.Second} {
				j.Fire(schedule.Due{Instant: first.Add(later), Now: first.Add(later)})
			}
			r.stop(t)
			want := []ItemMisfired{{Job: "orders", Item: 0, Reason: ReasonDisabled, Count: 3, From: first, To: first.Add(3 * time.Second)}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWhatWasPutOffBeforeAHandOverIsDoneAfterIt puts an instant off, because the
// node does not know whether it is up to date, and lets the next assignment come
// when items have changed hands meanwhile.
func TestWhatWasPutOffBeforeAHandOverIsDoneAfterIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		every, err := cron.Every(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		r := startRig(t)
		j := r.host("orders", 3, &Spec{JobType: code(func(context.Context, spi.ExecuteRequest) error { return nil })})
		j.spec.Schedule = every
		start := time.Now().UTC().Truncate(time.Second).Add(time.Second)
		at := func(offset time.Duration) time.Time { return start.Add(offset) }
		given := func(generation int64, from time.Time, items ...int) registry.Assignment {
			kept := registry.NewItems(items...)
			return registry.Assignment{
				Generation: generation, Previous: generation - 1, From: from, Items: kept,
				Floors: []registry.ItemsAt{{Items: kept, At: at(-time.Second)}},
			}
		}
		time.Sleep(time.Until(at(0)))
		r.fire(j)
		time.Sleep(500 * time.Millisecond)
		j.Adopt(given(2, at(1500*time.Millisecond), 1, 2)) // item 0 goes, after one more instant
		r.stale.Store(true)
		time.Sleep(time.Until(at(time.Second)))
		r.fire(j)
		time.Sleep(time.Second) // the hand-over is past
		j.Adopt(given(3, at(8*time.Second), 1))
		r.stale.Store(false)
		r.Partition(0).Renewed()
		synctest.Wait()
		var got []string
		for _, e := range r.ends() {
			if e.Item == 0 {
				got = append(got, e.Run)
			}
		}
		want := []string{registry.FormatRunID(at(0)), registry.FormatRunID(at(time.Second))}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("runs of the item that was given away (-want +got):\n%s", diff)
		}
		r.stop(t)
	})
}

// TestAGapEndsWhileTheItemIsElsewhere gives an item away and back while its code runs
// here: what it misses before and after that is in two records, since others fired in
// between.
func TestAGapEndsWhileTheItemIsElsewhere(t *testing.T) {
	t.Parallel()
	for name, isPutOff := range map[string]bool{"in time": false, "found late": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { testGapEnds(t, isPutOff) })
		})
	}
}

// testGapEnds has the fire in the hand-over come in time, or found by the adoption.
func testGapEnds(t *testing.T, isPutOff bool) {
	t.Helper()
	every, err := cron.Every(time.Second)
	if err != nil {
		t.Fatal(err)
	}
	r := startRig(t)
	var mu sync.Mutex
	var got []string
	r.events.Misfired.Subscribe(func(e ItemMisfired) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, fmt.Sprintf("%d from %d", e.Count, e.From.Second()))
	})
	open := make(chan struct{})
	j := r.host("orders", 1, &Spec{JobType: code(func(context.Context, spi.ExecuteRequest) error {
		<-open
		return nil
	})})
	j.spec.Schedule = every
	start := time.Now().UTC().Truncate(time.Second).Add(time.Second)
	at := func(offset time.Duration) time.Time { return start.Add(offset) }
	fire := func(offset time.Duration) {
		time.Sleep(time.Until(at(offset)))
		r.fire(j)
	}
	fire(0)
	time.Sleep(500 * time.Millisecond)
	j.Adopt(registry.Assignment{Generation: 2, Previous: 1, From: at(1500 * time.Millisecond)})
	if !isPutOff {
		fire(time.Second)
	}
	time.Sleep(time.Until(at(3500 * time.Millisecond))) // others fire what is due at 2 and 3
	all := registry.AllItems(1)
	j.Adopt(registry.Assignment{
		Generation: 3, Previous: 2, From: at(3500 * time.Millisecond), Items: all,
		Floors: []registry.ItemsAt{{Items: all, At: at(3500 * time.Millisecond)}},
	})
	fire(4 * time.Second)
	fire(5 * time.Second)
	close(open)
	synctest.Wait()
	r.stop(t)
	synctest.Wait()
	mu.Lock()
	defer mu.Unlock()
	want := []string{"1 from " + fmt.Sprint(at(time.Second).Second()), "2 from " + fmt.Sprint(at(4*time.Second).Second())}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records of what was missed (-want +got):\n%s", diff)
	}
}

// TestWhatADeadSessionHasLostIsNotRunAgain lets a node come back whose items went
// to others when its session had died: these have not waited for a hand-over. It may
// hear of the assignment before it notices that its session is lost.
func TestWhatADeadSessionHasLostIsNotRunAgain(t *testing.T) {
	t.Parallel()
	// The registry forgets who has forfeited items when a job is enabled again, and
	// when the items move on.
	for name, forfeited := range map[string]registry.Items{"told so": registry.NewItems(0, 1), "not told": {}} {
		for _, early := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, early=%v", name, early), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { testForfeited(t, forfeited, early) })
			})
		}
	}
}

func testForfeited(t *testing.T, forfeited registry.Items, early bool) {
	t.Helper()
	every, err := cron.Every(time.Second)
	if err != nil {
		t.Fatal(err)
	}
	r := startRig(t)
	j := r.host("orders", 2, &Spec{JobType: code(func(context.Context, spi.ExecuteRequest) error { return nil })})
	j.spec.Schedule = every
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
	r.fire(j)
	synctest.Wait()
	before := len(r.ends())
	time.Sleep(20 * time.Second)
	a := registry.Assignment{Generation: 2, Previous: 1, From: time.Now().Add(5 * time.Second), Forfeited: forfeited}
	if early {
		r.Partition(0).Detach(rigLease())
		j.Adopt(a)
	}
	r.Partition(0).Attach(registry.Lease{Instance: rigLease().Instance, Epoch: 2})
	j.Adopt(a)
	for range 8 {
		time.Sleep(time.Second)
		r.fire(j)
	}
	synctest.Wait()
	if got := len(r.ends()); before != 2 || got != before {
		t.Errorf("items started before and after the session died = %d and %d, want 2 and none", before, got-before)
	}
	r.stop(t)
}

// TestAnInstantThatHasNotComeWaits begins it when the registry's clock says that it
// has, once, and misses nothing.
func TestAnInstantThatHasNotComeWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		r.events.Misfired.Subscribe(func(e ItemMisfired) { t.Errorf("misfired %+v, want nothing", e) })
		j := r.host("orders", 2, &Spec{JobType: code(func(context.Context, spi.ExecuteRequest) error { return nil }), Config: job.Config{MonitorExecution: true}})
		r.early.Store(4)
		r.fire(j)
		synctest.Wait()
		if got := r.ends(); len(got) != 0 {
			t.Errorf("%d items ran before their instant, want none", len(got))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		r.stop(t)
		if got := r.ends(); len(got) != 2 {
			t.Errorf("%d items ran, want 2", len(got))
		}
	})
}

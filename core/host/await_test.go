package host

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// awaited is what a wait came to, and when.
type awaited struct {
	info TriggerInfo
	err  error
	at   time.Time
}

// await waits for a trigger in the background.
func (n *observed) await(ctx context.Context, name, id string) <-chan awaited {
	ended := make(chan awaited, 1)
	go func() {
		info, err := n.AwaitTrigger(ctx, name, id)
		ended <- awaited{info, err, time.Now()}
	}()
	return ended
}

// checkNobodyWaits fails if a node remembers a wait that is over.
func (n *observed) checkNobodyWaits(t *testing.T) {
	t.Helper()
	n.waits.mu.Lock()
	defer n.waits.mu.Unlock()
	if len(n.waits.byJob) > 0 {
		t.Errorf("%d jobs have waits, want none left", len(n.waits.byJob))
	}
}

// TestAWaitEndsWithItsTrigger lets both nodes of a fleet wait, for what one of them
// runs, with and without that they hear of it.
func TestAWaitEndsWithItsTrigger(t *testing.T) {
	t.Parallel()
	for name, within := range map[string]time.Duration{"doorbell": 50 * time.Millisecond, "no doorbell": awaitInterval} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := oneOffJob(1, true)
				d := &diary{t: t, takes: 7 * time.Second}
				var isLost atomic.Bool
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{d.plugin()}, before: func(args []any) error {
					for i, a := range args {
						if text, _ := a.(string); isLost.Load() && text == "ej:{fleet.0}:ch" {
							args[i] = "nobody:listens"
						}
					}
					return nil
				}})
				nodes := []*observed{f.join(), f.join()}
				time.Sleep(10 * time.Second)
				id := nodes[0].trigger(t, Trigger{Job: c.Name}).ID
				var waits []<-chan awaited
				for _, n := range nodes {
					waits = append(waits, n.await(t.Context(), c.Name, id))
				}
				time.Sleep(3 * time.Second)
				isLost.Store(name == "no doorbell")
				for i, wait := range waits {
					got := <-wait
					if got.err != nil || !slices.Equal(got.info.Succeeded, []int{0}) || len(got.info.Left) > 0 {
						t.Errorf("AwaitTrigger() of node %d = %+v, %v, want item 0 to have succeeded", i, got.info, got.err)
					}
					if late := got.at.Sub(got.info.Ended); late < 0 || late > within {
						t.Errorf("AwaitTrigger() of node %d ends %v after the trigger, want at most %v", i, late, within)
					}
					nodes[i].checkNobodyWaits(t)
				}
				if again, err := nodes[1].AwaitTrigger(t.Context(), c.Name, id); err != nil || again.Ended.IsZero() {
					t.Errorf("AwaitTrigger() of what has ended = %+v, %v, want it at once", again, err)
				}
				f.leaveAll()
			})
		})
	}
}

// TestAWaitOutlivesAnOutage lets the node that waits lose its session.
func TestAWaitOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := oneOffJob(2, true)
		f, _ := diaryFleet(t, c, 20*time.Second)
		runs := f.join()
		isAway := f.unsteady(func() time.Duration { return time.Millisecond })
		waits := f.join()
		time.Sleep(10 * time.Second)
		id := runs.trigger(t, Trigger{Job: c.Name, Instance: runs.instance.ID}).ID
		ended := waits.await(t.Context(), c.Name, id)
		time.Sleep(time.Second)
		isAway.Store(true)
		time.Sleep(time.Minute)
		select {
		case got := <-ended:
			t.Fatalf("AwaitTrigger() during the outage = %+v, %v, want it to wait", got.info, got.err)
		default:
		}
		isAway.Store(false)
		back := time.Now()
		got := <-ended
		if got.err != nil || len(got.info.Succeeded) != 1 || got.at.Sub(back) > awaitInterval {
			t.Errorf("AwaitTrigger() = %+v, %v, %v after the outage, want one item to have succeeded within %v", got.info, got.err, got.at.Sub(back), awaitInterval)
		}
		f.leaveAll()
	})
}

// TestAWaitEndsWithAnError for what never comes, at once.
func TestAWaitEndsWithAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := oneOffJob(2, true)
		f, _ := diaryFleet(t, c, time.Hour)
		n := f.join()
		other := f.join()
		time.Sleep(10 * time.Second)
		for _, id := range []string{"00000000-0000-7000-8000-000000000001", "7", ""} {
			if got, err := n.AwaitTrigger(t.Context(), c.Name, id); !errors.Is(err, registry.ErrUnknownTrigger) {
				t.Errorf("AwaitTrigger(%q) = %+v, %v, want %v", id, got, err, registry.ErrUnknownTrigger)
			}
		}
		if got, err := n.AwaitTrigger(t.Context(), "a b", "7"); !errors.Is(err, registry.ErrUnknownTrigger) {
			t.Errorf("AwaitTrigger of no name = %+v, %v, want %v", got, err, registry.ErrUnknownTrigger)
		}
		id := n.trigger(t, Trigger{Job: c.Name}).ID
		check := func(what string, wait <-chan awaited, since time.Time, want error) {
			t.Helper()
			got := <-wait
			if !errors.Is(got.err, want) || len(got.info.Left) != 2 || got.info.ID != id {
				t.Errorf("AwaitTrigger() %s = %+v, %v, want two items left and %v", what, got.info, got.err, want)
			}
			if took := got.at.Sub(since); took > 100*time.Millisecond {
				t.Errorf("AwaitTrigger() %s ends %v after it, want at once", what, took)
			}
		}
		bounded, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		wait := n.await(bounded, c.Name, id)
		time.Sleep(30 * time.Second)
		check("with a bound", wait, time.Now(), context.DeadlineExceeded)
		errEnough := errors.New("enough")
		ended, end := context.WithCancelCause(t.Context())
		wait = n.await(ended, c.Name, id)
		time.Sleep(7 * time.Second)
		end(errEnough)
		check("with a cause", wait, time.Now(), errEnough)

		wait = other.await(t.Context(), c.Name, id)
		time.Sleep(7 * time.Second)
		f.up = []*observed{n}
		other.stop(t)
		got := <-wait
		if !errors.Is(got.err, ErrStopped) || len(got.info.Left) == 0 {
			t.Errorf("AwaitTrigger() on a node that stops = %+v, %v, want items left and %v", got.info, got.err, ErrStopped)
		}
		if _, err := other.AwaitTrigger(t.Context(), c.Name, id); !errors.Is(err, ErrStopped) {
			t.Errorf("AwaitTrigger() on a stopped node = %v, want %v", err, ErrStopped)
		}

		wait = n.await(t.Context(), c.Name, id)
		time.Sleep(7 * time.Second)
		removed := time.Now()
		if err := n.RemoveJob(t.Context(), c.Name); err != nil {
			t.Fatal(err)
		}
		if got := <-wait; !errors.Is(got.err, registry.ErrUnknownTrigger) || got.at.Sub(removed) > 100*time.Millisecond {
			t.Errorf("AwaitTrigger() of a removed job = %v after %v, want %v at once", got.err, got.at.Sub(removed), registry.ErrUnknownTrigger)
		}
		n.checkNobodyWaits(t)
		f.leaveAll()
	})
}

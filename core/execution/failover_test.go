package execution

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// orphan is the answer to a claim that gets items of a run begun at an instant.
func orphan(fence int64, at time.Time, more bool, items ...int) registry.ClaimReply {
	all := registry.NewItems(items...)
	return registry.ClaimReply{
		Code: registry.CodeOK, Fence: fence, Items: all, Instant: at, Run: "run", Former: []registry.Orphan{{Former: "dead", Items: all}}, More: more,
	}
}

// waits makes answers be given to the next claims.
func (r *rig) waits(replies ...registry.ClaimReply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claims = append(r.claims, replies...)
}

// asked returns how many items each claim asked for at most.
func (r *rig) asked() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	var most []int
	for _, c := range r.claimed {
		most = append(most, c.Most)
	}
	return most
}

// TestItemsOfADeadInstanceAreTakenOver runs them here although they are another's,
// with what they had saved.
func TestItemsOfADeadInstanceAreTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		var mu sync.Mutex
		ran := map[int]spi.ShardingContext{}
		var reasons []string
		var taken []ItemFailedOver
		r.events.FailedOver.Subscribe(func(e ItemFailedOver) { taken = append(taken, e) })
		j := r.host("orders", 4, &Spec{JobType: code(func(ctx context.Context, req spi.ExecuteRequest) error {
			mu.Lock()
			defer mu.Unlock()
			ran[req.Context.ShardingItem] = req.Context
			reasons = append(reasons, ask(ctx, req.Services, spi.OpShouldStop, `{}`))
			return nil
		}), Config: job.Config{Failover: true, MonitorExecution: true}})
		j.Adopt(registry.Assignment{Generation: 2})
		at := time.Now().Add(-time.Minute).UTC().Truncate(time.Millisecond)
		first, second := orphan(7, at, true, 0, 2), orphan(8, at.Add(time.Second), false, 1)
		first.Checkpoints = map[int][]byte{2: []byte("page 7")}
		second.Trigger, second.Run, second.Parameter = "018f0000-0000-7000-8000-000000000001", "018f0000-0000-7000-8000-000000000001", new("by hand")
		r.waits(first, second)
		j.Orphaned()
		synctest.Wait()
		r.stop(t)
		if got := slices.Sorted(maps.Keys(ran)); !slices.Equal(got, []int{0, 1, 2}) {
			t.Fatalf("items %v ran, want 0, 1 and 2", got)
		}
		for item, c := range ran {
			run, fence := registry.FormatRunID(at), int64(7)
			if item == 1 {
				run, fence = second.Trigger, 8
			}
			if c.ExecutionSource != spi.SourceFailover || c.Attempt != 1 || c.RunID != run || c.FencingToken != fence || !strings.Contains(c.TaskID, "@-@FAILOVER@-@") {
				t.Errorf("item %d ran with %+v, want source FAILOVER, attempt 1, run %s, token %d", item, c, run, fence)
			}
		}
		if got := string(ran[2].Checkpoint) + "|" + string(ran[0].Checkpoint); got != "page 7|" {
			t.Errorf("checkpoints = %q, want that of item 2", got)
		}
		if ran[1].JobParameter != "by hand" {
			t.Errorf("parameter of the manual run = %q, want that of its trigger", ran[1].JobParameter)
		}
		for _, reason := range reasons {
			if reason != `{"stop":false,"reason":""}` {
				t.Errorf("should_stop = %s, want no, although the items are another's", reason)
			}
		}
		for _, c := range r.reports() {
			if c.Outcome != registry.OutcomeSuccess || !c.Claimed || c.Manual != (c.Fence == 8) {
				t.Errorf("reported %+v, want success of a claim", c)
			}
		}
		want := []ItemFailedOver{
			{"orders", 0, registry.FormatRunID(at), "dead"}, {"orders", 2, registry.FormatRunID(at), "dead"}, {"orders", 1, second.Trigger, "dead"},
		}
		if diff := cmp.Diff(want, taken); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// TestOnlyFreeWorkersTakeOver leaves items to others as long as the pool of the job
// or the node has no room, and takes them as soon as there is.
func TestOnlyFreeWorkersTakeOver(t *testing.T) {
	t.Parallel()
	for name, isFull := range map[string]bool{"pool": false, "node": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := startRig(t)
				goOn, ran := make(chan struct{}), make(chan spi.Source, 9)
				busy := r.host("busy", 2, &Spec{JobType: code(func(_ context.Context, req spi.ExecuteRequest) error {
					if req.Context.ExecutionSource == spi.SourceNormal {
						<-goOn
					}
					ran <- req.Context.ExecutionSource
					return nil
				}), Config: job.Config{MonitorExecution: true}})
				waiting := busy
				if isFull {
					r.workers.max = 2
					waiting = r.host("idle", 2, &Spec{JobType: busy.Spec().JobType, Config: job.Config{MonitorExecution: true}})
				}
				r.fire(busy)
				synctest.Wait()
				r.waits(orphan(7, time.Now(), false, 0))
				waiting.Orphaned()
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := r.asked(); len(got) > 0 {
					t.Errorf("claims for %v items without room, want none", got)
				}
				close(goOn)
				time.Sleep(time.Second)
				synctest.Wait()
				// One place may be free before the other.
				if got := r.asked(); len(got) == 0 || got[0] < 1 || got[0] > 2 {
					t.Errorf("claims for %v items with room, want for one or two", got)
				}
				r.stop(t)
				close(ran)
				var sources []spi.Source
				for source := range ran {
					sources = append(sources, source)
				}
				if !slices.Contains(sources, spi.SourceFailover) {
					t.Errorf("ran for %v, want one failover", sources)
				}
			})
		})
	}
}

// TestWhatIsTakenOverAndNotStartedIsGivenBack stops a node whose claimed item still
// waits for the listeners.
func TestWhatIsTakenOverAndNotStartedIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		r.events.Misfired.Subscribe(func(e ItemMisfired) { t.Errorf("misfired %+v, want nothing", e) })
		j := r.host("orders", 1, &Spec{
			JobType: code(func(context.Context, spi.ExecuteRequest) error {
				t.Error("the item ran")
				return nil
			}),
			Listeners: []*Listener{{Type: "SLOW", Listener: listenerFuncs{before: func(ctx context.Context, _ spi.JobListenerRequest) error {
				<-ctx.Done()
				return ctx.Err()
			}}}},
			Config: job.Config{MonitorExecution: true},
		})
		r.waits(orphan(7, time.Now(), false, 0))
		j.Orphaned()
		synctest.Wait()
		r.stop(t)
		reports := r.reports()
		if len(reports) != 1 || reports[0].Outcome != registry.OutcomeReturned || !reports[0].Claimed || reports[0].Fence != 7 {
			t.Errorf("reported %+v, want item 0 given back", reports)
		}
	})
}

// TestTakingOverWaits until the node may begin something.
func TestTakingOverWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		j := r.host("orders", 1, &Spec{JobType: code(func(context.Context, spi.ExecuteRequest) error { return nil }), Config: job.Config{MonitorExecution: true}})
		steps := []struct {
			what string
			do   func()
			asks int
		}{
			{"quarantine", func() { r.Partition(0).Hold(); j.Orphaned() }, 0},
			{"its end", r.Partition(0).Resume, 1},
			{"a lost session", func() { r.Partition(0).Detach(rigLease()); j.Orphaned() }, 1},
			{"another session", func() { r.Partition(0).Attach(rigLease()) }, 1},
			{"its assignment", func() { j.Adopt(r.owned(1)) }, 2},
			{"a change that tells of items", func() {
				a := r.owned(1)
				a.Orphaned = true
				j.Adopt(a)
			}, 3},
			{"the farewell", func() { r.HandOver(); j.Orphaned() }, 3},
		}
		for _, step := range steps {
			step.do()
			synctest.Wait()
			if got := len(r.asked()); got != step.asks {
				t.Fatalf("after %s %d claims, want %d", step.what, got, step.asks)
			}
		}
		r.stop(t)
	})
}

// TestCheckpointsAreShared hands them to the registry if somebody may take the item
// over, and says when it has not kept them.
func TestCheckpointsAreShared(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failover bool
		err      error
		want     string
		shared   int
	}{
		"failover":    {true, nil, `{}`, 1},
		"none":        {false, nil, `{}`, 0},
		"lease lost":  {true, fmt.Errorf("saving: %w", registry.ErrLeaseLost), spi.CodeLeaseLost.String(), 1},
		"unreachable": {true, errors.New("connection refused"), spi.CodeUnavailable.String(), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := startRig(t)
				r.saveError = c.err
				var got string
				j := r.host("orders", 1, &Spec{JobType: code(func(ctx context.Context, req spi.ExecuteRequest) error {
					got = ask(ctx, req.Services, spi.OpCheckpointSave, `{"data":"cGFnZSA3"}`)
					return nil
				}), Config: job.Config{Failover: c.failover, MonitorExecution: true}})
				r.fire(j)
				synctest.Wait()
				r.stop(t)
				if got != c.want {
					t.Errorf("checkpoint.save = %s, want %s", got, c.want)
				}
				if len(r.saved) != c.shared {
					t.Fatalf("%d checkpoints saved, want %d", len(r.saved), c.shared)
				}
				want := registry.CheckpointRequest{Lease: rigLease(), Job: "orders", Fence: 1, Data: []byte("page 7")}
				if c.shared == 1 && cmp.Diff(want, r.saved[0]) != "" {
					t.Errorf("saved (-want +got):\n%s", cmp.Diff(want, r.saved[0]))
				}
			})
		})
	}
}

package execution

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// retries is a definition with retries.
func retries(most int, backoff time.Duration) job.Config {
	return job.Config{MonitorExecution: true, MaxRetries: most, RetryBackoff: backoff}
}

// attempts describes ends of items: the attempt, its source and its outcome.
func attempts(ends []ItemFinished) []string {
	var lines []string
	for _, e := range ends {
		lines = append(lines, fmt.Sprintf("%d: %d %s %s", e.Item, e.Attempt, e.Source, e.Outcome))
	}
	return lines
}

// outcomes are what was completed, by outcome.
func outcomes(reports []registry.CompleteRequest) string {
	var all []string
	for _, r := range reports {
		all = append(all, string(r.Outcome)+":"+r.Items.String())
	}
	return strings.Join(all, " ")
}

// seen is what error handlers were told.
type seen struct{ failures []spi.HandleErrorRequest }

func (s *seen) handlers() []*Handler {
	return []*Handler{{Type: "PROBE", Handler: spi.ErrorHandlerFunc(func(_ context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
		s.failures = append(s.failures, req)
		return spi.HandleErrorResponse{}, nil
	})}}
}

// TestAFailedItemIsRunAgain is what #612, #617, #450 and #1984 of ElasticJob ask for.
func TestAFailedItemIsRunAgain(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		t.Run(fmt.Sprintf("monitored %v", monitored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := startRig(t)
				var told seen
				var calls []spi.ShardingContext
				var started []time.Duration
				begin := time.Now()
				c := retries(3, 100*time.Millisecond)
				c.MonitorExecution = monitored
				j := r.host("orders", 1, &Spec{
					Config: c, Handlers: told.handlers(),
					JobType: code(func(_ context.Context, req spi.ExecuteRequest) error {
						calls = append(calls, req.Context)
						started = append(started, time.Since(begin))
						if len(calls) < 3 {
							return errors.New("not yet")
						}
						return nil
					}),
				})
				at := r.fire(j)
				time.Sleep(time.Minute)
				synctest.Wait()
				want := []string{"0: 1 NORMAL_TRIGGER failure", "0: 2 RETRY failure", "0: 3 RETRY success"}
				if diff := cmp.Diff(want, attempts(r.ends())); diff != "" {
					t.Errorf("attempts differ (-want +got):\n%s", diff)
				}
				// The pause doubles.
				if diff := cmp.Diff([]time.Duration{0, 100 * time.Millisecond, 300 * time.Millisecond}, started); diff != "" {
					t.Errorf("starts of the attempts differ (-want +got):\n%s", diff)
				}
				for i, got := range calls {
					if got.Attempt != i+1 || got.RunID != registry.FormatRunID(at) || got.TaskID != calls[0].TaskID || got.FencingToken != calls[0].FencingToken {
						t.Errorf("context of attempt %d = %+v, want that of the run with its own number", i+1, got)
					}
				}
				want = nil
				if monitored {
					want = []string{"S:0"}
				}
				if got := strings.Fields(outcomes(r.reports())); !cmp.Equal(got, want) && len(got)+len(want) > 0 {
					t.Errorf("reports to the registry = %v, want %v", got, want)
				}
				if len(told.failures) > 0 {
					t.Errorf("error handlers were told of %d failures, want none: the run has succeeded", len(told.failures))
				}
				r.stop(t)
			})
		})
	}
}

func TestOnlyTheLastFailureIsHandled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		var told seen
		var heard []spi.JobRun
		var n int
		j := r.host("orders", 1, &Spec{
			Config: retries(2, time.Second), Handlers: told.handlers(),
			Listeners: []*Listener{{Type: "AUDIT", Listener: listenerFuncs{after: func(_ context.Context, req spi.JobListenerRequest) error {
				heard = append(heard, req.Run)
				return nil
			}}}},
			JobType: code(func(context.Context, spi.ExecuteRequest) error { n++; return fmt.Errorf("failure %d", n) }),
		})
		r.fire(j)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(told.failures) != 1 || told.failures[0].Error.Message != "failure 3" || told.failures[0].Context.Attempt != 3 {
			t.Errorf("error handlers were told of %+v, want failure 3 of attempt 3 alone", told.failures)
		}
		if len(heard) != 1 || heard[0].Items[0].Outcome != spi.OutcomeFailure || heard[0].Items[0].Error.Message != "failure 3" {
			t.Errorf("listeners were told of %+v, want one run whose item has failure 3", heard)
		}
		if got := outcomes(r.reports()); got != "F:0" {
			t.Errorf("reports to the registry = %s, want F:0", got)
		}
		r.stop(t)
	})
}

// TestWhatIsRunAgain tries each kind of end.
func TestWhatIsRunAgain(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		do   func(ctx context.Context) error
		want int
	}{
		"success":            {func(context.Context) error { return nil }, 1},
		"plain error":        {func(context.Context) error { return errors.New("x") }, 2},
		"panic":              {func(context.Context) error { panic("x") }, 2},
		"timeout":            {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 2},
		"unavailable":        {func(context.Context) error { return spi.NewError(spi.CodeUnavailable, "x") }, 2},
		"not found":          {func(context.Context) error { return spi.NewError(spi.CodeNotFound, "x") }, 2},
		"own code":           {func(context.Context) error { return spi.NewError(1234, "x") }, 2},
		"trap":               {func(context.Context) error { return spi.NewError(spi.CodeTrap, "x") }, 2},
		"invalid properties": {func(context.Context) error { return spi.NewError(spi.CodeInvalidProperties, "x") }, 1},
		"unsupported":        {func(context.Context) error { return spi.NewError(spi.CodeUnsupported, "x") }, 1},
		"denied":             {func(context.Context) error { return fmt.Errorf("asking: %w", spi.NewError(spi.CodeDenied, "x")) }, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := startRig(t)
				config := retries(1, time.Second)
				config.Timeout = rigTimeout
				calls := 0
				j := r.host("orders", 1, &Spec{Config: config, JobType: code(func(ctx context.Context, _ spi.ExecuteRequest) error { calls++; return c.do(ctx) })})
				r.fire(j)
				time.Sleep(time.Minute)
				synctest.Wait()
				if calls != c.want {
					t.Errorf("attempts = %d, want %d", calls, c.want)
				}
				r.stop(t)
			})
		})
	}
}

// TestAPauseEndsAtOnce ends an item between two attempts in every way there is: it
// has failed then, and nothing waits for the rest of the pause.
func TestAPauseEndsAtOnce(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		happen func(t *testing.T, r *rig, j *Job)
		reason string // "" when it does not end
	}{
		"node stops":   {func(t *testing.T, r *rig, _ *Job) { t.Helper(); r.stop(t) }, "stopping"},
		"node drains":  {func(_ *testing.T, r *rig, _ *Job) { r.HandOver() }, "stopping"},
		"lease lost":   {func(_ *testing.T, r *rig, _ *Job) { r.Partition(0).Detach(rigLease()) }, "lease-lost"},
		"job removed":  {func(_ *testing.T, r *rig, j *Job) { r.Remove(j.Name()) }, "disabled"},
		"job disabled": {func(_ *testing.T, r *rig, j *Job) { a := r.owned(2); a.Disabled = true; j.Adopt(a) }, "disabled"},
		"item disabled": {func(_ *testing.T, r *rig, j *Job) {
			a := r.owned(2)
			a.DisabledItems = registry.NewItems(1)
			j.Adopt(a)
		}, "disabled"},
		"item moved": {func(_ *testing.T, r *rig, j *Job) { a := r.owned(1); a.Generation = 2; j.Adopt(a) }, "reshard"},
		"nobody may run it": {func(_ *testing.T, _ *rig, j *Job) {
			j.Adopt(registry.Assignment{Generation: 2, Unowned: registry.AllItems(2)})
		}, "disabled"},
		"another item disabled": {func(_ *testing.T, r *rig, j *Job) {
			a := r.owned(2)
			a.DisabledItems = registry.NewItems(0)
			j.Adopt(a)
		}, ""},
		"another assignment": {func(_ *testing.T, r *rig, j *Job) { a := r.owned(2); a.Generation = 2; j.Adopt(a) }, ""},
		"another definition": {func(_ *testing.T, _ *rig, j *Job) {
			next := *j.Spec()
			j.Replace(&Spec{Config: next.Config, JobType: next.JobType, Schedule: never{}})
		}, ""},
	}
	for name, c := range cases {
		for _, monitored := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, monitored %v", name, monitored), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := startRig(t)
					var told seen
					config := retries(1, 4*time.Minute)
					config.MonitorExecution = monitored
					spec := &Spec{Config: config, Handlers: told.handlers(), JobType: code(func(_ context.Context, req spi.ExecuteRequest) error {
						if req.Context.ShardingItem == 0 || req.Context.Attempt > 1 {
							return nil
						}
						return errors.New("out of order")
					})}
					j := r.host("orders", 2, spec)
					r.fire(j)
					time.Sleep(time.Second)
					synctest.Wait()
					if got := j.attemptOf(1); got != 0 {
						t.Fatalf("attempt of the item = %d, want 0 in its pause", got)
					}
					begin := time.Now()
					c.happen(t, r, j)
					synctest.Wait()
					if took := time.Since(begin); took > time.Second {
						t.Errorf("it took %v, want no wait for the pause", took)
					}
					ended := len(told.failures) == 1 && told.failures[0].Error.Message == "out of order" && told.failures[0].Context.Attempt == 1
					if want := c.reason != ""; ended != want || j.isBusyItem(1) == want {
						t.Errorf("item ended: %v, its failure handled: %+v, want %v", !j.isBusyItem(1), told.failures, want)
					}
					time.Sleep(10 * time.Minute)
					synctest.Wait()
					want := []string{"0: 1 NORMAL_TRIGGER success", "1: 1 NORMAL_TRIGGER failure"}
					if c.reason == "" {
						want = append(want, "1: 2 RETRY success")
					}
					if diff := cmp.Diff(want, slices.Sorted(slices.Values(attempts(r.ends())))); diff != "" {
						t.Errorf("attempts differ (-want +got):\n%s", diff)
					}
					if monitored && c.reason != "" && c.reason != "lease-lost" && !strings.Contains(outcomes(r.reports()), "F:1") {
						t.Errorf("reports to the registry = %s, want the failure of item 1", outcomes(r.reports()))
					}
					if got := spec.uses.n.Load(); got != 0 {
						t.Errorf("uses of the spec = %d, want 0", got)
					}
					r.stop(t)
				})
			})
		}
	}
}

func (j *Job) isBusyItem(item int) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.isBusy(item)
}

// TestARetryWaitsForRoomLikeOthers lets an item fail beside others in a pool of
// one: during the pause they run, and its next attempt comes after those that
// waited before it.
func TestARetryWaitsForRoomLikeOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		var order []string
		j := r.host("orders", 4, &Spec{Config: retries(1, 1500*time.Millisecond), Pool: 1, JobType: code(func(_ context.Context, req spi.ExecuteRequest) error {
			order = append(order, fmt.Sprintf("%d/%d", req.Context.ShardingItem, req.Context.Attempt))
			time.Sleep(time.Second)
			if req.Context.ShardingItem == 0 && req.Context.Attempt == 1 {
				return errors.New("out of order")
			}
			return nil
		})})
		r.fire(j)
		time.Sleep(time.Minute)
		synctest.Wait()
		if diff := cmp.Diff([]string{"0/1", "1/1", "2/1", "3/1", "0/2"}, order); diff != "" {
			t.Errorf("order of the attempts differs (-want +got):\n%s", diff)
		}
		r.stop(t)
	})
}

// TestARetryInTheQueueEndsWithItsJob stops a node whose retry waits for room.
func TestARetryInTheQueueEndsWithItsJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		var told seen
		j := r.host("orders", 2, &Spec{Config: retries(1, time.Second), Pool: 1, Handlers: told.handlers(), JobType: code(func(_ context.Context, req spi.ExecuteRequest) error {
			if req.Context.ShardingItem == 0 {
				return errors.New("out of order")
			}
			time.Sleep(rigGrace / 2)
			return nil
		})})
		r.fire(j)
		time.Sleep(2 * time.Second)
		r.stop(t)
		if len(told.failures) != 1 || told.failures[0].Context.ShardingItem != 0 {
			t.Errorf("error handlers were told of %+v, want the failure of item 0", told.failures)
		}
		if diff := cmp.Diff([]string{"0: 1 NORMAL_TRIGGER failure", "1: 1 NORMAL_TRIGGER success"}, attempts(r.ends())); diff != "" {
			t.Errorf("attempts differ (-want +got):\n%s", diff)
		}
	})
}

func TestARetryGetsTheCheckpoint(t *testing.T) {
	t.Parallel()
	save := func(ctx context.Context, s spi.Services, text string) string {
		return ask(ctx, s, spi.OpCheckpointSave, fmt.Sprintf(`{"data":%q}`, base64.StdEncoding.EncodeToString([]byte(text))))
	}
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		var got []string
		var earlier spi.Services
		j := r.host("orders", 1, &Spec{Config: retries(2, time.Second), JobType: code(func(ctx context.Context, req spi.ExecuteRequest) error {
			got = append(got, string(req.Context.Checkpoint))
			if earlier != nil {
				// Whatever an attempt has left behind does not count any more.
				if answer := save(ctx, earlier, "late"); answer != "CANCELLED" {
					t.Errorf("checkpoint.save of an earlier attempt = %s, want CANCELLED", answer)
				}
			}
			earlier = req.Services
			if answer := save(ctx, req.Services, fmt.Sprintf("after %d", req.Context.Attempt)); answer != "{}" {
				t.Errorf("checkpoint.save of attempt %d = %s, want {}", req.Context.Attempt, answer)
			}
			if req.Context.Attempt < 3 {
				return errors.New("out of order")
			}
			return nil
		})})
		for range 2 {
			r.fire(j)
			time.Sleep(500 * time.Millisecond)
			synctest.Wait()
			if answer := save(t.Context(), earlier, "in the pause"); answer != "CANCELLED" {
				t.Errorf("checkpoint.save in the pause = %s, want CANCELLED", answer)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		if diff := cmp.Diff([]string{"", "after 1", "after 2", "", "after 1", "after 2"}, got); diff != "" {
			t.Errorf("checkpoints of the attempts differ (-want +got):\n%s", diff)
		}
		r.stop(t)
	})
}

// TestARetryOfAStreamBeginsAtTheCheckpoint lets a dataflow fail in its third
// batch.
func TestARetryOfAStreamBeginsAtTheCheckpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		var processed []string
		spec := flowFuncs{
			fetch: func(_ context.Context, req spi.FetchDataRequest) (spi.FetchDataResponse, error) {
				from := len(req.Context.Checkpoint) + len(req.Cursor)
				if from >= 5 {
					return spi.FetchDataResponse{}, nil
				}
				return spi.FetchDataResponse{Data: [][]byte{fmt.Append(nil, from)}, Cursor: req.Cursor + "x"}, nil
			},
			process: func(ctx context.Context, req spi.ProcessDataRequest) error {
				if string(req.Data[0]) == "2" && req.Context.Attempt == 1 {
					return errors.New("out of order")
				}
				processed = append(processed, string(req.Data[0]))
				done := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", len(processed))))
				ask(ctx, req.Services, spi.OpCheckpointSave, fmt.Sprintf(`{"data":%q}`, done))
				return nil
			},
		}.spec(true)
		spec.Config = retries(1, time.Second)
		r.fire(r.host("orders", 1, spec))
		time.Sleep(time.Minute)
		synctest.Wait()
		if diff := cmp.Diff([]string{"0", "1", "2", "3", "4"}, processed); diff != "" {
			t.Errorf("processed data differ (-want +got):\n%s", diff)
		}
		r.stop(t)
	})
}

// TestAnItemBetweenItsAttemptsHoldsItsNextFire fires an unmonitored job during a
// pause: it is caught up when the item is done.
func TestAnItemBetweenItsAttemptsHoldsItsNextFire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		var calls []string
		config := retries(1, 10*time.Second)
		config.MonitorExecution = false
		j := r.host("orders", 1, &Spec{Config: config, JobType: code(func(_ context.Context, req spi.ExecuteRequest) error {
			calls = append(calls, string(req.Context.ExecutionSource))
			if len(calls) == 1 {
				return errors.New("out of order")
			}
			return nil
		})})
		r.fire(j)
		time.Sleep(time.Second)
		r.fire(j)
		time.Sleep(time.Minute)
		synctest.Wait()
		if diff := cmp.Diff([]string{"NORMAL_TRIGGER", "RETRY", "MISFIRE"}, calls); diff != "" {
			t.Errorf("runs differ (-want +got):\n%s", diff)
		}
		r.stop(t)
	})
}

// TestTheLogSaysWhyAnItemIsNotRunAgain looks at the record.
func TestTheLogSaysWhyAnItemIsNotRunAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		r := newRig(t, slog.New(slog.NewTextHandler(&log, nil)))
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		j := r.host("orders", 1, failing(func(context.Context) error { return nil }))
		j.spec.Config.MaxRetries = 5
		r.fire(j)
		time.Sleep(1500 * time.Millisecond)
		r.stop(t)
		if want := `msg="item not run again" job=orders item=0 run=20000101T000000.000Z attempt=2 retries=5 reason=stopping`; !strings.Contains(log.String(), want) {
			t.Errorf("log = %s\nwant %s", log.String(), want)
		}
	})
}

// TestItemsThatFailAllTheTimeLeaveNothing lets many items fail with short pauses.
func TestItemsThatFailAllTheTimeLeaveNothing(t *testing.T) {
	t.Parallel()
	r := startRig(t)
	var calls atomic.Int64
	spec := &Spec{Config: retries(20, time.Millisecond), Pool: 3, JobType: code(func(context.Context, spi.ExecuteRequest) error {
		calls.Add(1)
		return errors.New("out of order")
	})}
	j := r.host("orders", 50, spec)
	for range 3 {
		r.fire(j)
		time.Sleep(5 * time.Millisecond)
	}
	r.stop(t)
	if calls.Load() == 0 || j.busyItems() != 0 || len(j.retries) != 0 || j.active != 0 || spec.uses.n.Load() != 0 {
		t.Errorf("after %d attempts: busy %d, retries %d, active %d, uses %d, want nothing left",
			calls.Load(), j.busyItems(), len(j.retries), j.active, spec.uses.n.Load())
	}
}

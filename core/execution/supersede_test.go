package execution

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
)

// superseding is an unmonitored definition whose fires cancel what still runs. The
// center of a rig holds nothing; monitored jobs are tried with a real one.
func superseding() job.Config { return job.Config{ConcurrencyPolicy: job.ConcurrencyCancelRunning} }

// endings describes ends of items with their errors.
func endings(ends []ItemFinished) []string {
	var lines []string
	for _, e := range ends {
		line := fmt.Sprintf("%d %s %s", e.Item, e.Source, e.Outcome)
		if e.Error != nil {
			line += fmt.Sprintf(" %s: %s", e.Error.Code, e.Error.Message)
		}
		lines = append(lines, line)
	}
	return lines
}

// TestAFireCancelsWhatStillRuns fires a job whose items wait for their
// cancellation, with misfire off: each instant runs all the same.
func TestAFireCancelsWhatStillRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		var misfired []ItemMisfired
		r.events.Misfired.Subscribe(func(e ItemMisfired) { misfired = append(misfired, e) })
		var started []time.Time
		var causes []error
		j := r.host("orders", 1, &Spec{Config: superseding(), JobType: code(func(ctx context.Context, req spi.ExecuteRequest) error {
			started = append(started, req.Context.FireTime)
			if len(started) == 3 {
				return nil
			}
			<-ctx.Done()
			causes = append(causes, context.Cause(ctx))
			return ctx.Err()
		})})
		j.spec.Config.Misfire = false
		var fired []time.Time
		for range 3 {
			fired = append(fired, r.fire(j))
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if diff := cmp.Diff(fired, started); diff != "" {
			t.Errorf("instants that ran differ from those fired (-want +got):\n%s", diff)
		}
		want := []string{
			"0 NORMAL_TRIGGER cancelled CANCELLED: its next fire has come", "0 NORMAL_TRIGGER cancelled CANCELLED: its next fire has come",
			"0 NORMAL_TRIGGER success",
		}
		if diff := cmp.Diff(want, endings(r.ends())); diff != "" {
			t.Errorf("ends of the item differ (-want +got):\n%s", diff)
		}
		for _, cause := range causes {
			if !errors.Is(cause, spi.ErrSuperseded) {
				t.Errorf("cause of the cancellation = %v, want %v", cause, spi.ErrSuperseded)
			}
		}
		if len(misfired) > 0 {
			t.Errorf("misfired = %+v, want none: each instant has run in time", misfired)
		}
		if len(j.cancels) > 0 {
			t.Errorf("cancels = %v, want none when nothing runs", j.cancels)
		}
		r.stop(t)
	})
}

// TestWhatIgnoresItsCancellationHoldsItselfOnly lets one item of two go on for
// three more fires: the last of them runs as a catch-up, the others are recorded.
func TestWhatIgnoresItsCancellationHoldsItselfOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		var misfired []string
		r.events.Misfired.Subscribe(func(e ItemMisfired) {
			misfired = append(misfired, fmt.Sprintf("%d %s %d %v", e.Item, e.Reason, e.Count, e.To.Sub(e.From)))
		})
		runs := make([][]string, 2)
		j := r.host("orders", 2, &Spec{Config: superseding(), JobType: code(func(_ context.Context, req spi.ExecuteRequest) error {
			item := req.Context.ShardingItem
			runs[item] = append(runs[item], string(req.Context.ExecutionSource))
			if item == 1 && len(runs[1]) == 1 {
				time.Sleep(3500 * time.Millisecond)
			}
			return nil
		})})
		for range 5 {
			r.fire(j)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		const normal = "NORMAL_TRIGGER"
		if diff := cmp.Diff([][]string{{normal, normal, normal, normal, normal}, {normal, normal, normal}}, runs); diff != "" {
			t.Errorf("runs of the items differ (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"1 still-running 2 1s"}, misfired); diff != "" {
			t.Errorf("misfired differs (-want +got):\n%s", diff)
		}
		r.stop(t)
	})
}

// TestAFireEndsAPause fires a job whose item waits for its next attempt.
func TestAFireEndsAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		var told seen
		config := superseding()
		config.MaxRetries, config.RetryBackoff = 1, time.Minute
		calls := 0
		j := r.host("orders", 1, &Spec{Config: config, Handlers: told.handlers(), JobType: code(func(context.Context, spi.ExecuteRequest) error {
			if calls++; calls == 1 {
				return errors.New("out of order")
			}
			return nil
		})})
		r.fire(j)
		time.Sleep(time.Second)
		r.fire(j)
		synctest.Wait()
		if diff := cmp.Diff([]string{"0: 1 NORMAL_TRIGGER failure", "0: 1 NORMAL_TRIGGER success"}, attempts(r.ends())); diff != "" {
			t.Errorf("attempts differ (-want +got):\n%s", diff)
		}
		if len(told.failures) != 1 {
			t.Errorf("error handlers were told of %d failures, want 1", len(told.failures))
		}
		r.stop(t)
	})
}

// TestWhatWaitsForRoomIsNotCancelled lets a pool of one have three items that
// never end in time: each comes to its turn.
func TestWhatWaitsForRoomIsNotCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		runs := make([]int, 3)
		j := r.host("orders", 3, &Spec{Config: superseding(), Pool: 1, JobType: code(func(ctx context.Context, req spi.ExecuteRequest) error {
			runs[req.Context.ShardingItem]++
			<-ctx.Done()
			return ctx.Err()
		})})
		for range 9 {
			r.fire(j)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		for item, n := range runs {
			if n < 2 {
				t.Errorf("runs of item %d = %d, want at least 2 of 9", item, n)
			}
		}
		r.stop(t)
	})
}

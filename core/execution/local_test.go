package execution_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// local is a run of items of a job type.
func local(total int, execute spi.JobTypeFunc) execution.Local {
	c := job.Defaults("orders")
	c.ShardingTotalCount, c.JobParameter = total, "today"
	return execution.Local{
		Spec:  &execution.Spec{Config: c, Parameters: map[int]string{0: "Beijing"}, Pool: 2, JobType: execute},
		RunID: "run-1", Items: registry.AllItems(total), IP: "10.0.0.1", MaxRunningItems: 100,
		Logger: slog.New(slog.DiscardHandler), Events: &execution.Events{},
	}
}

// TestALocalRunIsAOneOffRun holds what an item sees, and what comes of it.
func TestALocalRunIsAOneOffRun(t *testing.T) {
	t.Parallel()
	var seen spi.ShardingContext
	l := local(1, func(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
		seen = req.Context
		answer, err := req.Services.Call(ctx, spi.OpShouldStop, []byte("{}"))
		_, reported := req.Services.Call(ctx, spi.OpProgressReport, []byte(`{"done":1,"total":2,"message":"half"}`))
		_, saved := req.Services.Call(ctx, spi.OpCheckpointSave, []byte(`{"data":"aGVyZQ=="}`))
		return spi.ExecuteResponse{Message: string(answer)}, errors.Join(err, reported, saved)
	})
	var published []string
	l.Events.Started.Subscribe(func(e execution.ItemStarted) { published = append(published, "started "+e.Run) })
	l.Events.Finished.Subscribe(func(e execution.ItemFinished) { published = append(published, "finished "+string(e.Outcome)) })
	l.Events.Progressed.Subscribe(func(e execution.ItemProgressed) { published = append(published, "progress "+e.Progress.Message) })
	l.Events.Checkpointed.Subscribe(func(e execution.ItemCheckpointed) { published = append(published, "checkpoint "+string(e.Data)) })
	got := l.Run(t.Context())
	if len(got) != 1 || got[0].Outcome != execution.OutcomeSuccess || got[0].Result != `{"stop":false,"reason":""}` || got[0].Parameter != "Beijing" ||
		got[0].Progress != (execution.Progress{Done: 1, Total: 2, Message: "half"}) || string(got[0].Checkpoint) != "here" {
		t.Errorf("Run() = %+v, want a success with its result, progress and checkpoint", got)
	}
	if seen.JobName != "orders" || seen.RunID != "run-1" || seen.ExecutionSource != spi.SourceOneOff || seen.Attempt != 1 ||
		seen.ShardingParameter != "Beijing" || seen.JobParameter != "today" || seen.FencingToken == 0 || seen.FireTime.IsZero() ||
		!strings.HasPrefix(seen.TaskID, "orders@-@0@-@READY@-@10.0.0.1@-@") {
		t.Errorf("the item saw %+v, want the context of a one-off run", seen)
	}
	if want := []string{"started run-1", "progress half", "checkpoint here", "finished success"}; !slices.Equal(published, want) {
		t.Errorf("events = %v, want %v", published, want)
	}
}

// TestLocalItemsFailAsOnANode holds the judgement of each way to end.
func TestLocalItemsFailAsOnANode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := local(5, func(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
			switch req.Context.ShardingItem {
			case 0:
				panic("no stock")
			case 1:
				runtime.Goexit()
			case 2:
				<-ctx.Done()
				return spi.ExecuteResponse{}, ctx.Err()
			case 3:
				return spi.ExecuteResponse{}, spi.NewError(1001, "no stock")
			}
			return spi.ExecuteResponse{Message: strings.Repeat("x", 5000)}, nil
		})
		l.Spec.Config.Timeout, l.Spec.Config.ErrorHandlerTypes = time.Minute, []string{"LOG"}
		start := time.Now()
		var got []string
		for _, item := range l.Run(t.Context()) {
			text := fmt.Sprint(item.Item, " ", item.Outcome)
			if item.Error != nil {
				text += fmt.Sprint(" ", item.Error.Code, ": ", item.Error)
			}
			got = append(got, text)
			if len(item.Result) > 4096 {
				t.Errorf("the result has %d bytes, want at most 4096", len(item.Result))
			}
		}
		want := []string{
			"0 failure FAILED: panic: no stock", "1 failure FAILED: the code ended its goroutine",
			"2 failure TIMEOUT: timeout of 1m0s exceeded", "3 failure 1001: no stock", "4 success",
		}
		if !slices.Equal(got, want) {
			t.Errorf("Run() = %q, want %q", got, want)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("Run() took %s, want the timeout", took)
		}
	})
}

// TestACancelledLocalRunBeginsNothingMore holds the pool, and that what waits for
// it ends with the context.
func TestACancelledLocalRunBeginsNothingMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running, most, begun atomic.Int32
		l := local(6, func(ctx context.Context, _ spi.ExecuteRequest) (spi.ExecuteResponse, error) {
			begun.Add(1)
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			<-ctx.Done()
			return spi.ExecuteResponse{}, context.Cause(ctx)
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Hour, func() { cancel(spi.ErrStopping) })
		for _, item := range l.Run(ctx) {
			if item.Outcome != execution.OutcomeCancelled || item.Error.Code != spi.CodeCancelled || item.Error.Message != spi.ErrStopping.Error() {
				t.Errorf("item %d ended with %s, %v, want it cancelled because of the stop", item.Item, item.Outcome, item.Error)
			}
		}
		if begun.Load() != 2 || most.Load() != 2 {
			t.Errorf("%d items were begun, %d at once, want 2 and 2 with a pool of 2", begun.Load(), most.Load())
		}
	})
}

// TestALocalItemThatHasEndedKeepsNothing holds that what code leaves behind
// cannot speak for its item.
func TestALocalItemThatHasEndedKeepsNothing(t *testing.T) {
	t.Parallel()
	var kept spi.Services
	l := local(1, func(_ context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
		kept = req.Services
		return spi.ExecuteResponse{}, nil
	})
	l.Run(t.Context())
	if _, err := kept.Call(t.Context(), spi.OpCheckpointSave, []byte(`{"data":"bGF0ZQ=="}`)); spi.AsError(err) == nil || spi.AsError(err).Code != spi.CodeCancelled {
		t.Errorf("SaveCheckpoint() after the end = %v, want it refused", err)
	}
}

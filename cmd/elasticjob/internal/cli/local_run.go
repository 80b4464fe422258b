package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// The outcomes of an item, as in log records.
const (
	outcomeSuccess   = "success"
	outcomeFailure   = "failure"
	outcomeCancelled = "cancelled"
)

// itemResult is what became of one item. Code and Err are empty after success.
type itemResult struct {
	Item      int    `json:"item"`
	Parameter string `json:"parameter"`
	Outcome   string `json:"outcome"`
	Millis    int64  `json:"millis"`
	// Code is the number, as in log records.
	Code   spi.Code `json:"code,omitempty"`
	Err    string   `json:"err,omitempty"`
	Result string   `json:"result,omitempty"`
}

// localRun is one run of a job on this machine alone.
type localRun struct {
	plan   modulePlan
	job    madeJob
	logger *slog.Logger
	id     string
	at     time.Time
}

func newLocalRun(plan modulePlan, job madeJob, logger *slog.Logger) *localRun {
	return &localRun{plan: plan, job: job, logger: logger, id: newRunID(), at: time.Now().UTC()}
}

// newRunID returns an id as triggers have it: a UUID of version 7, or of
// version 4 if the clock or the random source is out of order.
func newRunID() string {
	if id, err := uuid.NewV7(); err == nil {
		return id.String()
	}
	return uuid.NewString()
}

// items runs the items of the plan, as many at once as a node with the pool CPU
// does, and returns what became of them in their order.
func (r *localRun) items(ctx context.Context) []itemResult {
	results := make([]itemResult, len(r.plan.items))
	slots := make(chan struct{}, 2*runtime.NumCPU())
	var running sync.WaitGroup
	for n, item := range r.plan.items {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			results[n] = r.item(ctx, item)
		})
	}
	running.Wait()
	return results
}

func (r *localRun) item(ctx context.Context, item spi.Item) itemResult {
	req := spi.ExecuteRequest{
		Context: spi.ShardingContext{
			JobName:            r.plan.job,
			TaskID:             fmt.Sprintf("%s@-@%d@-@READY@-@127.0.0.1@-@%s", r.plan.job, item.Item, uuid.NewString()),
			ShardingTotalCount: r.plan.total,
			JobParameter:       r.plan.param,
			ShardingItem:       item.Item,
			ShardingParameter:  item.Parameter,
			RunID:              r.id,
			FireTime:           r.at,
			ExecutionSource:    spi.SourceOneOff,
			Attempt:            1,
			FencingToken:       r.at.UnixMicro(),
			Props:              r.job.values,
		},
		Services: itemServices{logServices{r.logger.With("job", r.plan.job, "item", item.Item, "run", r.id, "plugin", r.job.typeName)}},
	}
	if r.plan.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.plan.timeout, spi.ErrTimeout)
		defer cancel()
		req.Context.Deadline, _ = ctx.Deadline()
	}
	start := time.Now()
	response, err := execute(ctx, r.job, req)
	result := itemResult{
		Item: item.Item, Parameter: item.Parameter, Outcome: outcomeSuccess,
		Millis: time.Since(start).Milliseconds(), Result: response.Message,
	}
	if failure := spi.AsError(err); failure != nil {
		result.Outcome, result.Code, result.Err, result.Result = outcomeFailure, failure.Code, failure.Error(), ""
		if failure.Code == spi.CodeCancelled {
			result.Outcome = outcomeCancelled
		} else if failure.Stack != "" {
			r.logger.Error("item failed", "job", r.plan.job, "item", item.Item, "run", r.id, "err", failure.Error(), "stack", strings.TrimSpace(failure.Stack))
		}
	}
	return result
}

// execute does not begin an item after ctx has ended.
func execute(ctx context.Context, job spi.JobType, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	if ctx.Err() != nil {
		return spi.ExecuteResponse{}, context.Cause(ctx)
	}
	return job.Execute(ctx, req)
}

// itemServices let an item log and ask whether it should stop.
type itemServices struct{ logServices }

var _ spi.Services = itemServices{}

// Call serves should_stop.
func (s itemServices) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	if op != spi.OpShouldStop {
		return s.logServices.Call(ctx, op, request)
	}
	cause := context.Cause(ctx)
	switch {
	case cause == nil:
		return wire.AppendShouldStopResponse(nil, false, ""), nil
	case errors.Is(cause, spi.ErrTimeout), errors.Is(cause, context.DeadlineExceeded):
		return wire.AppendShouldStopResponse(nil, true, "timeout"), nil
	default:
		return wire.AppendShouldStopResponse(nil, true, "stopping"), nil
	}
}

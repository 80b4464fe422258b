package cli

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
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

// localRun is one use of a plugin on this machine alone.
type localRun struct {
	plan   modulePlan
	plugin spi.Plugin
	values props.Values
	logger *slog.Logger
	door   *hostcall.Door
	id     string
	at     time.Time
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
func (r *localRun) items(ctx context.Context, job spi.JobType) []itemResult {
	results := make([]itemResult, len(r.plan.items))
	slots := make(chan struct{}, 2*runtime.NumCPU())
	var running sync.WaitGroup
	for n, item := range r.plan.items {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			results[n] = r.item(ctx, job, item)
		})
	}
	running.Wait()
	return results
}

// context is what one item is about.
func (r *localRun) context(ctx context.Context, item spi.Item) spi.ShardingContext {
	c := spi.ShardingContext{
		JobName:            r.plan.job,
		TaskID:             r.task(item.Item),
		ShardingTotalCount: r.plan.total,
		JobParameter:       r.plan.param,
		ShardingItem:       item.Item,
		ShardingParameter:  item.Parameter,
		RunID:              r.id,
		FireTime:           r.at,
		ExecutionSource:    spi.SourceOneOff,
		Attempt:            1,
		FencingToken:       r.at.UnixMicro(),
		Props:              r.values,
	}
	c.Deadline, _ = ctx.Deadline()
	return c
}

func (r *localRun) task(item int) string {
	return fmt.Sprintf("%s@-@%d@-@READY@-@%s@-@%s", r.plan.job, item, localIP, uuid.NewString())
}

// bounded adds the timeout of the plan.
func (r *localRun) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.plan.timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, r.plan.timeout, spi.ErrTimeout)
}

// services are those of one call; item is -1 for a call that is about none.
func (r *localRun) services(item int, isExecution bool) localServices {
	logger := r.logger.With("job", r.plan.job)
	if item >= 0 {
		logger = logger.With("item", item)
	}
	return localServices{hostcall.Services{Logger: logger.With("run", r.id, "plugin", r.plugin.Descriptor.Type), Door: r.door}, isExecution}
}

func (r *localRun) item(ctx context.Context, job spi.JobType, item spi.Item) itemResult {
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	start := time.Now()
	response, err := r.execute(ctx, job, item)
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
func (r *localRun) execute(ctx context.Context, job spi.JobType, item spi.Item) (spi.ExecuteResponse, error) {
	if ctx.Err() != nil {
		return spi.ExecuteResponse{}, context.Cause(ctx)
	}
	sharding := r.context(ctx, item)
	if !r.plugin.Descriptor.Has(spi.CapabilityDataflow) {
		return job.Execute(ctx, spi.ExecuteRequest{Context: sharding, Services: r.services(item.Item, true)})
	}
	flow, ok := job.(spi.Dataflow)
	if !ok {
		return spi.ExecuteResponse{}, spi.NewError(spi.CodeProtocol, "it describes dataflow and does not implement it")
	}
	return execution.DriveDataflow(ctx, flow, execution.DataflowRun{
		Context: sharding, Fetching: r.services(item.Item, false), Processing: r.services(item.Item, true),
		Streaming: r.values.Bool(execution.PropStreaming),
	})
}

// localServices are the services of one call.
type localServices struct {
	hostcall.Services

	// isExecution says that the call may save checkpoints.
	isExecution bool
}

var _ spi.Services = localServices{}

// Call serves what a node serves. Nobody keeps progress and checkpoints here, so
// they are logged.
func (s localServices) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	logger := s.Logger
	switch {
	case op == spi.OpProgressReport:
		progress, err := wire.DecodeProgressReportRequest(request)
		if err != nil {
			return nil, err
		}
		logger.Info("progress", "done", progress.Done, "total", progress.Total, "message", progress.Message)
		return wire.AppendNothing(nil), nil
	case op == spi.OpCheckpointSave && s.isExecution:
		checkpoint, err := wire.DecodeCheckpointSaveRequest(request)
		if err != nil {
			return nil, err
		}
		logger.Info("checkpoint", "bytes", len(checkpoint))
		return wire.AppendNothing(nil), nil
	default:
		return s.Services.Call(ctx, op, request)
	}
}

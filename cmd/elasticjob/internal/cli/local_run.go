package cli

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// The outcomes of a call, as in log records.
const (
	outcomeSuccess   = string(execution.OutcomeSuccess)
	outcomeFailure   = string(execution.OutcomeFailure)
	outcomeCancelled = string(execution.OutcomeCancelled)
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

// items runs the items of the plan, as many at once as a node with the pool CPU
// does, and returns what became of them in their order.
func (r *localRun) items(ctx context.Context, jobType spi.JobType) ([]itemResult, error) {
	spec := &execution.Spec{Config: job.Defaults(r.plan.job), Parameters: make(map[int]string), Values: r.values, JobType: jobType, Door: r.door}
	spec.Config.Type, spec.Config.ShardingTotalCount = r.plugin.Descriptor.Type, r.plan.total
	spec.Config.JobParameter, spec.Config.Timeout = r.plan.param, r.plan.timeout
	var err error
	if spec.Pool, err = execution.PoolSize(spec.Config.PoolType); err != nil {
		return nil, err
	}
	if r.plugin.Descriptor.Has(spi.CapabilityDataflow) {
		var ok bool
		if spec.Dataflow, ok = jobType.(spi.Dataflow); !ok {
			return nil, spi.NewError(spi.CodeProtocol, "it describes dataflow and does not implement it")
		}
	}
	var items []int
	for _, item := range r.plan.items {
		items = append(items, item.Item)
		spec.Parameters[item.Item] = item.Parameter
	}
	events := &execution.Events{}
	execution.RecordKept(events, r.logger)
	run := execution.Local{
		Spec: spec, RunID: r.id, Items: registry.NewItems(items...), IP: localIP, MaxRunningItems: r.plan.total, Logger: r.logger, Events: events,
	}
	var results []itemResult
	for _, item := range run.Run(ctx) {
		results = append(results, r.result(item))
	}
	return results, nil
}

// result tells what became of an item. Its stack goes to the log.
func (r *localRun) result(item execution.LocalItem) itemResult {
	result := itemResult{
		Item: item.Item, Parameter: item.Parameter, Outcome: string(item.Outcome), Millis: item.Took.Milliseconds(), Result: item.Result,
	}
	if failure := item.Error; failure != nil {
		result.Code, result.Err = failure.Code, failure.Error()
		if item.Outcome == execution.OutcomeFailure && failure.Stack != "" {
			r.logger.Error("item failed", "job", r.plan.job, "item", item.Item, "run", r.id, "err", failure.Error(), "stack", strings.TrimSpace(failure.Stack))
		}
	}
	return result
}

// context is what a call is about that is no execution of an item.
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

// services are those of a call that is no execution; item is -1 for a call that
// is about none.
func (r *localRun) services(item int) spi.Services {
	logger := r.logger.With("job", r.plan.job)
	if item >= 0 {
		logger = logger.With("item", item)
	}
	return hostcall.Services{Logger: logger.With("run", r.id, "plugin", r.plugin.Descriptor.Type), Door: r.door}
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/elasticjob-go/elasticjob/core/coordinator"
	"github.com/elasticjob-go/elasticjob/spi"
)

// localIP is the address of this machine in what plugins are told.
const localIP = "127.0.0.1"

// runStrategy asks a strategy who owns which items.
func (a *app) runStrategy(ctx context.Context, r *localRun) (err error) {
	strategy, done, err := construct(ctx, r, r.plugin.ShardingStrategy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	req := spi.ShardRequest{
		JobName: r.plan.job, ShardingTotalCount: r.plan.total, Instances: r.plan.instances,
		Items: r.plan.items, Props: r.values, Services: r.services(-1),
	}
	assignment, err := coordinator.Shard(ctx, strategy, req)
	if err != nil {
		return fmt.Errorf("sharding with %s: %w", r.plugin.Descriptor.Type, err)
	}
	return a.printAssignment(r.plan.instances, assignment)
}

// callResult is the document of one call of a plugin that is no job type. Code
// and Err are empty after success.
type callResult struct {
	Call    string `json:"call"`
	Outcome string `json:"outcome"`
	Millis  int64  `json:"millis"`
	// Result is what the plugin answered, if there is something to tell.
	Result string   `json:"result,omitempty"`
	Code   spi.Code `json:"code,omitempty"`
	Err    string   `json:"err,omitempty"`
}

// runCalls makes calls one after the other and tells what became of them.
func (a *app) runCalls(ctx context.Context, r *localRun, calls ...localCall) error {
	document := struct {
		Job   string       `json:"job"`
		Type  string       `json:"type"`
		Run   string       `json:"run"`
		Calls []callResult `json:"calls"`
	}{r.plan.job, r.plugin.Descriptor.Type, r.id, nil}
	bad := 0
	for _, c := range calls {
		result := r.call(ctx, c)
		if result.Outcome != outcomeSuccess {
			bad++
		}
		document.Calls = append(document.Calls, result)
	}
	err := a.print(document, func(w io.Writer) {
		t := newTable(w)
		t.row("CALL", "OUTCOME", "MILLIS", "RESULT")
		for _, c := range document.Calls {
			text := c.Result
			if c.Outcome != outcomeSuccess {
				text = c.Code.String() + ": " + c.Err
			}
			t.row(c.Call, c.Outcome, strconv.FormatInt(c.Millis, 10), text)
		}
		t.flush()
	})
	if err == nil && bad > 0 {
		return fmt.Errorf("%d of %s did not succeed", bad, count(len(calls), "call"))
	}
	return err
}

// localCall is a call of a plugin and its name in the ABI.
type localCall struct {
	name string
	do   func(ctx context.Context) (result string, err error)
}

func (r *localRun) call(ctx context.Context, c localCall) callResult {
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	start := time.Now()
	text, err := c.do(ctx)
	result := callResult{Call: c.name, Outcome: outcomeSuccess, Millis: time.Since(start).Milliseconds(), Result: text}
	if failure := spi.AsError(err); failure != nil {
		result.Outcome, result.Code, result.Err = outcomeFailure, failure.Code, failure.Error()
		if failure.Code == spi.CodeCancelled {
			result.Outcome = outcomeCancelled
		}
	}
	return result
}

// runHandler tells an error handler of a failed item.
func (a *app) runHandler(ctx context.Context, r *localRun) (err error) {
	handler, done, err := construct(ctx, r, r.plugin.ErrorHandler)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	item := r.plan.items[0]
	return a.runCalls(ctx, r, localCall{"handle_error", func(ctx context.Context) (string, error) {
		response, err := handler.HandleError(ctx, spi.HandleErrorRequest{
			Context: r.context(ctx, item), Error: r.plan.failure, Props: r.values, Services: r.services(item.Item),
		})
		if response.Decision == "" {
			response.Decision = spi.DecisionContinue
		}
		return string(response.Decision), err
	}})
}

// runListener tells a listener of a run, before it and after its success.
func (a *app) runListener(ctx context.Context, r *localRun) (err error) {
	listener, done, err := construct(ctx, r, r.plugin.JobListener)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	run := spi.JobRun{
		JobName: r.plan.job, TaskID: r.task(r.plan.items[0].Item), RunID: r.id, FireTime: r.at, ExecutionSource: spi.SourceOneOff,
		ShardingTotalCount: r.plan.total, JobParameter: r.plan.param,
	}
	request := func(outcome spi.Outcome) spi.JobListenerRequest {
		run.Items = nil
		for _, item := range r.plan.items {
			run.Items = append(run.Items, spi.RunItem{Item: item.Item, Parameter: item.Parameter, Outcome: outcome})
		}
		return spi.JobListenerRequest{
			Once: !r.plugin.Descriptor.Has(spi.CapabilityPerInstance), Run: run, Props: r.values, Services: r.services(-1),
		}
	}
	return a.runCalls(ctx, r,
		localCall{"before_job", func(ctx context.Context) (string, error) {
			_, err := listener.BeforeJob(ctx, request(""))
			return "", err
		}},
		localCall{"after_job", func(ctx context.Context) (string, error) {
			_, err := listener.AfterJob(ctx, request(spi.OutcomeSuccess))
			return "", err
		}},
	)
}

// runSink gives a tracing sink the events of a run whose items succeed.
func (a *app) runSink(ctx context.Context, r *localRun) (err error) {
	sink, done, err := construct(ctx, r, r.plugin.TracingSink)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	events := r.events()
	return a.runCalls(ctx, r, localCall{"trace", func(ctx context.Context) (string, error) {
		_, err := sink.Trace(ctx, spi.TraceRequest{Events: events, Props: r.values, Services: r.services(-1)})
		return count(len(events), "event"), err
	}})
}

func (r *localRun) events() []spi.TraceEvent {
	task := r.task(r.plan.items[0].Item)
	event := func(kind spi.TraceKind) spi.TraceEvent {
		return spi.TraceEvent{
			ID: uuid.NewString(), Kind: kind, Time: r.at, JobName: r.plan.job, TaskID: task, RunID: r.id,
			Instance: spi.Instance{ID: localIP, IP: localIP, Labels: map[string]string{}}, ExecutionSource: spi.SourceOneOff,
		}
	}
	status := func(state spi.TraceState) spi.TraceEvent {
		e := event(spi.TraceStatus)
		e.State = state
		for _, item := range r.plan.items {
			e.Items = append(e.Items, item.Item)
		}
		return e
	}
	events := []spi.TraceEvent{status(spi.StateStaging), status(spi.StateRunning)}
	for _, item := range r.plan.items {
		began := event(spi.TraceExecution)
		began.Item, began.Attempt, began.Start = item.Item, 1, r.at
		ended := began
		ended.End, ended.Success = r.at.Add(time.Millisecond), true
		ended.Time = ended.End
		events = append(events, began, ended)
	}
	return append(events, status(spi.StateFinished))
}

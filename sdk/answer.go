package sdk

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// answer is the output of an export and what it returns.
type answer struct {
	output []byte
	result int32
}

func succeeded(output []byte) answer {
	if len(output) > wire.MaxMessage {
		return failed(spi.NewError(spi.CodeTooLarge, "the response has more than 16 MiB"))
	}
	return answer{output, wire.ResultOK}
}

func failed(err error) answer {
	e := spi.AsError(err)
	own := *e
	own.Code = e.Code.FromAuthor()
	return answer{wire.AppendError(nil, &own), wire.ResultError}
}

// describe answers elasticjob_describe. What it says is checked by the host.
func (l *list) describe() answer {
	plugins := l.all()
	if len(plugins) == 0 {
		return failed(errors.New("nothing is registered: call sdk.Register in a package variable"))
	}
	descriptors := make([]spi.Descriptor, len(plugins))
	for i, p := range plugins {
		descriptors[i] = p.Descriptor
	}
	return succeeded(wire.AppendDescribeResponse(nil, descriptors))
}

// execute answers elasticjob_execute.
func (l *list) execute(request []byte, services spi.Services) answer {
	name, c, err := wire.DecodeExecuteRequest(request)
	if err != nil {
		return failed(err)
	}
	return respond(l, call{spi.KindJobType, name, c.Props, c.Deadline, services}, jobTypeOf, func(ctx context.Context, job spi.JobType) ([]byte, error) {
		response, err := job.Execute(ctx, spi.ExecuteRequest{Context: c, Services: services})
		return wire.AppendExecuteResponse(nil, response), err
	})
}

// fetchData answers elasticjob_fetch_data.
func (l *list) fetchData(request []byte, services spi.Services) answer {
	name, req, err := wire.DecodeFetchDataRequest(request)
	if err != nil {
		return failed(err)
	}
	req.Services = services
	c := call{spi.KindJobType, name, req.Context.Props, req.Context.Deadline, services}
	return respond(l, c, jobTypeOf, func(ctx context.Context, job spi.JobType) ([]byte, error) {
		flow, err := dataflowOf(job, name)
		if err != nil {
			return nil, err
		}
		response, err := flow.FetchData(ctx, req)
		return wire.AppendFetchDataResponse(nil, response), err
	})
}

// processData answers elasticjob_process_data.
func (l *list) processData(request []byte, services spi.Services) answer {
	name, req, err := wire.DecodeProcessDataRequest(request)
	if err != nil {
		return failed(err)
	}
	req.Services = services
	c := call{spi.KindJobType, name, req.Context.Props, req.Context.Deadline, services}
	return respond(l, c, jobTypeOf, func(ctx context.Context, job spi.JobType) ([]byte, error) {
		flow, err := dataflowOf(job, name)
		if err != nil {
			return nil, err
		}
		response, err := flow.ProcessData(ctx, req)
		return wire.AppendProcessDataResponse(nil, response), err
	})
}

// shard answers elasticjob_shard.
func (l *list) shard(request []byte, services spi.Services) answer {
	name, req, err := wire.DecodeShardRequest(request)
	if err != nil {
		return failed(err)
	}
	req.Services = services
	of := func(p spi.Plugin) spi.Constructor[spi.ShardingStrategy] { return p.ShardingStrategy }
	c := call{kind: spi.KindShardingStrategy, plugin: name, values: req.Props, services: services}
	return respond(l, c, of, func(ctx context.Context, strategy spi.ShardingStrategy) ([]byte, error) {
		response, err := strategy.Shard(ctx, req)
		return wire.AppendShardResponse(nil, response), err
	})
}

// handleError answers elasticjob_handle_error. The deadline of its context is
// that of the item which failed, and does not bound the handler.
func (l *list) handleError(request []byte, services spi.Services) answer {
	name, req, err := wire.DecodeHandleErrorRequest(request)
	if err != nil {
		return failed(err)
	}
	req.Services = services
	of := func(p spi.Plugin) spi.Constructor[spi.ErrorHandler] { return p.ErrorHandler }
	c := call{kind: spi.KindErrorHandler, plugin: name, values: req.Props, services: services}
	return respond(l, c, of, func(ctx context.Context, handler spi.ErrorHandler) ([]byte, error) {
		response, err := handler.HandleError(ctx, req)
		return wire.AppendHandleErrorResponse(nil, response), err
	})
}

// listen answers elasticjob_before_job and elasticjob_after_job, as
// requestType says.
func (l *list) listen(requestType string, request []byte, services spi.Services) answer {
	name, req, err := wire.DecodeJobListenerRequest(requestType, request)
	if err != nil {
		return failed(err)
	}
	req.Services = services
	of := func(p spi.Plugin) spi.Constructor[spi.JobListener] { return p.JobListener }
	c := call{kind: spi.KindJobListener, plugin: name, values: req.Props, services: services}
	return respond(l, c, of, func(ctx context.Context, listener spi.JobListener) ([]byte, error) {
		tell := listener.BeforeJob
		if requestType == wire.TypeAfterJob {
			tell = listener.AfterJob
		}
		response, err := tell(ctx, req)
		return wire.AppendJobListenerResponse(nil, response), err
	})
}

// trace answers elasticjob_trace.
func (l *list) trace(request []byte, services spi.Services) answer {
	name, req, err := wire.DecodeTraceRequest(request)
	if err != nil {
		return failed(err)
	}
	req.Services = services
	of := func(p spi.Plugin) spi.Constructor[spi.TracingSink] { return p.TracingSink }
	c := call{kind: spi.KindTracingSink, plugin: name, values: req.Props, services: services}
	return respond(l, c, of, func(ctx context.Context, sink spi.TracingSink) ([]byte, error) {
		response, err := sink.Trace(ctx, req)
		return wire.AppendTraceResponse(nil, response), err
	})
}

func jobTypeOf(p spi.Plugin) spi.Constructor[spi.JobType] { return p.JobType }

func dataflowOf(job spi.JobType, name string) (spi.Dataflow, error) {
	flow, ok := job.(spi.Dataflow)
	if !ok {
		return nil, spi.NewError(spi.CodeUnsupported, "the job type "+name+" is no dataflow")
	}
	return flow, nil
}

// call is one request to one plugin.
type call struct {
	kind     spi.Kind
	plugin   string
	values   props.Values
	deadline time.Time // of a job type, zero without one
	services spi.Services
}

// respond finds the plugin, whose constructor is what of returns, and answers
// with what use returns.
func respond[T any](l *list, c call, of func(spi.Plugin) spi.Constructor[T], use func(context.Context, T) ([]byte, error)) answer {
	for _, p := range l.all() {
		construct := of(p)
		if p.Descriptor.Kind != c.kind || p.Descriptor.Type != c.plugin || construct == nil {
			continue
		}
		return c.run(func(ctx context.Context) (any, func() ([]byte, error), error) {
			implementation, err := construct(ctx, c.values)
			return implementation, func() ([]byte, error) { return use(ctx, implementation) }, err
		})
	}
	return c.notFound()
}

func (c call) notFound() answer {
	return failed(spi.NewError(spi.CodeNotFound, "this module has no "+string(c.kind)+" "+wire.Cut(c.plugin, 100)))
}

// maker makes the implementation of a plugin and what uses it for the call.
// With run it keeps apart what does not depend on the kind of plugin, which
// would otherwise be in a guest once for each.
type maker func(ctx context.Context) (implementation any, use func() ([]byte, error), err error)

func (c call) run(construct maker) answer {
	deadline := c.deadline
	if c.kind != spi.KindJobType {
		// The host bounds such a call, and says so to nobody.
		deadline = time.Now().Add(wire.CallTimeout)
	}
	ctx, end := newCallContext(deadline, c.services)
	defer end()
	output, err := guarded(func() ([]byte, error) { return run(ctx, c.services, construct) })
	if err != nil {
		return failed(err)
	}
	return succeeded(output)
}

// run makes the implementation for this one call, as no host promises state
// between calls, and closes it afterwards.
func run(ctx context.Context, services spi.Services, construct maker) ([]byte, error) {
	implementation, use, err := construct(ctx)
	if err != nil {
		return nil, err
	}
	if closer, ok := implementation.(spi.Closer); ok {
		// What was done stays done when closing fails.
		defer func() {
			_, err := guarded(func() ([]byte, error) { return nil, closer.Close(context.WithoutCancel(ctx)) })
			if err != nil {
				services.Log(ctx, spi.LogRecord{Level: spi.LevelWarn, Stream: spi.StreamLog, Line: "closing the plugin failed: " + err.Error()})
			}
		}()
	}
	return use()
}

// guarded runs code of the author. Its panic and the end of its goroutine are
// errors, or they would end the module.
func guarded(do func() ([]byte, error)) (output []byte, err error) {
	returned := make(chan struct{})
	err = errors.New("the code ended its goroutine")
	go func() {
		defer close(returned)
		defer func() {
			if value := recover(); value != nil {
				err = panicError(value)
			}
		}()
		made, failure := do()
		if failure == nil {
			output, err = made, nil
			return
		}
		// It calls methods of the author's error, which may panic too.
		err = spi.AsError(failure)
	}()
	<-returned
	return output, err
}

// panicError is called while the panic unwinds, so that the stack still shows
// where it began.
func panicError(value any) error {
	stack := make([]byte, 16<<10)
	stack = stack[:runtime.Stack(stack, false)]
	return &spi.Error{Code: spi.CodeFailed, Message: "panic: " + shown(value), Stack: string(stack)}
}

// shown is show of a value whose methods may panic.
func shown(value any) (text string) {
	defer func() {
		if recover() != nil {
			text = "a value without a text"
		}
	}()
	return show(value)
}

//go:build !wasip1

package native

import (
	"context"
	"fmt"
	"slices"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// use runs one call of the plugin with that name. It makes the implementation
// for this call alone, as no host promises state between calls, and closes it
// afterwards. Of returns the constructor of the kind.
func use[T any](ctx context.Context, s *server, call *pluginpb.Call, kind spi.Kind, name string, values props.Values,
	of func(spi.Plugin) spi.Constructor[T], do func(ctx context.Context, implementation T, services spi.Services) error,
) *pluginpb.Error {
	return s.run(ctx, call, func(ctx context.Context, services spi.Services) error {
		i := slices.IndexFunc(s.plugins, func(p spi.Plugin) bool { return p.Descriptor.Type == name && of(p) != nil })
		if i < 0 {
			return spi.NewError(spi.CodeNotFound, fmt.Sprintf("this plugin has no %s %q", kind, name))
		}
		implementation, err := of(s.plugins[i])(ctx, values)
		if err != nil {
			return err
		}
		if closer, ok := any(implementation).(spi.Closer); ok {
			// What was done stays done when closing fails.
			defer func() {
				if failed := guarded(func() error { return closer.Close(context.WithoutCancel(ctx)) }); failed != nil {
					services.Log(ctx, spi.LogRecord{Level: spi.LevelWarn, Stream: spi.StreamLog, Line: "closing the plugin failed: " + failed.Error()})
				}
			}()
		}
		return do(ctx, implementation, services)
	})
}

func jobTypeOf(p spi.Plugin) spi.Constructor[spi.JobType] { return p.JobType }

// Execute runs one item.
func (s *server) Execute(ctx context.Context, req *pluginpb.ExecuteRequest) (*pluginpb.ExecuteResponse, error) {
	response := &pluginpb.ExecuteResponse{}
	c := fromContext(req.GetContext())
	response.Error = use(ctx, s, req.GetCall(), spi.KindJobType, req.GetPlugin(), c.Props, jobTypeOf,
		func(ctx context.Context, job spi.JobType, services spi.Services) error {
			result, err := job.Execute(ctx, spi.ExecuteRequest{Context: c, Services: services})
			response.Message = wire.Cut(text(result.Message), wire.MaxText)
			return err
		})
	return response, nil
}

// useDataflow runs one call of a job type that is a dataflow.
func useDataflow(ctx context.Context, s *server, call *pluginpb.Call, name string, values props.Values, do func(context.Context, spi.Dataflow, spi.Services) error) *pluginpb.Error {
	return use(ctx, s, call, spi.KindJobType, name, values, jobTypeOf, func(ctx context.Context, job spi.JobType, services spi.Services) error {
		flow, ok := job.(spi.Dataflow)
		if !ok {
			return spi.NewError(spi.CodeUnsupported, "the job type "+name+" is no dataflow")
		}
		return do(ctx, flow, services)
	})
}

// FetchData returns the next batch.
func (s *server) FetchData(ctx context.Context, req *pluginpb.FetchDataRequest) (*pluginpb.FetchDataResponse, error) {
	response := &pluginpb.FetchDataResponse{}
	c := fromContext(req.GetContext())
	response.Error = useDataflow(ctx, s, req.GetCall(), req.GetPlugin(), c.Props, func(ctx context.Context, flow spi.Dataflow, services spi.Services) error {
		result, err := flow.FetchData(ctx, spi.FetchDataRequest{Context: c, Cursor: req.GetCursor(), Services: services})
		if err != nil {
			return err
		}
		size := len(result.Cursor)
		for _, datum := range result.Data {
			size += len(datum)
		}
		if size > wire.MaxMessage {
			return spi.NewError(spi.CodeTooLarge, "the response has more than 16 MiB")
		}
		response.Data, response.Cursor = result.Data, text(result.Cursor)
		return nil
	})
	return response, nil
}

// ProcessData works on one batch.
func (s *server) ProcessData(ctx context.Context, req *pluginpb.ProcessDataRequest) (*pluginpb.ProcessDataResponse, error) {
	c := fromContext(req.GetContext())
	failure := useDataflow(ctx, s, req.GetCall(), req.GetPlugin(), c.Props, func(ctx context.Context, flow spi.Dataflow, services spi.Services) error {
		_, err := flow.ProcessData(ctx, spi.ProcessDataRequest{Context: c, Data: req.GetData(), Services: services})
		return err
	})
	return &pluginpb.ProcessDataResponse{Error: failure}, nil
}

// Shard gives every item an owner.
func (s *server) Shard(ctx context.Context, req *pluginpb.ShardRequest) (*pluginpb.ShardResponse, error) {
	response := &pluginpb.ShardResponse{}
	q := fromShard(req)
	response.Error = use(ctx, s, req.GetCall(), spi.KindShardingStrategy, req.GetPlugin(), q.Props,
		func(p spi.Plugin) spi.Constructor[spi.ShardingStrategy] { return p.ShardingStrategy },
		func(ctx context.Context, strategy spi.ShardingStrategy, services spi.Services) error {
			q.Services = services
			result, err := strategy.Shard(ctx, q)
			response.Assignment = toItems(result.Assignment)
			return err
		})
	return response, nil
}

// HandleError decides what a failed item means for its job.
func (s *server) HandleError(ctx context.Context, req *pluginpb.HandleErrorRequest) (*pluginpb.HandleErrorResponse, error) {
	response := &pluginpb.HandleErrorResponse{}
	response.Error = use(ctx, s, req.GetCall(), spi.KindErrorHandler, req.GetPlugin(), req.GetProps(),
		func(p spi.Plugin) spi.Constructor[spi.ErrorHandler] { return p.ErrorHandler },
		func(ctx context.Context, handler spi.ErrorHandler, services spi.Services) error {
			q := spi.HandleErrorRequest{
				Context: fromContext(req.GetContext()), Error: fromError(req.GetError()), Props: req.GetProps(), Services: services,
				Count: int(req.GetCount()), First: instant(req.GetFirst()), Last: instant(req.GetLast()),
			}
			for _, item := range req.GetItems() {
				q.Items = append(q.Items, int(item))
			}
			result, err := handler.HandleError(ctx, q)
			response.Decision = text(string(result.Decision))
			if result.Decision == "" {
				response.Decision = string(spi.DecisionContinue)
			}
			return err
		})
	return response, nil
}

// BeforeJob tells a listener that a run begins.
func (s *server) BeforeJob(ctx context.Context, req *pluginpb.JobListenerRequest) (*pluginpb.JobListenerResponse, error) {
	return s.tell(ctx, req, spi.JobListener.BeforeJob)
}

// AfterJob tells a listener how a run has ended.
func (s *server) AfterJob(ctx context.Context, req *pluginpb.JobListenerRequest) (*pluginpb.JobListenerResponse, error) {
	return s.tell(ctx, req, spi.JobListener.AfterJob)
}

func (s *server) tell(ctx context.Context, req *pluginpb.JobListenerRequest, method func(spi.JobListener, context.Context, spi.JobListenerRequest) (spi.JobListenerResponse, error)) (*pluginpb.JobListenerResponse, error) {
	failure := use(ctx, s, req.GetCall(), spi.KindJobListener, req.GetPlugin(), req.GetProps(),
		func(p spi.Plugin) spi.Constructor[spi.JobListener] { return p.JobListener },
		func(ctx context.Context, listener spi.JobListener, services spi.Services) error {
			_, err := method(listener, ctx, spi.JobListenerRequest{Once: req.GetOnce(), Run: fromRun(req.GetRun()), Props: req.GetProps(), Services: services})
			return err
		})
	return &pluginpb.JobListenerResponse{Error: failure}, nil
}

// Trace hands a batch of events to a tracing sink.
func (s *server) Trace(ctx context.Context, req *pluginpb.TraceRequest) (*pluginpb.TraceResponse, error) {
	failure := use(ctx, s, req.GetCall(), spi.KindTracingSink, req.GetPlugin(), req.GetProps(),
		func(p spi.Plugin) spi.Constructor[spi.TracingSink] { return p.TracingSink },
		func(ctx context.Context, sink spi.TracingSink, services spi.Services) error {
			_, err := sink.Trace(ctx, spi.TraceRequest{Events: fromEvents(req.GetEvents()), Props: req.GetProps(), Services: services})
			return err
		})
	return &pluginpb.TraceResponse{Error: failure}, nil
}

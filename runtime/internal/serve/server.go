package serve

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// server is the service Plugin. It is safe for concurrent use.
type server struct {
	pluginpb.UnimplementedPluginServer
	broker  *goplugin.GRPCBroker
	plugins []spi.Plugin

	mu    sync.Mutex
	host  pluginpb.HostClient // after Attach
	calls map[string]*running
}

// running is a call that has begun, or one that Cancel was faster than.
type running struct {
	begun  chan struct{}
	cancel context.CancelCauseFunc // set when begun is closed
}

func newServer(broker *goplugin.GRPCBroker, plugins []spi.Plugin) *server {
	return &server{broker: broker, plugins: plugins, calls: map[string]*running{}}
}

var _ pluginpb.PluginServer = (*server)(nil)

// Attach connects to the services of the host.
func (s *server) Attach(_ context.Context, req *pluginpb.AttachRequest) (*pluginpb.AttachResponse, error) {
	conn, err := s.broker.DialWithOptions(req.GetHostStream(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(pluginpb.MaxFrame), grpc.MaxCallSendMsgSize(pluginpb.MaxFrame)))
	if err != nil {
		return nil, fmt.Errorf("connecting to the services of the host: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.host = pluginpb.NewHostClient(conn)
	return &pluginpb.AttachResponse{}, nil
}

// Describe lists the plugins.
func (s *server) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	response := &pluginpb.DescribeResponse{}
	for _, p := range s.plugins {
		response.Plugins = append(response.Plugins, toDescriptor(p.Descriptor))
	}
	return response, nil
}

// Cancel ends the context of a call. It may be faster than the call itself, and
// waits for it then, until the host gives up because the call has returned.
func (s *server) Cancel(ctx context.Context, req *pluginpb.CancelRequest) (*pluginpb.CancelResponse, error) {
	call := s.call(req.GetCall())
	select {
	case <-call.begun:
		call.cancel(cause(req.GetReason()))
	case <-ctx.Done():
		s.forget(req.GetCall())
	}
	return &pluginpb.CancelResponse{}, nil
}

func cause(r pluginpb.CancelRequest_Reason) error {
	switch r {
	case pluginpb.CancelRequest_REASON_TIMEOUT:
		return spi.ErrTimeout
	case pluginpb.CancelRequest_REASON_LEASE_LOST:
		return spi.ErrLeaseLost
	case pluginpb.CancelRequest_REASON_STOPPING:
		return spi.ErrStopping
	case pluginpb.CancelRequest_REASON_DISABLED:
		return spi.ErrDisabled
	default:
		return context.Canceled
	}
}

// call returns the entry of a call, made by whoever comes first.
func (s *server) call(id string) *running {
	s.mu.Lock()
	defer s.mu.Unlock()
	call, ok := s.calls[id]
	if !ok {
		call = &running{begun: make(chan struct{})}
		s.calls[id] = call
	}
	return call
}

func (s *server) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, id)
}

// run runs one call with its context and services. The context ends with the
// connection too.
func (s *server) run(ctx context.Context, call *pluginpb.Call, do func(ctx context.Context, services spi.Services) error) *pluginpb.Error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if left := call.GetTimeoutMillis(); left > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, time.Duration(left)*time.Millisecond, spi.ErrTimeout)
		defer stop()
	}
	entry := s.call(call.GetId())
	entry.cancel = cancel
	close(entry.begun)
	defer s.forget(call.GetId())
	s.mu.Lock()
	host := s.host
	s.mu.Unlock()
	if err := recovered(func() error { return do(ctx, &services{host: host, call: call.GetId()}) }); err != nil {
		return failed(err)
	}
	return nil
}

func recovered(do func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &spi.Error{Code: spi.CodeFailed, Message: fmt.Sprint("panic: ", value), Stack: string(debug.Stack())}
		}
	}()
	return do()
}

// failed writes an error. Codes that only a host may say become FAILED: the host
// knows its own deadline and cancellation.
func failed(err error) *pluginpb.Error {
	e := *spi.AsError(err)
	if e.Code.FromGuest() != e.Code {
		e.Code = spi.CodeFailed
	}
	return toError(&e)
}

// made makes an implementation for one call, as no host promises state between
// calls, and closes it afterwards.
func made[T any](ctx context.Context, s *server, kind spi.Kind, name string, values props.Values, of func(spi.Plugin) spi.Constructor[T], use func(T) error) (err error) {
	for _, p := range s.plugins {
		if p.Descriptor.Kind != kind || p.Descriptor.Type != name {
			continue
		}
		implementation, err := of(p)(ctx, values)
		if err != nil {
			return err
		}
		if closer, ok := any(implementation).(spi.Closer); ok {
			defer func() { err = errors.Join(err, closer.Close(context.WithoutCancel(ctx))) }()
		}
		return use(implementation)
	}
	return spi.NewError(spi.CodeNotFound, fmt.Sprintf("this plugin has no %s %q", kind, name))
}

// Execute runs one item.
func (s *server) Execute(ctx context.Context, req *pluginpb.ExecuteRequest) (*pluginpb.ExecuteResponse, error) {
	response := &pluginpb.ExecuteResponse{}
	c := fromContext(req.GetContext())
	response.Error = s.run(ctx, req.GetCall(), func(ctx context.Context, services spi.Services) error {
		return made(ctx, s, spi.KindJobType, req.GetPlugin(), c.Props, func(p spi.Plugin) spi.Constructor[spi.JobType] { return p.JobType }, func(j spi.JobType) error {
			result, err := j.Execute(ctx, spi.ExecuteRequest{Context: c, Services: services})
			response.Message = text(result.Message)
			return err
		})
	})
	return response, nil
}

// Shard gives every item an owner.
func (s *server) Shard(ctx context.Context, req *pluginpb.ShardRequest) (*pluginpb.ShardResponse, error) {
	response := &pluginpb.ShardResponse{}
	q := fromShard(req)
	response.Error = s.run(ctx, req.GetCall(), func(ctx context.Context, services spi.Services) error {
		q.Services = services
		return made(ctx, s, spi.KindShardingStrategy, req.GetPlugin(), q.Props, func(p spi.Plugin) spi.Constructor[spi.ShardingStrategy] { return p.ShardingStrategy }, func(strategy spi.ShardingStrategy) error {
			result, err := strategy.Shard(ctx, q)
			response.Assignment = toItems(result.Assignment)
			return err
		})
	})
	return response, nil
}

// HandleError decides what a failed item means for its job.
func (s *server) HandleError(ctx context.Context, req *pluginpb.HandleErrorRequest) (*pluginpb.HandleErrorResponse, error) {
	response := &pluginpb.HandleErrorResponse{}
	values := props.Values(req.GetProps())
	response.Error = s.run(ctx, req.GetCall(), func(ctx context.Context, services spi.Services) error {
		return made(ctx, s, spi.KindErrorHandler, req.GetPlugin(), values, func(p spi.Plugin) spi.Constructor[spi.ErrorHandler] { return p.ErrorHandler }, func(h spi.ErrorHandler) error {
			result, err := h.HandleError(ctx, spi.HandleErrorRequest{Context: fromContext(req.GetContext()), Error: fromError(req.GetError()), Props: values, Services: services})
			response.Decision = text(string(result.Decision))
			if result.Decision == "" {
				response.Decision = string(spi.DecisionContinue)
			}
			return err
		})
	})
	return response, nil
}

// services are those of one call.
type services struct {
	host pluginpb.HostClient // nil before Attach
	call string
}

var _ spi.Services = (*services)(nil)

// Log sends one line. There is nobody to tell when that fails.
func (s *services) Log(ctx context.Context, r spi.LogRecord) {
	if s.host != nil {
		_, _ = s.host.Log(ctx, &pluginpb.LogRequest{Call: s.call, Records: []*pluginpb.LogRecord{{Level: int32(r.Level), Line: text(r.Line)}}})
	}
}

// Call runs a host operation.
func (s *services) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	if s.host == nil {
		return nil, spi.NewError(spi.CodeUnavailable, "the host has not attached the plugin")
	}
	response, err := s.host.Call(ctx, &pluginpb.CallRequest{Call: s.call, Op: text(op), Request: request})
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, spi.NewError(spi.CodeUnavailable, op+": "+err.Error())
	}
	if response.GetError() != nil {
		return nil, fromError(response.GetError())
	}
	return response.GetResponse(), nil
}

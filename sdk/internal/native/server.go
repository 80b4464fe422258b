//go:build !wasip1

package native

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
)

// server is the service Plugin. It is safe for concurrent use.
type server struct {
	pluginpb.UnimplementedPluginServer
	broker  *goplugin.GRPCBroker
	plugins []spi.Plugin
	own     streams

	mu    sync.Mutex
	lent  streams             // those of go-plugin, after Attach
	host  pluginpb.HostClient // after Attach
	calls map[string]*running
}

// running is a call that has begun, or one that Cancel was faster than.
type running struct {
	begun  chan struct{}
	cancel context.CancelCauseFunc // set when begun is closed
}

func newServer(broker *goplugin.GRPCBroker, plugins []spi.Plugin, own streams) *server {
	return &server{broker: broker, plugins: plugins, own: own, calls: map[string]*running{}}
}

// streams are the standard output and error of a program.
type streams struct{ out, err *os.File }

var _ pluginpb.PluginServer = (*server)(nil)

// Attach connects to the services of the host, and gives the program its own
// standard output and error back. go-plugin has replaced them by pipes, whose
// content it sends over the connection: what a program writes right before it
// ends would be lost there, its last words among it.
func (s *server) Attach(_ context.Context, req *pluginpb.AttachRequest) (*pluginpb.AttachResponse, error) {
	conn, err := s.broker.DialWithOptions(req.GetHostStream(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(pluginpb.MaxFrame), grpc.MaxCallSendMsgSize(pluginpb.MaxFrame)))
	if err != nil {
		return nil, fmt.Errorf("connecting to the services of the host: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.host = pluginpb.NewHostClient(conn)
	if s.lent == (streams{}) {
		// Kept, because go-plugin reads from the other ends.
		s.lent = streams{out: os.Stdout, err: os.Stderr}
		os.Stdout, os.Stderr = s.own.out, s.own.err
	}
	return &pluginpb.AttachResponse{}, nil
}

// Describe lists the plugins.
func (s *server) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	if len(s.plugins) == 0 {
		return &pluginpb.DescribeResponse{Error: failed(spi.NewError(spi.CodeFailed, "nothing is registered: call sdk.Register in a package variable"))}, nil
	}
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
	door := &services{host: host, call: call.GetId(), ended: func() bool { return ctx.Err() != nil }}
	if err := guarded(func() error { return do(ctx, door) }); err != nil {
		return failed(err)
	}
	return nil
}

// guarded runs code of the author. Its panic and the end of its goroutine are
// errors, or they would end the program and leave the call without an answer.
func guarded(do func() error) *spi.Error {
	returned := make(chan *spi.Error)
	go func() {
		failed := spi.NewError(spi.CodeFailed, "the code ended its goroutine")
		defer func() {
			if value := recover(); value != nil {
				failed = &spi.Error{Code: spi.CodeFailed, Message: fmt.Sprint("panic: ", value), Stack: string(debug.Stack())}
			}
			returned <- failed
		}()
		// It calls methods of the author's error, which may panic too.
		failed = spi.AsError(do())
	}()
	return <-returned
}

// failed writes an error. Codes that only a host may say become FAILED: the host
// knows its own deadline and cancellation.
func failed(e *spi.Error) *pluginpb.Error {
	own := *e
	own.Code = e.Code.FromAuthor()
	return toError(&own)
}

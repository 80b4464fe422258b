package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// answer is what every response of a plugin has.
type answer interface {
	GetError() *pluginpb.Error
}

// invoke runs one call of the program: it starts it if need be, tells it when
// ctx ends, and ends it when the call overruns. Build makes the request, method
// calls the plugin.
func invoke[Q proto.Message, A answer](ctx context.Context, p *program, s spi.Services, build func(*pluginpb.Call) Q,
	method func(pluginpb.PluginClient, context.Context, Q) (A, error),
) (response A, err error) {
	if !p.enter() {
		return response, spi.NewError(spi.CodeUnavailable, p.path+": the plugin is closed")
	}
	defer p.leave()
	if ctx.Err() != nil || !p.acquire(ctx) {
		return response, interrupted(ctx)
	}
	defer p.release()
	in, err := p.running(ctx)
	if err != nil {
		return response, err
	}
	running := in.calls.begin(ctx, s)
	defer in.calls.finish(running)
	call := &pluginpb.Call{Id: running.id}
	if deadline, ok := ctx.Deadline(); ok {
		// Rounded up: the plugin's deadline shall not come before this one.
		call.TimeoutMillis = max(0, time.Until(deadline).Milliseconds()) + 1
	}
	request := build(call)
	if n := proto.Size(request); n > wire.MaxMessage {
		return response, spi.NewError(spi.CodeTooLarge, fmt.Sprintf("the request has %d bytes, more than %d MiB", n, wire.MaxMessage>>20))
	}
	// gRPC would return at once when ctx ends, and leave the code running.
	var g guard
	g.begin(ctx, p, in, running.id)
	response, err = method(in.plugin, context.WithoutCancel(ctx), request)
	overran := g.end()
	switch {
	case err != nil:
		return response, p.broken(ctx, in, overran, err)
	case response.GetError() == nil:
		return response, nil
	}
	failed := fromError(response.GetError())
	if ended(ctx) {
		// Why the plugin was asked to stop counts for more than how it says so.
		why := interrupted(ctx)
		why.Message, why.Stack = wire.Cut(why.Message+": "+failed.Message, wire.MaxText), failed.Stack
		return response, why
	}
	return response, failed
}

// ended reports whether ctx has ended. The plugin has the same deadline and may
// be the first to see it.
func ended(ctx context.Context) bool {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

// guard watches over one call.
type guard struct {
	stop     func() bool
	returned context.CancelFunc
	watched  chan struct{} // closed when nothing of the guard runs any more
	overran  bool
}

func (g *guard) begin(ctx context.Context, p *program, in *instance, id string) {
	running, returned := context.WithCancel(context.WithoutCancel(ctx))
	g.returned, g.watched = returned, make(chan struct{})
	g.stop = context.AfterFunc(ctx, func() {
		defer close(g.watched)
		left, cancel := context.WithTimeout(running, p.config.Grace)
		defer cancel()
		// What it answers does not matter: the call itself has to return.
		_, _ = in.plugin.Cancel(left, &pluginpb.CancelRequest{Call: id, Reason: reason(ctx)})
		<-left.Done()
		if errors.Is(left.Err(), context.DeadlineExceeded) {
			g.overran = true
			in.process.end("a call did not return within " + p.config.Grace.String() + " of its end (" + context.Cause(ctx).Error() + ")")
		}
	})
}

// end says that the call has returned, and reports whether it had to be ended.
func (g *guard) end() (overran bool) {
	g.returned()
	if !g.stop() {
		<-g.watched
	}
	return g.overran
}

func reason(ctx context.Context) pluginpb.CancelRequest_Reason {
	why := context.Cause(ctx)
	switch {
	case errors.Is(why, spi.ErrTimeout), errors.Is(why, context.DeadlineExceeded):
		return pluginpb.CancelRequest_REASON_TIMEOUT
	case errors.Is(why, spi.ErrLeaseLost):
		return pluginpb.CancelRequest_REASON_LEASE_LOST
	case errors.Is(why, spi.ErrStopping):
		return pluginpb.CancelRequest_REASON_STOPPING
	case errors.Is(why, spi.ErrDisabled):
		return pluginpb.CancelRequest_REASON_DISABLED
	default:
		return pluginpb.CancelRequest_REASON_UNSPECIFIED
	}
}

// interrupted is the error of a call whose context ended.
func interrupted(ctx context.Context) *spi.Error {
	why := context.Cause(ctx)
	code := spi.CodeCancelled
	switch {
	case errors.Is(why, spi.ErrTimeout), errors.Is(why, context.DeadlineExceeded):
		code = spi.CodeTimeout
	case errors.Is(why, spi.ErrLeaseLost):
		code = spi.CodeLeaseLost
	}
	return spi.NewError(code, "the plugin was stopped: "+why.Error())
}

// goneTime is how long a call whose connection broke waits for what the
// program says at its end.
const goneTime = 2 * time.Second

// broken says why a call got no response.
func (p *program) broken(ctx context.Context, in *instance, overran bool, err error) *spi.Error {
	if overran {
		why := interrupted(ctx)
		why.Message = fmt.Sprintf("%s; it did not return within %s, so its process was ended", why.Message, p.config.Grace)
		return why
	}
	state := status.Convert(err)
	switch state.Code() {
	case codes.Unavailable, codes.Canceled:
		text := "its connection is broken: " + wire.Cut(state.Message(), wire.MaxText/2)
		// Mostly because it has ended, which says more.
		select {
		case <-in.process.reaped:
		case <-time.After(drainTime):
			in.process.end(text)
		}
		select {
		case <-in.process.exited:
			text = in.process.how()
		case <-time.After(goneTime):
		}
		return gone(p.path, text)
	case codes.ResourceExhausted:
		return spi.NewError(spi.CodeLimit, fmt.Sprintf("the response is larger than %d MiB", wire.MaxMessage>>20))
	case codes.Unimplemented:
		return spi.NewError(spi.CodeProtocol, "the plugin describes what it does not implement: "+wire.Cut(state.Message(), wire.MaxText/2))
	default:
		return spi.NewError(spi.CodeProtocol, "the plugin answered with the gRPC status "+state.Code().String()+": "+wire.Cut(state.Message(), wire.MaxText/2))
	}
}

// gone is the error of a call whose process is not there.
func gone(path, text string) *spi.Error {
	return spi.NewError(spi.CodePluginGone, wire.Cut(path+": the plugin is gone: "+text, wire.MaxText))
}

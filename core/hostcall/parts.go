package hostcall

import (
	"context"
	"errors"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// The causes with which the parts of an exchange run out of time.
var (
	errNoConnection = errors.New("no connection in time")
	errNoEnd        = errors.New("no end of the response in time")
)

// parts bounds the two parts of an exchange: to a connection, and from there to
// the end of the response. A nil one bounds nothing.
type parts struct {
	ctx    context.Context //nolint:containedctx // of the exchange, which it ends
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer // of the part under way
	ended bool
}

// inParts returns the context of an exchange of which both parts are bounded.
// The caller ends it.
func (at *hop) inParts(ctx context.Context) (context.Context, *parts) {
	if at.connect <= 0 && at.read <= 0 {
		return ctx, nil
	}
	p := &parts{}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	p.begin(at.connect, errNoConnection)
	// The transport may dial again when a connection from before turns out dead.
	trace := &httptrace.ClientTrace{
		GetConn: func(string) { p.begin(at.connect, errNoConnection) },
		GotConn: func(httptrace.GotConnInfo) { p.begin(at.read, errNoEnd) },
	}
	return httptrace.WithClientTrace(p.ctx, trace), p
}

// begin gives the part that begins its time.
func (p *parts) begin(bound time.Duration, late error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
	if bound > 0 && !p.ended {
		p.timer = time.AfterFunc(bound, func() { p.cancel(late) })
	}
}

func (p *parts) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.ended = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.cancel(nil)
}

// failure says which part took too long, if that is why the exchange has failed.
func (p *parts) failure(at *hop, err error) error {
	if p == nil {
		return err
	}
	switch cause := context.Cause(p.ctx); {
	case errors.Is(cause, errNoConnection):
		return at.failed(spi.CodeTimeout, "no connection within "+at.connect.String())
	case errors.Is(cause, errNoEnd):
		return at.failed(spi.CodeTimeout, "no whole response within "+at.read.String())
	default:
		return err
	}
}

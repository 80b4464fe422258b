package process

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// errReturned ends the operations of a call that has returned.
var errReturned = errors.New("the call has returned")

// calls are the running calls of one instance, by id. It is safe for concurrent
// use.
type calls struct {
	mu   sync.Mutex
	last uint64
	byID map[string]*serving
}

func newCalls() *calls { return &calls{byID: map[string]*serving{}} }

// serving is the services of one running call.
type serving struct {
	id       string
	services spi.Services
	// run calls the function with the context of the call.
	run func(func(ctx context.Context))
	// stop ends that context.
	stop context.CancelCauseFunc

	mu      sync.Mutex
	over    bool
	active  sync.WaitGroup
	logged  int // bytes
	dropped int // bytes
}

// begin makes the services reachable under a new id.
func (c *calls) begin(ctx context.Context, s spi.Services) *serving {
	ctx, stop := context.WithCancelCause(ctx)
	running := &serving{services: s, stop: stop, run: func(f func(context.Context)) { f(ctx) }}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	running.id = strconv.FormatUint(c.last, 36)
	c.byID[running.id] = running
	return running
}

// finish waits for operations that run; none begins afterwards.
func (c *calls) finish(s *serving) {
	c.mu.Lock()
	delete(c.byID, s.id)
	c.mu.Unlock()
	s.mu.Lock()
	s.over = true
	dropped := s.dropped
	s.mu.Unlock()
	s.stop(errReturned)
	s.active.Wait()
	if dropped > 0 {
		s.run(func(ctx context.Context) {
			s.log(ctx, spi.LogRecord{Level: spi.LevelWarn, Stream: spi.StreamLog, Line: fmt.Sprintf(
				"%d bytes of output dropped: a call logs at most %d KiB", dropped, wire.MaxCallLog>>10)})
		})
	}
}

// end ends the operations of all calls, because the program has ended.
func (c *calls) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.byID {
		s.stop(spi.ErrPluginGone)
	}
}

// enter returns the call of that id. The caller leaves it.
func (c *calls) enter(id string) (*serving, bool) {
	c.mu.Lock()
	s, ok := c.byID[id]
	c.mu.Unlock()
	if !ok {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, false
	}
	s.active.Add(1)
	return s, true
}

func (s *serving) log(ctx context.Context, r spi.LogRecord) {
	if s.services != nil {
		s.services.Log(ctx, r)
	}
}

// allow reports whether the call may log a line of that length.
func (s *serving) allow(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped > 0 || s.logged+n+1 > wire.MaxCallLog {
		s.dropped += n
		return false
	}
	s.logged += n + 1
	return true
}

// services is the service Host. Its calls run in handlers of gRPC, at most
// maxHostCalls of them.
type services struct {
	pluginpb.UnimplementedHostServer
	calls *calls
}

var _ pluginpb.HostServer = (*services)(nil)

// Log writes lines of a call.
func (h *services) Log(_ context.Context, req *pluginpb.LogRequest) (*pluginpb.LogResponse, error) {
	s, ok := h.calls.enter(req.GetCall())
	if !ok {
		return nil, status.Error(codes.NotFound, errReturned.Error())
	}
	defer s.active.Done()
	s.run(func(ctx context.Context) {
		for _, r := range req.GetRecords() {
			if line := clean(r.GetLine()); s.allow(len(line)) {
				s.log(ctx, spi.LogRecord{Level: spi.Level(r.GetLevel()).Round(), Stream: spi.StreamLog, Line: line})
			}
		}
	})
	return &pluginpb.LogResponse{}, nil
}

// Call runs an operation of a call.
func (h *services) Call(ctx context.Context, req *pluginpb.CallRequest) (*pluginpb.CallResponse, error) {
	s, ok := h.calls.enter(req.GetCall())
	if !ok {
		return &pluginpb.CallResponse{Error: toError(spi.NewError(spi.CodeCancelled, errReturned.Error()))}, nil
	}
	defer s.active.Done()
	var response []byte
	var err error
	s.run(func(call context.Context) {
		call, cancel := context.WithCancelCause(call)
		defer cancel(nil)
		// The program may give up an operation before the call ends.
		defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
		response, err = s.ask(call, wire.Cut(req.GetOp(), 256), req.GetRequest())
	})
	if err == nil && len(response) > wire.MaxMessage {
		err = spi.NewError(spi.CodeTooLarge, fmt.Sprintf("the response of %s is larger than %d MiB", wire.Cut(req.GetOp(), 256), wire.MaxMessage>>20))
	}
	if err != nil {
		e := spi.AsError(err)
		if e.Code <= 0 {
			e = spi.NewError(spi.CodeInternal, e.Message)
		}
		return &pluginpb.CallResponse{Error: toError(e)}, nil
	}
	return &pluginpb.CallResponse{Response: response}, nil
}

func (s *serving) ask(ctx context.Context, op string, request []byte) (response []byte, err error) {
	switch {
	case len(request) > wire.MaxMessage:
		return nil, spi.NewError(spi.CodeTooLarge, fmt.Sprintf("the request of %s is larger than %d MiB", op, wire.MaxMessage>>20))
	case s.services == nil:
		return nil, spi.NewError(spi.CodeUnsupported, op+" is not offered to this call")
	}
	defer func() {
		if r := recover(); r != nil {
			err = spi.NewError(spi.CodeInternal, fmt.Sprintf("host operation %s panicked: %v", op, r))
		}
	}()
	return s.services.Call(ctx, op, request)
}

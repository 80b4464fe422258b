// Package service is the contract of everything that runs between a start and
// a stop, and the group that starts such parts in order.
package service

import (
	"context"
	"errors"
	"sync"
)

// Service is a part of a node that runs. Start returns when the part is
// ready, and does nothing when it runs already. Stop returns when the last
// goroutine of the part is gone or ctx ends, may be called before Start and
// more than once, and is final: a stopped service does not start again.
type Service interface {
	// Start makes the part ready.
	Start(ctx context.Context) error
	// Stop ends the part for good.
	Stop(ctx context.Context) error
}

// ErrStopped is returned by Start of a service that was stopped.
var ErrStopped = errors.New("service is stopped")

// Group is a list of services that start in order and stop in reverse. It is
// a Service itself.
type Group struct {
	services []Service

	mu      sync.Mutex
	started int
	stopped bool
}

var _ Service = (*Group)(nil)

// NewGroup returns a group of the services, in starting order.
func NewGroup(services ...Service) *Group {
	return &Group{services: services}
}

// Start starts the services in order. When one fails, those already started
// are stopped again.
func (g *Group) Start(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return ErrStopped
	}
	for g.started < len(g.services) {
		if err := g.services[g.started].Start(ctx); err != nil {
			return errors.Join(err, g.stop(context.WithoutCancel(ctx)))
		}
		g.started++
	}
	return nil
}

// Stop stops the started services in reverse order and joins their errors.
func (g *Group) Stop(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stop(ctx)
}

func (g *Group) stop(ctx context.Context) error {
	g.stopped = true
	var errs []error
	for ; g.started > 0; g.started-- {
		errs = append(errs, g.services[g.started-1].Stop(ctx))
	}
	return errors.Join(errs...)
}

// Background is a Service that runs one function in a goroutine. The context
// of the function is cancelled by Stop.
type Background struct {
	run func(ctx context.Context)

	mu      sync.Mutex
	cancel  context.CancelFunc
	done    chan struct{}
	stopped bool
}

var _ Service = (*Background)(nil)

// NewBackground returns a service that runs the function.
func NewBackground(run func(ctx context.Context)) *Background {
	return &Background{run: run}
}

// Start starts the function. The function's context keeps the values of ctx
// but not its cancellation.
func (b *Background) Start(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return ErrStopped
	}
	if b.done != nil {
		return nil
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	b.cancel, b.done = cancel, done
	go func() {
		defer close(done)
		defer cancel()
		b.run(runCtx)
	}()
	return nil
}

// Stop cancels the function's context and waits for the function to return.
func (b *Background) Stop(ctx context.Context) error {
	b.mu.Lock()
	b.stopped = true
	cancel, done := b.cancel, b.done
	b.mu.Unlock()
	if done == nil {
		return nil
	}
	cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

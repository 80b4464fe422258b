package sdk

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/ops"
)

// askInterval bounds how often a call asks its host whether to stop.
const askInterval = 100 * time.Millisecond

// callContext is the context of one call. Nobody can interrupt a module from
// outside without killing it, so the context asks the host itself: when Err is
// called, and in the background once Done was called, which runs while the
// module waits.
type callContext struct {
	inner  context.Context //nolint:containedctx // a context that wraps its parent
	cancel context.CancelCauseFunc
	// ask returns why to stop, or nil.
	ask func(ctx context.Context) error

	// background counts the timer while it is set or its function runs.
	background sync.WaitGroup

	mu sync.Mutex

	nextAsk time.Time
	// timer asks in the background, once Done was called. A guest with a
	// goroutine and a ticker instead would be 80 kB larger.
	timer *time.Timer
	ended bool
}

var _ context.Context = (*callContext)(nil)

// newCallContext returns the context of a call that ends at the deadline,
// unless zero. The returned function ends it and waits for its goroutine.
func newCallContext(deadline time.Time, services spi.Services) (ctx *callContext, end func()) {
	parent, release := context.Background(), context.CancelFunc(func() {})
	if !deadline.IsZero() {
		parent, release = context.WithDeadlineCause(parent, deadline, spi.ErrTimeout)
	}
	c := &callContext{
		ask: func(ctx context.Context) error { return shouldStop(ctx, services) },
		// A call that has just begun was not to stop a moment ago.
		nextAsk: time.Now().Add(askInterval),
	}
	c.inner, c.cancel = context.WithCancelCause(parent)
	return c, func() {
		c.cancel(context.Canceled)
		release()
		c.stopTimer()
	}
}

// Deadline returns the deadline of the call.
func (c *callContext) Deadline() (deadline time.Time, ok bool) { return c.inner.Deadline() }

// Value returns nil for all keys but those of package context.
func (c *callContext) Value(key any) any { return c.inner.Value(key) }

// Err asks the host, at most every 100 ms, and returns why the call is to
// stop, or nil.
func (c *callContext) Err() error {
	if c.inner.Err() == nil && c.isDue() {
		c.poll()
	}
	return c.inner.Err()
}

// Done returns a channel that is closed when the call is to stop, and begins
// to ask the host in the background.
func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer == nil && !c.ended {
		c.background.Add(1)
		c.timer = time.AfterFunc(askInterval, c.pollInBackground)
	}
	return c.inner.Done()
}

func (c *callContext) pollInBackground() {
	c.poll()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.inner.Err() != nil {
		c.background.Done()
		return
	}
	c.timer.Reset(askInterval)
}

// stopTimer waits until the background asks no more.
func (c *callContext) stopTimer() {
	c.mu.Lock()
	c.ended = true
	if c.timer != nil && c.timer.Stop() {
		c.background.Done()
	}
	c.mu.Unlock()
	c.background.Wait()
}

func (c *callContext) isDue() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Before(c.nextAsk) {
		return false
	}
	c.nextAsk = now.Add(askInterval)
	return true
}

func (c *callContext) poll() {
	if cause := c.ask(c.inner); cause != nil {
		c.cancel(cause)
	}
}

// shouldStop asks the host and returns its reason as the cause with which a
// context is cancelled. A host that gives no answer does not want a stop.
func shouldStop(ctx context.Context, services spi.Services) error {
	reason, stop, err := ops.ShouldStop(ctx, services)
	switch {
	case err != nil || !stop:
		return nil //nolint:nilerr // the host kills a call that must end
	case reason == "stopping":
		return spi.ErrStopping
	case reason == "timeout":
		return spi.ErrTimeout
	case reason == "lease-lost":
		return spi.ErrLeaseLost
	case reason == "disabled":
		return spi.ErrDisabled
	default:
		return errors.New("stopping: " + reason)
	}
}

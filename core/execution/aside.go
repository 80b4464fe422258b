package execution

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// Bounds of the calls of error handlers and listeners.
const (
	// asideTimeout bounds one call.
	asideTimeout = 10 * time.Second
	// asideMargin is how long a call has to return when its time is over.
	asideMargin = 100 * time.Millisecond
	// maxHanging is how many calls of one plugin of a job may hang until it is not
	// called any more.
	maxHanging = 4
)

// aside counts the calls of a plugin that did not return in their time.
type aside struct{ hanging atomic.Int32 }

// callAside calls a plugin that is no job type. Code that ignores its context is
// left behind when its time is over; when too many calls hang, it is not called
// until some have returned.
func callAside[T any](ctx context.Context, a *aside, do func(ctx context.Context) (T, error)) (T, error) {
	var none T
	if n := a.hanging.Load(); n >= maxHanging {
		return none, spi.NewError(spi.CodeUnavailable, fmt.Sprintf("not called: %d earlier calls still hang", n))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, asideTimeout, spi.ErrTimeout)
	defer cancel()
	type answer struct {
		response T
		err      error
	}
	answers := make(chan answer, 1)
	// Both sides set it: the second one knows that the code has returned late.
	var isOver atomic.Bool
	go func() {
		got := answer{err: errors.New("the code ended its goroutine")}
		defer func() {
			if p := recover(); p != nil {
				got.err = panicError(p)
			}
			answers <- got
			if isOver.Swap(true) {
				a.hanging.Add(-1)
			}
		}()
		response, err := do(ctx)
		if err != nil {
			// It calls methods of the author's error, which may panic too.
			got.err = spi.AsError(err)
			return
		}
		got = answer{response: response}
	}()
	select {
	case got := <-answers:
		return got.response, got.err
	case <-ctx.Done():
	}
	select {
	case got := <-answers:
		return got.response, got.err
	case <-time.After(asideMargin):
		a.hanging.Add(1)
		if isOver.Swap(true) {
			a.hanging.Add(-1)
		}
		return none, context.Cause(ctx)
	}
}

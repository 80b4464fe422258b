package tracing

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
)

// run hands batches over until ctx ends, and then what is left.
func (t *Tracer) run(ctx context.Context) {
	for {
		wake := time.NewTimer(maxDelay)
		select {
		case <-ctx.Done():
			wake.Stop()
			left, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), callTimeout, spi.ErrStopping)
			t.flush(left, 1)
			cancel()
			return
		case <-wake.C:
		case <-t.full:
			wake.Stop()
		}
		t.flush(ctx, tries)
	}
}

// flush hands over what waits, batch by batch. What ctx ends is given up only if
// it is the last chance. A batch that is too much for the sink is halved, down to
// the event that it does not take, and what follows grows again.
func (t *Tracer) flush(ctx context.Context, tries int) {
	most := maxBatch
	for {
		t.mu.Lock()
		batch, dropped := t.queue.head(most), t.dropped
		t.dropped = 0
		t.mu.Unlock()
		if dropped > 0 {
			t.logger.Error("history events dropped: the tracing sink is too slow", "count", dropped)
		}
		if len(batch) == 0 {
			return
		}
		err := t.deliver(ctx, batch, tries)
		switch {
		case err == nil:
			t.splits = maxSplits
		case ctx.Err() != nil && tries > 1:
			return // the node stops, and tries them once more
		case isTooMuch(err) && len(batch) > 1 && t.splits > 0:
			most = len(batch) / 2
			t.splits--
			continue
		default:
			t.logger.Error("history events not kept by the tracing sink", "count", len(batch), "plugin", t.typeName(), "err", err)
		}
		most = min(2*most, maxBatch)
		t.mu.Lock()
		t.queue.drop(len(batch))
		t.mu.Unlock()
	}
}

// isTooMuch says whether an error may be due to how much or what was handed over,
// so that the same once more does not help, but less of it does.
func isTooMuch(err error) bool {
	switch spi.AsError(err).Code {
	case spi.CodeTooLarge, spi.CodeProtocol, spi.CodeLimit:
		return true
	default:
		return false
	}
}

func (t *Tracer) typeName() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sink == nil {
		return ""
	}
	return t.sink.Type
}

// deliver hands one batch over, several times if need be.
func (t *Tracer) deliver(ctx context.Context, batch []spi.TraceEvent, tries int) error {
	pause := firstPause
	for try := 1; ; try++ {
		err := t.call(ctx, batch)
		if err == nil || try == tries || isTooMuch(err) {
			return err
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return err
		case <-wait.C:
		}
		pause *= 2
	}
}

// errHanging is the error of a call that is not made.
var errHanging = errors.New("not called: an earlier call still hangs")

// call calls the sink once. Code that ignores its context is left behind when its
// time is over, and nothing more is handed to it until it has returned.
func (t *Tracer) call(ctx context.Context, batch []spi.TraceEvent) error {
	t.calling <- struct{}{}
	defer func() { <-t.calling }()
	t.mu.Lock()
	sink := t.sink
	t.mu.Unlock()
	switch {
	case sink == nil:
		return nil // nobody wants them any more
	case sink.hangs.Load():
		return errHanging
	}
	ctx, cancel := context.WithTimeoutCause(ctx, callTimeout, spi.ErrTimeout)
	defer cancel()
	answer := make(chan error, 1)
	sink.hangs.Store(true)
	go func() {
		err := errors.New("the code ended its goroutine")
		defer func() {
			if p := recover(); p != nil {
				err = &spi.Error{Code: spi.CodeFailed, Message: fmt.Sprint("panic: ", p), Stack: string(debug.Stack())}
			}
			sink.hangs.Store(false)
			answer <- err
		}()
		_, failed := sink.Sink.Trace(ctx, spi.TraceRequest{
			Events: batch, Props: sink.Values, Services: hostcall.Services{Logger: t.logger.With("plugin", sink.Type), Door: sink.Door},
		})
		err = nil
		if failed != nil {
			err = spi.AsError(failed)
		}
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-answer:
		return err
	case <-time.After(callMargin):
		return context.Cause(ctx)
	}
}

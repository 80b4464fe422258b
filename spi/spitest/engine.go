package spitest

import (
	"context"
	"fmt"
	"runtime/debug"
	"unicode/utf8"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// use makes an implementation, has do call it and closes it, in the way of the
// engine: in a goroutine whose panic or end is an error, with errors that are
// bounded.
func use[T any](ctx context.Context, h Host, construct spi.Constructor[T], values props.Values, do func(T) error) *spi.Error {
	ended := make(chan *spi.Error, 1)
	go func() {
		failed := spi.NewError(spi.CodeFailed, "the code ended its goroutine")
		defer func() {
			if p := recover(); p != nil {
				failed = spi.NewError(spi.CodeFailed, fmt.Sprintf("panic: %v", p))
				failed.Stack = string(debug.Stack())
			}
			ended <- h.bounded(ctx, failed)
		}()
		implementation, err := construct(ctx, values)
		if err == nil {
			err = do(implementation)
			if closer, ok := any(implementation).(spi.Closer); ok {
				// The engine closes when the job is gone, long after the call.
				_ = closer.Close(context.WithoutCancel(ctx))
			}
		}
		// It calls methods of the author's error, which may panic too.
		failed = spi.AsError(err)
	}()
	return <-ended
}

// bounded is an error as the engine keeps it: its texts are cut, and a built-in
// plugin whose context has not ended cannot say codes of hosts.
func (h Host) bounded(ctx context.Context, e *spi.Error) *spi.Error {
	if e == nil {
		return nil
	}
	own := *e
	own.Message, own.Stack = text(e.Error(), wire.MaxText), text(e.Stack, wire.MaxStack)
	if h.Kind == builtIn && ctx.Err() == nil {
		own.Code = e.Code.FromAuthor()
	}
	return &own
}

// text is valid and cut.
func text(of string, most int) string {
	if !utf8.ValidString(of) {
		of = string([]rune(of))
	}
	return wire.Cut(of, most)
}

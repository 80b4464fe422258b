package hostcall

import (
	"context"
	"errors"
	"log/slog"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// Caller runs the host operations that need a grant; a [*Door] is one.
type Caller interface {
	// Call runs a host operation.
	Call(ctx context.Context, op string, request []byte) ([]byte, error)
}

var _ Caller = (*Door)(nil)

// Services are those of a call that is about no running item, such as that of a
// sharding strategy.
type Services struct {
	// Logger has the attributes of the call.
	Logger *slog.Logger
	// Door is nil when nothing is offered.
	Door Caller
}

var _ spi.Services = Services{}

// Log writes a line of plugin output.
func (s Services) Log(ctx context.Context, record spi.LogRecord) {
	stream := record.Stream
	if stream == "" {
		stream = spi.StreamLog
	}
	s.Logger.LogAttrs(ctx, slog.Level(record.Level.Round()), "plugin output", slog.String("stream", string(stream)), slog.String("line", record.Line))
}

// Call answers should_stop by the context, and leaves the other operations to the
// door. There is no item that could have progress or a checkpoint.
func (s Services) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	switch {
	case op == spi.OpShouldStop:
		reason := stopReason(ctx)
		return wire.AppendShouldStopResponse(nil, reason != "", reason), nil
	case s.Door == nil, op == spi.OpProgressReport, op == spi.OpCheckpointSave:
		return nil, spi.NewError(spi.CodeUnsupported, "operation "+wire.Cut(op, 100)+" is not offered to this call")
	default:
		return s.Door.Call(ctx, op, request)
	}
}

// stopReason is the ABI's word for why ctx was cancelled, "" when it was not.
func stopReason(ctx context.Context) string {
	cause := context.Cause(ctx)
	switch {
	case cause == nil:
		return ""
	case errors.Is(cause, spi.ErrTimeout), errors.Is(cause, context.DeadlineExceeded):
		return "timeout"
	default:
		return "stopping"
	}
}

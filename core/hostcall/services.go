package hostcall

import (
	"context"
	"iter"
	"log/slog"
	"strings"
	"unicode/utf8"

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

// Log writes plugin output, a record for each line.
func (s Services) Log(ctx context.Context, record spi.LogRecord) {
	for r := range Lines(record) {
		s.Logger.LogAttrs(ctx, slog.Level(r.Level), "plugin output", slog.String("stream", string(r.Stream)), slog.String("line", r.Line))
	}
}

// Lines returns the records that stand in the log for one of a plugin: each has
// one line, in valid UTF-8 and not too long, a stream, and one of the named
// levels. It is the same for all hosts.
func Lines(record spi.LogRecord) iter.Seq[spi.LogRecord] {
	return func(yield func(spi.LogRecord) bool) {
		record.Level = record.Level.Round()
		if record.Stream == "" {
			record.Stream = spi.StreamLog
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(record.Line, "\n"), "\n") {
			if !utf8.ValidString(line) {
				line = string([]rune(line))
			}
			record.Line = wire.Cut(strings.TrimSuffix(line, "\r"), wire.MaxLogLine)
			if !yield(record) {
				return
			}
		}
	}
}

// Call answers should_stop by the context, and leaves the other operations to the
// door. There is no item that could have progress or a checkpoint.
func (s Services) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	switch {
	case op == spi.OpShouldStop:
		return StopAnswer(StopReason(context.Cause(ctx))), nil
	case s.Door == nil, op == spi.OpProgressReport, op == spi.OpCheckpointSave:
		return nil, spi.NewError(spi.CodeUnsupported, "operation "+wire.Cut(op, 100)+" is not offered to this call")
	default:
		return s.Door.Call(ctx, op, request)
	}
}

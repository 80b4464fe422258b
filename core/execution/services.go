package execution

import (
	"context"
	"errors"
	"log/slog"

	"github.com/elasticjob-go/elasticjob/spi"
)

// Door serves the host operations that need a grant, for the plugin of one job
// that it was made for. It is safe for concurrent use, and its errors are those
// of [spi.Services].
type Door interface {
	Call(ctx context.Context, op string, request []byte) ([]byte, error)
}

// itemServices are the host services of one call for one item.
type itemServices struct {
	run    *run
	item   int
	plugin string
	door   Door // nil: no operation but those of the engine
}

var _ spi.Services = (*itemServices)(nil)

// Log writes a line of plugin output.
func (s *itemServices) Log(ctx context.Context, record spi.LogRecord) {
	stream := record.Stream
	if stream == "" {
		stream = spi.StreamLog
	}
	s.run.job.executor.logger.LogAttrs(ctx, slog.Level(record.Level.Round()), "plugin output",
		slog.String("job", s.run.job.name), slog.Int("item", s.item), slog.String("run", s.run.id), slog.String("plugin", s.plugin),
		slog.String("stream", string(stream)), slog.String("line", record.Line))
}

// Call serves should_stop itself and leaves the other operations to the door.
func (s *itemServices) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	switch {
	case op == spi.OpShouldStop:
	case s.door != nil:
		return s.door.Call(ctx, op, request)
	default:
		return nil, spi.NewError(spi.CodeUnsupported, "operation "+op+" is not offered to "+s.plugin)
	}
	reason := stopReason(ctx)
	if reason == "" && s.run.job.executor.draining.Load() {
		reason = "stopping"
	}
	if reason == "" {
		return []byte(`{"stop":false,"reason":""}`), nil
	}
	return []byte(`{"stop":true,"reason":"` + reason + `"}`), nil
}

// stopReason is the ABI's word for why ctx was cancelled; "" when it was not.
func stopReason(ctx context.Context) string {
	cause := context.Cause(ctx)
	switch {
	case cause == nil:
		return ""
	case errors.Is(cause, spi.ErrTimeout), errors.Is(cause, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(cause, spi.ErrLeaseLost):
		return "lease-lost"
	case errors.Is(cause, spi.ErrDisabled):
		return "disabled"
	default:
		return "stopping"
	}
}

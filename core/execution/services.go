package execution

import (
	"context"
	"errors"
	"log/slog"

	"github.com/elasticjob-go/elasticjob/spi"
)

// itemServices are the host services of one call for one item.
type itemServices struct {
	run    *run
	item   int
	plugin string
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

// Call serves should_stop; the other operations come with their grants.
func (s *itemServices) Call(ctx context.Context, op string, _ []byte) ([]byte, error) {
	if op != spi.OpShouldStop {
		return nil, spi.NewError(spi.CodeUnsupported, "operation "+op+" is not available in this version")
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

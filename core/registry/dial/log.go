package dial

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// LogTo sends what the client library itself logs to a logger, at level debug,
// instead of to standard error. The library has one log for the whole process:
// a program calls this once, before its first Open, and a package that others
// build on leaves it to them.
func LogTo(logger *slog.Logger) { redis.SetLogger(libraryLog{logger}) }

// libraryLog is the library's log.
type libraryLog struct{ logger *slog.Logger }

// Printf writes one record.
func (l libraryLog) Printf(ctx context.Context, format string, args ...any) {
	if l.logger.Enabled(ctx, slog.LevelDebug) {
		l.logger.LogAttrs(ctx, slog.LevelDebug, "redis client", slog.String("text", fmt.Sprintf(format, args...)))
	}
}

package spi

import "context"

// Level is the severity of a log record, with the numbers of log/slog.
type Level int

// The levels that plugins use; other numbers are rounded down to one of them.
const (
	LevelDebug Level = -4
	LevelInfo  Level = 0
	LevelWarn  Level = 4
	LevelError Level = 8
)

// Round returns the highest named level that is not above l, and LevelDebug
// below all of them.
func (l Level) Round() Level {
	switch {
	case l >= LevelError:
		return LevelError
	case l >= LevelWarn:
		return LevelWarn
	case l >= LevelInfo:
		return LevelInfo
	default:
		return LevelDebug
	}
}

// Stream says where a line of plugin output comes from.
type Stream string

// The streams.
const (
	StreamLog    Stream = "log"
	StreamStdout Stream = "stdout"
	StreamStderr Stream = "stderr"
)

// LogRecord is one line of plugin output. An empty Stream means StreamLog.
type LogRecord struct {
	Level  Level
	Stream Stream
	Line   string
}

// The operations of Services.Call. Requests and responses are JSON objects,
// as the ABI defines them.
const (
	OpHTTPRequest    = "http.request"
	OpSecretGet      = "secret.get"
	OpCheckpointSave = "checkpoint.save"
	OpProgressReport = "progress.report"
	OpShouldStop     = "should_stop"
)

// Services is the one door from a plugin to its host, made for one call and
// valid until that call returns. It is safe for concurrent use.
type Services interface {
	// Log writes one line, which is bounded and may be cut.
	Log(ctx context.Context, record LogRecord)
	// Call runs a host operation. It fails with an [*Error]: CodeUnsupported
	// for an operation that does not exist or is not offered to this call,
	// CodeDenied for one that is not granted.
	Call(ctx context.Context, op string, request []byte) ([]byte, error)
}

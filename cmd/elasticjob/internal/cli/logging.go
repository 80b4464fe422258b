package cli

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// The forms of log records.
const (
	logText = "text"
	logJSON = "json"
)

// timeLayout is RFC 3339 with milliseconds, which all records and results use.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// newLogger returns a logger that writes records to w, with the time in UTC.
func newLogger(w io.Writer, format, level string) (*slog.Logger, error) {
	options := &slog.HandlerOptions{ReplaceAttr: milliseconds}
	switch level {
	case "debug":
		options.Level = slog.LevelDebug
	case "info":
		options.Level = slog.LevelInfo
	case "warn":
		options.Level = slog.LevelWarn
	case "error":
		options.Level = slog.LevelError
	default:
		return nil, fmt.Errorf("--log-level %q is no level: write debug, info, warn or error", level)
	}
	switch format {
	case logText:
		return slog.New(slog.NewTextHandler(w, options)), nil
	case logJSON:
		return slog.New(slog.NewJSONHandler(w, options)), nil
	default:
		return nil, fmt.Errorf("--log-format %q is no form of log records: write text or json", format)
	}
}

// milliseconds writes instants to the millisecond and in UTC.
func milliseconds(_ []string, attr slog.Attr) slog.Attr {
	if attr.Value.Kind() == slog.KindTime {
		attr.Value = slog.StringValue(attr.Value.Time().UTC().Format(timeLayout))
	}
	return attr
}

// instant returns t in its own zone, with milliseconds only when it has some.
func instant(t time.Time) string {
	if t.Nanosecond() == 0 {
		return t.Format(time.RFC3339)
	}
	return t.Format(timeLayout)
}

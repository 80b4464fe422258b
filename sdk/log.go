package sdk

import (
	"strconv"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// Debug writes a log line for the author of the plugin; see [Host.Log].
func (h Host) Debug(message string, attributes ...any) {
	h.Log(spi.LevelDebug, message, attributes...)
}

// Info writes a log line that operators like to see on a quiet day; see
// [Host.Log].
func (h Host) Info(message string, attributes ...any) { h.Log(spi.LevelInfo, message, attributes...) }

// Warn writes a log line about something that was healed or is worse than it
// should be; see [Host.Log].
func (h Host) Warn(message string, attributes ...any) { h.Log(spi.LevelWarn, message, attributes...) }

// Error writes a log line about something that somebody must look at; see
// [Host.Log]. It does not make the call fail: return an error for that.
func (h Host) Error(message string, attributes ...any) { h.Log(spi.LevelError, message, attributes...) }

// Log writes the message, followed by the attributes as name=value, to the
// log of the node. Attributes alternate between names and values; values are
// strings, numbers, booleans, errors, times and what has a String method. Each
// line of a message with several lines becomes a record of its own. A Host
// that is not of a call drops it.
func (h Host) Log(level spi.Level, message string, attributes ...any) {
	if h.log != nil {
		h.log(spi.LogRecord{Level: level, Stream: spi.StreamLog, Line: line(message, attributes)})
	}
}

func line(message string, attributes []any) string {
	if len(attributes) == 0 {
		return message
	}
	var b strings.Builder
	b.WriteString(message)
	for i := 0; i < len(attributes); i += 2 {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		if i+1 == len(attributes) {
			b.WriteString(quoted(show(attributes[i])))
			break
		}
		b.WriteString(show(attributes[i]))
		b.WriteByte('=')
		b.WriteString(quoted(show(attributes[i+1])))
	}
	return b.String()
}

// quoted quotes what would not be read back as one value.
func quoted(value string) string {
	if value == "" || strings.ContainsAny(value, " \t\r\n\"=") {
		return strconv.Quote(value)
	}
	return value
}

// show is what fmt.Sprint would print for the common types: fmt would double
// the size of a module.
func show(value any) string {
	switch v := value.(type) {
	case nil:
		return "nil"
	case string:
		return v
	case error:
		return v.Error()
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case interface{ String() string }:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case int8:
		return strconv.Itoa(int(v))
	case int16:
		return strconv.Itoa(int(v))
	case int32:
		return strconv.Itoa(int(v))
	case int64:
		return strconv.FormatInt(v, 10)
	case uint:
		return strconv.FormatUint(uint64(v), 10)
	case uint8:
		return strconv.Itoa(int(v))
	case uint16:
		return strconv.Itoa(int(v))
	case uint32:
		return strconv.FormatUint(uint64(v), 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []byte:
		return string(v)
	default:
		return "?"
	}
}

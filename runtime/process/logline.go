package process

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
)

// parseLogLine reads a line of the JSON form of hclog, in which programs on
// go-plugin write their log to standard error. Its other members are added to
// the message. ok is false for every other line.
func parseLogLine(line []byte) (r spi.LogRecord, ok bool) {
	if len(line) == 0 || line[0] != '{' {
		return spi.LogRecord{}, false
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(line, &members) != nil {
		return spi.LogRecord{}, false
	}
	var level, message string
	if json.Unmarshal(members["@level"], &level) != nil || json.Unmarshal(members["@message"], &message) != nil {
		return spi.LogRecord{}, false
	}
	r = spi.LogRecord{Stream: spi.StreamLog}
	switch strings.ToLower(level) {
	case "trace", "debug":
		r.Level = spi.LevelDebug
	case "info":
		r.Level = spi.LevelInfo
	case "warn":
		r.Level = spi.LevelWarn
	case "error":
		r.Level = spi.LevelError
	default:
		return spi.LogRecord{}, false
	}
	var text strings.Builder
	text.WriteString(message)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if strings.HasPrefix(name, "@") {
			continue
		}
		text.WriteString(" " + name + "=")
		var value string
		if json.Unmarshal(members[name], &value) == nil && !strings.ContainsAny(value, " \"\n") {
			text.WriteString(value)
		} else {
			text.Write(members[name])
		}
	}
	r.Line = text.String()
	return r, true
}

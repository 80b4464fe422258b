package hostcall_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
)

func TestLines(t *testing.T) {
	t.Parallel()
	record := func(line string) spi.LogRecord {
		return spi.LogRecord{Level: spi.LevelWarn, Stream: spi.StreamLog, Line: line}
	}
	tests := []struct {
		name  string
		given spi.LogRecord
		want  []spi.LogRecord
	}{
		{"a line", record("one"), []spi.LogRecord{record("one")}},
		{"an empty line", record(""), []spi.LogRecord{record("")}},
		{"several lines", record("one\r\n\ntwo\n"), []spi.LogRecord{record("one"), record(""), record("two")}},
		{"bytes that are no text", record("a\xff\xfe"), []spi.LogRecord{record("a\uFFFD\uFFFD")}},
		{"a long line", record(strings.Repeat("x", 70_000)), []spi.LogRecord{record(strings.Repeat("x", 65_533) + "…")}},
		{"a level between", spi.LogRecord{Level: 7, Line: "l"}, []spi.LogRecord{record("l")}},
		{"a stream", spi.LogRecord{Level: 4, Stream: spi.StreamStderr, Line: "l"}, []spi.LogRecord{{Level: 4, Stream: spi.StreamStderr, Line: "l"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, slices.Collect(hostcall.Lines(test.given))); diff != "" {
				t.Errorf("Lines(%.40q) (-want +got):\n%s", test.given.Line, diff)
			}
		})
	}
}

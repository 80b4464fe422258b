package process

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// newTestOutlet returns an outlet, what it has logged, and its clock.
func newTestOutlet() (out *outlet, records *[]spi.LogRecord, clock *time.Time) {
	records, clock = &[]spi.LogRecord{}, &time.Time{}
	out = newOutlet(func(r spi.LogRecord) { *records = append(*records, r) }, func() time.Time { return *clock })
	return out, records, clock
}

func write(t *testing.T, out *outlet, stream spi.Stream, chunks ...string) {
	t.Helper()
	l := &lines{out: out, stream: stream}
	for _, chunk := range chunks {
		if n, err := l.Write([]byte(chunk)); n != len(chunk) || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
	}
	l.finish()
}

func TestLines(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		stream spi.Stream
		chunks []string
		want   []spi.LogRecord
	}{
		{"nothing", spi.StreamStdout, nil, nil},
		{"lines in pieces", spi.StreamStdout, []string{"a", "b\nc", "\r\n\nd"}, []spi.LogRecord{
			{Stream: spi.StreamStdout, Line: "ab"}, {Stream: spi.StreamStdout, Line: "c"}, {Stream: spi.StreamStdout}, {Stream: spi.StreamStdout, Line: "d"},
		}},
		{"standard error", spi.StreamStderr, []string{"x\n"}, []spi.LogRecord{{Level: spi.LevelWarn, Stream: spi.StreamStderr, Line: "x"}}},
		{"not UTF-8", spi.StreamStdout, []string{"a\xff\n"}, []spi.LogRecord{{Stream: spi.StreamStdout, Line: "a\uFFFD"}}},
		{"a record of hclog", spi.StreamStderr, []string{`{"@level":"error","@message":"no luck","@timestamp":"x","b":"two words","a":1}` + "\n"}, []spi.LogRecord{
			{Level: spi.LevelError, Stream: spi.StreamLog, Line: `no luck a=1 b="two words"`},
		}},
		{"JSON of another kind", spi.StreamStderr, []string{`{"level":"error"}`}, []spi.LogRecord{{Level: spi.LevelWarn, Stream: spi.StreamStderr, Line: `{"level":"error"}`}}},
		{"a long line", spi.StreamStdout, []string{strings.Repeat("x", 3*wire.MaxLogLine), "\ny\n"}, []spi.LogRecord{
			{Stream: spi.StreamStdout, Line: strings.Repeat("x", wire.MaxLogLine-len("…")) + "…"}, {Stream: spi.StreamStdout, Line: "y"},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			out, got, _ := newTestOutlet()
			write(t, out, test.stream, test.chunks...)
			if diff := cmp.Diff(test.want, append([]spi.LogRecord(nil), *got...)); diff != "" {
				t.Errorf("records differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	out, got, clock := newTestOutlet()
	line := strings.Repeat("x", 1023)
	for range 3000 {
		out.record(spi.LogRecord{Line: line})
	}
	if len(*got) != outputBurst/1024 {
		t.Errorf("%d lines of 1 KiB were let through, want %d", len(*got), outputBurst/1024)
	}
	// After a while there is room again, and it is said what was lost.
	*clock = clock.Add(2 * time.Second)
	out.record(spi.LogRecord{Line: "later"})
	if last := (*got)[len(*got)-2:]; last[1].Line != "later" || !strings.HasPrefix(last[0].Line, "2023424 bytes of output dropped") {
		t.Errorf("the last records are %+v", last)
	}
	for range 3000 {
		out.record(spi.LogRecord{Line: line})
	}
	out.finish()
	if last := (*got)[len(*got)-1].Line; !strings.Contains(last, "bytes of output dropped") {
		t.Errorf("the last record is %q", last)
	}
}

func TestLastErrors(t *testing.T) {
	t.Parallel()
	out, _, _ := newTestOutlet()
	if got := out.lastErrors(); got != "" {
		t.Errorf("lastErrors() = %q, want nothing", got)
	}
	write(t, out, spi.StreamStdout, "not an error\n")
	for range 30 {
		write(t, out, spi.StreamStderr, "early\n")
	}
	write(t, out, spi.StreamStderr, "\n \nlast\xff\n")
	if got := strings.Split(out.lastErrors(), "\n"); len(got) != tailLines || got[0] != "early" || got[tailLines-1] != "last\uFFFD" {
		t.Errorf("lastErrors() = %q", got)
	}
	for range 10 {
		write(t, out, spi.StreamStderr, strings.Repeat("y", 1000)+"\n")
	}
	if got := out.lastErrors(); len(got) > tailBytes || strings.Count(got, "\n") != 3 {
		t.Errorf("lastErrors() has %d bytes and %d ends of line", len(got), strings.Count(got, "\n"))
	}
	out.forget()
	if got := out.lastErrors(); got != "" {
		t.Errorf("lastErrors() = %q after forget, want nothing", got)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	var b backoff
	now := time.Unix(0, 0)
	want := []time.Duration{0, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond}
	for i, delay := range want {
		if b.broken() {
			t.Errorf("broken after %d failures", i)
		}
		b.fail(now, "x", time.Second)
		if got := b.left(now); got != delay {
			t.Errorf("the delay after %d failures is %v, want %v", i+1, got, delay)
		}
	}
	if !b.broken() {
		t.Errorf("not broken after %d failures", b.failures)
	}
	for range 100 {
		b.fail(now, "x", 0)
	}
	if got := b.left(now); got != maxDelay {
		t.Errorf("the delay after many failures is %v, want %v", got, maxDelay)
	}
	if got := b.left(now.Add(time.Hour)); got != 0 {
		t.Errorf("the delay after an hour is %v, want 0", got)
	}
	b.fail(now, "x", stableAfter)
	if b.failures != 1 || b.left(now) != 0 {
		t.Errorf("the failure of a process that ran for long counts as %d", b.failures)
	}
}

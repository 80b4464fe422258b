package process

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// Bounds of what a program may write outside its calls.
const (
	outputBurst = 1 << 20   // bytes at once
	outputRate  = 256 << 10 // bytes a second, on average
	tailLines   = 20
	tailBytes   = wire.MaxText
)

// outlet turns what a program writes into bounded log records, and keeps the
// end of its standard error. It is safe for concurrent use.
type outlet struct {
	log func(spi.LogRecord)
	now func() time.Time

	mu      sync.Mutex
	allowed float64 // bytes
	filled  time.Time
	dropped int      // bytes, since the last record
	tail    []string // the last lines of standard error
}

// newOutlet returns an outlet that hands its records to log.
func newOutlet(log func(spi.LogRecord), now func() time.Time) *outlet {
	return &outlet{log: log, now: now, allowed: outputBurst, filled: now()}
}

// logOutput returns a function that writes records to the logger.
func logOutput(ctx context.Context, logger *slog.Logger, plugin string) func(spi.LogRecord) {
	ctx = context.WithoutCancel(ctx)
	return func(r spi.LogRecord) {
		logger.LogAttrs(ctx, slog.Level(r.Level.Round()), "plugin output",
			slog.String("plugin", plugin), slog.String("stream", string(r.Stream)), slog.String("line", r.Line))
	}
}

// record logs one line, or drops it when the program writes too much.
func (o *outlet) record(r spi.LogRecord) {
	r.Line = clean(r.Line)
	// The end of the line counts too, or empty lines would be free.
	dropped, ok := o.allow(len(r.Line) + 1)
	if !ok {
		return
	}
	o.tellDropped(dropped)
	o.log(r)
}

// clean makes text valid UTF-8 of at most the length of a log line.
func clean(text string) string {
	return wire.Cut(strings.ToValidUTF8(text[:min(len(text), wire.MaxLogLine+1)], "\uFFFD"), wire.MaxLogLine)
}

// allow takes n bytes from what may be logged now. It returns how many bytes
// were dropped before, if these are logged.
func (o *outlet) allow(n int) (dropped int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	o.allowed = min(outputBurst, o.allowed+now.Sub(o.filled).Seconds()*outputRate)
	o.filled = now
	// What was too much is not let through in pieces: after a flood there must
	// be room for some lines.
	if float64(n) > o.allowed || o.dropped > 0 && o.allowed < outputBurst/4 {
		o.dropped += n
		return 0, false
	}
	o.allowed -= float64(n)
	dropped, o.dropped = o.dropped, 0
	return dropped, true
}

func (o *outlet) tellDropped(n int) {
	if n > 0 {
		o.log(spi.LogRecord{Level: spi.LevelWarn, Stream: spi.StreamLog, Line: fmt.Sprintf("%d bytes of output dropped: a plugin logs at most %d KiB a second outside its calls", n, outputRate>>10)})
	}
}

// finish says how much was dropped at last.
func (o *outlet) finish() {
	o.mu.Lock()
	dropped := o.dropped
	o.dropped = 0
	o.mu.Unlock()
	o.tellDropped(dropped)
}

// keep adds a line to the end of standard error.
func (o *outlet) keep(line []byte) {
	text := strings.TrimRight(string(line[:min(len(line), tailBytes)]), "\r\t ")
	if text == "" {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.tail) == tailLines {
		o.tail = append(o.tail[:0], o.tail[1:]...)
	}
	o.tail = append(o.tail, text)
}

// lastErrors returns the last lines of standard error, "" when there were none.
func (o *outlet) lastErrors() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	total, first := 0, len(o.tail)
	for first > 0 && total+len(o.tail[first-1])+1 <= tailBytes {
		first--
		total += len(o.tail[first]) + 1
	}
	return strings.ToValidUTF8(strings.Join(o.tail[first:], "\n"), "\uFFFD")
}

// forget empties the end of standard error, for the next process.
func (o *outlet) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tail = nil
}

// lines splits a stream into log records. It is used by one goroutine.
type lines struct {
	out     *outlet
	stream  spi.Stream
	partial []byte // of a line, at most one byte more than a line may have
}

// Write logs the complete lines of p and keeps the rest for later. It never
// fails.
func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		line, rest, complete := bytes.Cut(p, []byte{'\n'})
		l.partial = append(l.partial, line[:min(len(line), wire.MaxLogLine+1-len(l.partial))]...)
		if complete {
			l.flush()
		}
		p = rest
	}
	return n, nil
}

// flush logs what is there of a line.
func (l *lines) flush() {
	line := bytes.TrimSuffix(l.partial, []byte{'\r'})
	r := spi.LogRecord{Level: spi.LevelInfo, Stream: l.stream, Line: string(line)}
	if l.stream == spi.StreamStderr {
		l.out.keep(line)
		r.Level = spi.LevelWarn
		if parsed, ok := parseLogLine(line); ok {
			r = parsed
		}
	}
	l.out.record(r)
	l.partial = l.partial[:0]
}

// finish logs an incomplete line.
func (l *lines) finish() {
	if len(l.partial) > 0 {
		l.flush()
	}
}

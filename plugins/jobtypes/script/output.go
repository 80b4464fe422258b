package script

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/elasticjob-go/elasticjob/spi"
)

// Bounds of what a call logs and of what its failure quotes, the same as for
// modules.
const (
	maxLine    = 64 << 10 // bytes of a line; longer ones are cut and marked
	maxCallLog = 1 << 20  // bytes of all lines of a call
	maxMessage = 4 << 10  // bytes of a failure
	tailLines  = 20

	mark = "…" // where something was cut
)

// output turns what a program writes into bounded log records. It is safe for
// concurrent use.
type output struct {
	log func(spi.LogRecord)

	mu      sync.Mutex
	logged  int
	dropped int
	tail    []byte // the end of standard error
}

func newOutput(log func(spi.LogRecord)) *output { return &output{log: log} }

// allow takes n bytes from what may be logged, of which nothing is left once
// something was dropped.
func (o *output) allow(n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dropped > 0 || o.logged+n > maxCallLog {
		o.dropped += n
		return false
	}
	o.logged += n
	return true
}

// skip counts what is not even looked at, and reports whether that is all there
// is to do.
func (o *output) skip(n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dropped == 0 {
		return false
	}
	o.dropped += n
	return true
}

// keep remembers the end of standard error.
func (o *output) keep(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	const most = 2 * maxMessage
	o.tail = append(o.tail, p[max(0, len(p)-most):]...)
	if len(o.tail) > 2*most {
		o.tail = append(o.tail[:0], o.tail[len(o.tail)-most:]...)
	}
}

// lastErrors returns the last lines of standard error in at most most bytes, ""
// when there were none.
func (o *output) lastErrors(most int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := strings.TrimSpace(strings.ToValidUTF8(strings.ReplaceAll(string(o.tail), "\r\n", "\n"), "\uFFFD"))
	if len(text) > most {
		text = mark + strings.ToValidUTF8(text[len(text)-most+len(mark):], "")
	}
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

// finish says how much was dropped. Nothing is written any more.
func (o *output) finish() {
	o.mu.Lock()
	dropped := o.dropped
	o.mu.Unlock()
	if dropped > 0 {
		o.log(spi.LogRecord{
			Level: spi.LevelWarn, Stream: spi.StreamLog,
			Line: fmt.Sprintf("%d bytes of output dropped: a call logs at most %d KiB", dropped, maxCallLog>>10),
		})
	}
}

// read logs a stream line by line until it ends or its deadline is over.
func (o *output) read(stream spi.Stream, from io.Reader) {
	l := &lines{out: o, record: spi.LogRecord{Level: spi.LevelInfo, Stream: stream}}
	if stream == spi.StreamStderr {
		l.record.Level = spi.LevelWarn
	}
	_, _ = io.Copy(l, from) // there is nothing to do but to stop
	if len(l.partial) > 0 {
		l.flush()
	}
}

// lines splits a stream into log records. It is used by one goroutine.
type lines struct {
	out     *output
	record  spi.LogRecord
	partial []byte // of a line, at most one byte more than a line may have
	cut     int    // bytes that were too much for the line
}

// Write logs the complete lines of p and keeps the rest for later. It never
// fails.
func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	if l.record.Stream == spi.StreamStderr {
		l.out.keep(p)
	}
	for len(p) > 0 {
		if l.out.skip(len(l.partial) + l.cut + len(p)) {
			l.partial, l.cut = l.partial[:0], 0
			return n, nil
		}
		line, rest, complete := bytes.Cut(p, []byte{'\n'})
		room := min(len(line), maxLine+1-len(l.partial))
		l.partial = append(l.partial, line[:room]...)
		l.cut += len(line) - room
		if complete {
			l.flush()
		}
		p = rest
	}
	return n, nil
}

// flush logs what is there of a line.
func (l *lines) flush() {
	// The end of the line counts too, or empty lines would be free.
	if l.out.allow(len(l.partial) + 1) {
		l.record.Line = string(bytes.TrimSuffix(l.partial, []byte{'\r'}))
		if len(l.record.Line) > maxLine {
			l.record.Line = strings.ToValidUTF8(l.record.Line[:maxLine-len(mark)], "") + mark
		}
		l.out.log(l.record)
	} else {
		l.out.skip(l.cut)
	}
	l.partial, l.cut = l.partial[:0], 0
}

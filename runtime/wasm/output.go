package wasm

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// Bounds of what is kept of stderr for the message of a failed command.
const (
	tailLines = 20
	tailBytes = wire.MaxText
)

// output turns what one call writes into bounded log records. It is used by
// one goroutine.
type output struct {
	log     func(spi.LogRecord)
	logged  int // bytes
	dropped int // bytes

	stdout lines
	stderr lines
	tail   []byte // the end of stderr
}

// lines collects the last, incomplete line of a stream.
type lines struct {
	partial []byte
	cut     int // bytes that were too much for the line
}

// record logs one line, or drops it when the call logged too much already.
// Of text only the first bytes beyond the bound of a line are looked at.
func (o *output) record(level spi.Level, stream spi.Stream, text []byte) {
	if o.dropped > 0 {
		o.dropped += len(text)
		return
	}
	line := clean(text)
	// The end of the line counts too, or empty lines would be free.
	if o.logged+len(line)+1 > wire.MaxCallLog {
		o.dropped += len(text)
		return
	}
	o.logged += len(line) + 1
	o.log(spi.LogRecord{Level: level.Round(), Stream: stream, Line: line})
}

// clean makes text valid UTF-8 of at most the length of a log line. Each byte
// that is no text becomes one U+FFFD, as in messages.
func clean(text []byte) string {
	text = text[:min(len(text), wire.MaxLogLine+1)]
	if !utf8.Valid(text) {
		return wire.Cut(string([]rune(string(text))), wire.MaxLogLine)
	}
	return wire.Cut(string(text), wire.MaxLogLine)
}

// write logs the complete lines of p and keeps the rest for later.
func (o *output) write(stream spi.Stream, p []byte) {
	level, pending := spi.LevelInfo, &o.stdout
	if stream == spi.StreamStderr {
		level, pending = spi.LevelWarn, &o.stderr
		o.tail = append(o.tail, p[max(0, len(p)-2*tailBytes):]...)
		if len(o.tail) > 4*tailBytes {
			o.tail = append(o.tail[:0], o.tail[len(o.tail)-2*tailBytes:]...)
		}
	}
	for len(p) > 0 {
		if o.dropped > 0 {
			o.dropped += len(p)
			return
		}
		line, rest, complete := bytes.Cut(p, []byte{'\n'})
		pending.add(line)
		if complete {
			o.flush(level, stream, pending)
		}
		p = rest
	}
}

func (l *lines) add(p []byte) {
	room := min(len(p), wire.MaxLogLine+1-len(l.partial))
	l.partial = append(l.partial, p[:room]...)
	l.cut += len(p) - room
}

func (o *output) flush(level spi.Level, stream spi.Stream, l *lines) {
	o.record(level, stream, bytes.TrimSuffix(l.partial, []byte{'\r'}))
	if o.dropped > 0 {
		o.dropped += l.cut
	}
	l.partial, l.cut = l.partial[:0], 0
}

// finish logs incomplete lines and how much was dropped.
func (o *output) finish() {
	if len(o.stdout.partial) > 0 {
		o.flush(spi.LevelInfo, spi.StreamStdout, &o.stdout)
	}
	if len(o.stderr.partial) > 0 {
		o.flush(spi.LevelWarn, spi.StreamStderr, &o.stderr)
	}
	if o.dropped > 0 {
		o.log(spi.LogRecord{Level: spi.LevelWarn, Stream: spi.StreamLog, Line: fmt.Sprintf(
			"%d bytes of output dropped: a call logs at most %d KiB", o.dropped, wire.MaxCallLog>>10)})
	}
}

// lastErrors returns the last lines of stderr, "" when there were none.
func (o *output) lastErrors() string {
	text := strings.TrimRight(strings.ToValidUTF8(string(o.tail), "\uFFFD"), "\r\n\t ")
	if len(text) > tailBytes {
		text = text[len(text)-tailBytes+len("…"):]
		for text != "" && text[0]&0xC0 == 0x80 {
			text = text[1:]
		}
		text = "…" + text
	}
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-tailLines):], "\n")
}

package processtest

import (
	"bytes"
	"io"
	"slices"
)

// Lines is the output of a process that is taken line by line, without its end. It
// never fails.
type Lines struct {
	// Take is given one line after the other, which it must not keep.
	Take func(line []byte)

	rest []byte // the beginning of a line
}

var _ io.Writer = (*Lines)(nil)

func (l *Lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte{'\n'})
		if !ok {
			l.rest = slices.Clone(l.rest)
			return len(b), nil
		}
		l.Take(line)
		l.rest = rest
	}
}

package spitest

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// HostCall is a host operation that a plugin has called.
type HostCall struct {
	Op      string
	Request string
}

// Recorder is the services of a call. It keeps what a plugin logs and asks for.
// It is safe for concurrent use; its zero value knows no operation.
type Recorder struct {
	// Answer runs host operations; nil refuses all with CodeUnsupported.
	Answer func(ctx context.Context, op string, request []byte) ([]byte, error)
	// OnLog is called with every record, after it was kept; nil is allowed.
	OnLog func(record spi.LogRecord)

	mu      sync.Mutex
	records []spi.LogRecord
	calls   []HostCall
}

var _ spi.Services = (*Recorder)(nil)

// Log keeps the record in the form that the engine writes: each line is a
// record, its level is one of the named ones and its stream is there.
func (r *Recorder) Log(_ context.Context, record spi.LogRecord) {
	record.Level = record.Level.Round()
	if record.Stream == "" {
		record.Stream = spi.StreamLog
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(record.Line, "\n"), "\n") {
		record.Line = text(strings.TrimSuffix(line, "\r"), wire.MaxLogLine)
		r.mu.Lock()
		r.records = append(r.records, record)
		r.mu.Unlock()
		if r.OnLog != nil {
			r.OnLog(record)
		}
	}
}

// Call keeps the operation and answers it. Questions whether to stop are not
// kept: some hosts ask on their own.
func (r *Recorder) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	if op != spi.OpShouldStop {
		r.mu.Lock()
		r.calls = append(r.calls, HostCall{Op: op, Request: string(request)})
		r.mu.Unlock()
	}
	if r.Answer == nil {
		return nil, spi.NewError(spi.CodeUnsupported, "operation "+op+" is not offered")
	}
	return r.Answer(ctx, op, request)
}

// Records returns what was logged so far.
func (r *Recorder) Records() []spi.LogRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.records)
}

// Lines returns the lines that were logged so far.
func (r *Recorder) Lines() []string {
	var lines []string
	for _, record := range r.Records() {
		lines = append(lines, record.Line)
	}
	return lines
}

// Calls returns the host operations that were called so far.
func (r *Recorder) Calls() []HostCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

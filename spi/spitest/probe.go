package spitest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/spitest/subject"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// Host is a host and the plugins of package subject as it has loaded them.
type Host struct {
	// Kind is "built-in", "process" or "wasm", as in [spi.Provenance].
	Kind    string
	Plugins []spi.Plugin
}

// The kinds of hosts.
const (
	builtIn = "built-in"
	process = "process"
	module  = "wasm"
)

// plugin returns the plugin of a kind and type.
func (h Host) plugin(t *testing.T, kind spi.Kind, name string) spi.Plugin {
	t.Helper()
	i := slices.IndexFunc(h.Plugins, func(p spi.Plugin) bool { return p.Descriptor.Kind == kind && p.Descriptor.Type == name })
	if i < 0 {
		t.Fatalf("the host %s has no %s %s", h.Kind, kind, name)
	}
	return h.Plugins[i]
}

// Run runs all tables.
func Run(t *testing.T, h Host) {
	t.Helper()
	t.Run("describe", func(t *testing.T) { Describe(t, h) })
	t.Run("jobType", func(t *testing.T) { JobType(t, h) })
	t.Run("dataflow", func(t *testing.T) { Dataflow(t, h) })
	t.Run("shardingStrategy", func(t *testing.T) { ShardingStrategy(t, h) })
	t.Run("errorHandler", func(t *testing.T) { ErrorHandler(t, h) })
	t.Run("jobListener", func(t *testing.T) { JobListener(t, h) })
	t.Run("tracingSink", func(t *testing.T) { TracingSink(t, h) })
}

// Describe compares what the plugins say of themselves.
func Describe(t *testing.T, h Host) {
	t.Helper()
	t.Parallel()
	var got, want []spi.Descriptor
	for _, p := range h.Plugins {
		if err := p.Check(); err != nil {
			t.Errorf("%s %s: Check() = %v, want nil", p.Descriptor.Kind, p.Descriptor.Type, err)
		}
		got = append(got, p.Descriptor)
	}
	for _, p := range subject.Plugins() {
		want = append(want, p.Descriptor)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("descriptors (-want +got):\n%s", diff)
	}
}

// deed is one call of a method.
type deed struct {
	name string
	// values are the properties that tell the subject what to do.
	values props.Values
	// answer runs host operations; nil refuses them.
	answer func(op, request string) (string, error)
	// begin changes the context of the call; nil leaves it.
	begin func(context.Context) (context.Context, context.CancelFunc)
	// end ends the context as soon as the subject waits; nil never ends it.
	end error
	// lines, calls and err are what is wanted; a nil err is success. Without
	// lines of its own a call is to log nothing.
	lines []string
	calls []HostCall
	err   *spi.Error
	// stack is part of the stack of the error.
	stack bool
	// levels are the levels of the lines; all are info without them.
	levels []spi.Level
	// check compares more; nil does not.
	check func(t *testing.T, o outcome)
}

// outcome is what came of a call.
type outcome struct {
	err     *spi.Error
	records []spi.LogRecord
	calls   []HostCall
}

// method is a method of a kind, called with a request of which only the
// properties and services change.
type method func(ctx context.Context, values props.Values, services spi.Services) *spi.Error

// patience bounds every call of the suite; none is to come near it.
const patience = time.Minute

// perform makes the call and compares.
func (d deed) perform(t *testing.T, h Host, call method) {
	t.Helper()
	if expected, differs := differenceOf(h.Kind, d.name); differs {
		if expected.change == nil {
			return
		}
		expected.change(&d)
	}
	recorder := &Recorder{}
	if d.answer != nil {
		recorder.Answer = func(_ context.Context, op string, request []byte) ([]byte, error) {
			response, err := d.answer(op, string(request))
			return []byte(response), err
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if d.begin != nil {
		var cancelBegun context.CancelFunc
		ctx, cancelBegun = d.begin(ctx)
		defer cancelBegun()
	}
	if d.end != nil {
		var end context.CancelCauseFunc
		ctx, end = context.WithCancelCause(ctx)
		defer end(nil)
		recorder.OnLog = func(record spi.LogRecord) {
			if record.Line == subject.Waiting {
				end(d.end)
			}
		}
	}
	values := maps.Clone(d.values)
	if values == nil {
		values = props.Values{}
	}
	o := outcome{err: call(ctx, values, recorder)}
	o.records, o.calls = recorder.Records(), recorder.Calls()
	d.compare(t, o)
}

func (d deed) compare(t *testing.T, o outcome) {
	t.Helper()
	var want []spi.LogRecord
	for i, line := range d.lines {
		record := spi.LogRecord{Level: spi.LevelInfo, Stream: spi.StreamLog, Line: line}
		if i < len(d.levels) {
			record.Level = d.levels[i]
		}
		want = append(want, record)
	}
	if d.check == nil || d.lines != nil {
		if diff := cmp.Diff(want, o.records, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	}
	if d.check == nil || d.calls != nil {
		if diff := cmp.Diff(d.calls, o.calls, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("host operations (-want +got):\n%s", diff)
		}
	}
	if d.check != nil {
		d.check(t, o)
		return
	}
	var got *spi.Error
	if o.err != nil {
		e := *o.err
		if (e.Stack != "") != d.stack {
			t.Errorf("the error has the stack %q, want one: %t", e.Stack, d.stack)
		}
		e.Stack = ""
		got = &e
	}
	if diff := cmp.Diff(d.err, got); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

// performAll makes the calls, several at once.
func performAll(t *testing.T, h Host, deeds []deed, call method) {
	t.Helper()
	for _, d := range deeds {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			d.perform(t, h, call)
		})
	}
}

// do makes properties out of what to do and pairs of names and values.
func do(what string, pairs ...string) props.Values {
	values := props.Values{subject.PropDo: what}
	for i := 0; i+1 < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return values
}

// sampleContext is what a call is about. The fencing token is one that a
// floating-point number cannot hold.
func sampleContext() spi.ShardingContext {
	return spi.ShardingContext{
		JobName: "orders", TaskID: "orders@-@0,2@-@READY@-@10.0.0.1@-@id", ShardingTotalCount: 4, JobParameter: "a=\"b\"\n\t\\ \u2028 広州 🚀 \x00\x7f",
		ShardingItem: 2, ShardingParameter: "上海", RunID: "20261121T100425.120Z", FireTime: time.Date(2026, 11, 21, 10, 4, 25, 120e6, time.UTC),
		ExecutionSource: spi.SourceFailover, Attempt: 3, FencingToken: 9007199254740993, Checkpoint: []byte("page\xff\x00 7"),
	}
}

// shortened is text as the border cuts it.
func shortened(text string) string { return wire.Cut(text, wire.MaxText) }

func errorf(code spi.Code, format string, args ...any) *spi.Error {
	return spi.NewError(code, fmt.Sprintf(format, args...))
}

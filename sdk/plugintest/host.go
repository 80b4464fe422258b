package plugintest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Host is the plugin in one of its hosts.
type Host struct {
	kind    string
	plugins []spi.Plugin
}

// Kind is [Process] or [Module].
func (h *Host) Kind() string { return h.kind }

// Plugins returns all plugins that the program brings.
func (h *Host) Plugins() []spi.Plugin { return slices.Clone(h.plugins) }

// Services returns services for calls, which the test changes as it likes before
// the first one. What the plugin logs goes to the log of the test as well.
func (h *Host) Services(t *testing.T) *Services {
	t.Helper()
	return &Services{output: t.Output()}
}

// JobType makes the job type of that name, with the properties of a job. They
// are checked against the schema of the plugin, and defaults are filled in, as a
// node does. A request need not repeat them. The same holds for the methods of
// the other kinds.
func (h *Host) JobType(t *testing.T, name string, values map[string]string) spi.JobType {
	t.Helper()
	return construct(t, h, spi.KindJobType, name, values, func(p spi.Plugin) spi.Constructor[spi.JobType] { return p.JobType })
}

// Dataflow makes the job type of that name, which must be a dataflow.
func (h *Host) Dataflow(t *testing.T, name string, values map[string]string) spi.Dataflow {
	t.Helper()
	flow, ok := h.JobType(t, name, values).(spi.Dataflow)
	if !ok {
		t.Fatalf("the job type %s is no dataflow", name)
	}
	return flow
}

// ShardingStrategy makes the sharding strategy of that name.
func (h *Host) ShardingStrategy(t *testing.T, name string, values map[string]string) spi.ShardingStrategy {
	t.Helper()
	of := func(p spi.Plugin) spi.Constructor[spi.ShardingStrategy] { return p.ShardingStrategy }
	return construct(t, h, spi.KindShardingStrategy, name, values, of)
}

// ErrorHandler makes the error handler of that name.
func (h *Host) ErrorHandler(t *testing.T, name string, values map[string]string) spi.ErrorHandler {
	t.Helper()
	of := func(p spi.Plugin) spi.Constructor[spi.ErrorHandler] { return p.ErrorHandler }
	return construct(t, h, spi.KindErrorHandler, name, values, of)
}

// JobListener makes the job listener of that name.
func (h *Host) JobListener(t *testing.T, name string, values map[string]string) spi.JobListener {
	t.Helper()
	of := func(p spi.Plugin) spi.Constructor[spi.JobListener] { return p.JobListener }
	return construct(t, h, spi.KindJobListener, name, values, of)
}

// TracingSink makes the tracing sink of that name.
func (h *Host) TracingSink(t *testing.T, name string, values map[string]string) spi.TracingSink {
	t.Helper()
	of := func(p spi.Plugin) spi.Constructor[spi.TracingSink] { return p.TracingSink }
	return construct(t, h, spi.KindTracingSink, name, values, of)
}

// Context returns a context of the item 0 of 1 of a job, as a node gives it for
// the first attempt. A test changes what it is about.
func Context() spi.ShardingContext {
	return spi.ShardingContext{
		JobName: "test", TaskID: "test@-@0@-@READY@-@127.0.0.1@-@plugintest", ShardingTotalCount: 1, RunID: "20260101T000000.000Z",
		FireTime: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), ExecutionSource: spi.SourceNormal, Attempt: 1, FencingToken: 1,
	}
}

// construct makes an implementation, which is closed with the test.
func construct[T any](t *testing.T, h *Host, kind spi.Kind, name string, given map[string]string, of func(spi.Plugin) spi.Constructor[T]) T {
	t.Helper()
	i := slices.IndexFunc(h.plugins, func(p spi.Plugin) bool { return p.Descriptor.Kind == kind && p.Descriptor.Type == name })
	if i < 0 {
		t.Fatalf("the program has no %s %s; it has %s", kind, name, names(h.plugins))
	}
	p := h.plugins[i]
	values, problems := p.Descriptor.Props.Resolve(given)
	for _, problem := range problems {
		t.Errorf("property %s of %s: %s", problem.Property, name, problem.Message)
	}
	if len(problems) > 0 {
		t.FailNow()
	}
	return makeOf(t, of(p), name, values)
}

func makeOf[T any](t *testing.T, constructor spi.Constructor[T], name string, values props.Values) T {
	t.Helper()
	implementation, err := constructor(t.Context(), values)
	if err != nil {
		t.Fatalf("making %s: %v", name, err)
	}
	if closer, ok := any(implementation).(spi.Closer); ok {
		t.Cleanup(func() {
			if err := closer.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Errorf("closing %s: %v", name, err)
			}
		})
	}
	return implementation
}

func names(plugins []spi.Plugin) string {
	var all []string
	for _, p := range plugins {
		all = append(all, string(p.Descriptor.Kind)+" "+p.Descriptor.Type)
	}
	return strings.Join(all, ", ")
}

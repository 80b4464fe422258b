package plugintest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// unknownProperty is a name that no author would think of.
const unknownProperty = "no-such-property-of.plugintest"

// soon bounds calls whose context has ended. A host takes far less.
const soon = 10 * time.Second

// checkAll checks every plugin without running code of it.
func checkAll(t *testing.T, h *Host) {
	t.Helper()
	for _, p := range h.plugins {
		t.Run(string(p.Descriptor.Kind)+" "+p.Descriptor.Type, func(t *testing.T) {
			if err := p.Check(); err != nil {
				t.Fatalf("the descriptor: %v", err)
			}
			if strings.TrimSpace(p.Descriptor.Description) == "" {
				t.Error("the descriptor has no description, so operators are told nothing")
			}
			for _, problem := range schemaProblems(p.Descriptor.Props) {
				t.Error(problem)
			}
			checkEndedContexts(t, p)
		})
	}
}

// schemaProblems says where a node does not take the examples of a schema, or
// takes what it does not name.
func schemaProblems(schema props.Schema) []string {
	var all []string
	_, takesAny := schema.Find(unknownProperty)
	_, problems := schema.Resolve(map[string]string{unknownProperty: "x"})
	isRefused := slices.ContainsFunc(problems, func(p props.Problem) bool { return p.Property == unknownProperty && p.Rule == "unknown-property" })
	if isRefused == takesAny {
		all = append(all, fmt.Sprintf("the schema refuses an unknown property: %t, want %t", isRefused, !takesAny))
	}
	for _, p := range schema.CheckExamples() {
		all = append(all, "property "+p.Property+" "+p.Message)
	}
	return all
}

// checkEndedContexts holds that calls whose context has ended return soon, with
// the code of why it has. Hosts do not run code for them.
func checkEndedContexts(t *testing.T, p spi.Plugin) {
	t.Helper()
	for cause, want := range map[error]spi.Code{
		spi.ErrStopping: spi.CodeCancelled, spi.ErrDisabled: spi.CodeCancelled, spi.ErrTimeout: spi.CodeTimeout, spi.ErrLeaseLost: spi.CodeLeaseLost,
	} {
		ctx, end := context.WithCancelCause(t.Context())
		end(cause)
		returned := make(chan error, 1)
		go func() { returned <- callOnce(ctx, p) }()
		select {
		case err := <-returned:
			if e := spi.AsError(err); e == nil || e.Code != want {
				t.Errorf("a call whose context has ended with %q fails with %v, want code %s", cause, err, want)
			}
		case <-time.After(soon):
			t.Errorf("a call whose context has ended with %q has not returned within %s", cause, soon)
		}
	}
}

// callOnce makes one call of the plugin.
func callOnce(ctx context.Context, p spi.Plugin) error {
	values := props.Values{}
	services := &Services{}
	switch p.Descriptor.Kind {
	case spi.KindJobType:
		job, err := p.JobType(ctx, values)
		if err != nil {
			return err
		}
		if flow, ok := job.(spi.Dataflow); ok && p.Descriptor.Has(spi.CapabilityDataflow) {
			_, err = flow.FetchData(ctx, spi.FetchDataRequest{Context: Context(), Services: services})
			return err
		}
		_, err = job.Execute(ctx, spi.ExecuteRequest{Context: Context(), Services: services})
		return err
	case spi.KindShardingStrategy:
		strategy, err := p.ShardingStrategy(ctx, values)
		if err == nil {
			_, err = strategy.Shard(ctx, spi.ShardRequest{
				JobName: "test", ShardingTotalCount: 1, Instances: []spi.Instance{{ID: "a", IP: "127.0.0.1"}}, Items: []spi.Item{{}}, Services: services,
			})
		}
		return err
	case spi.KindErrorHandler:
		handler, err := p.ErrorHandler(ctx, values)
		if err == nil {
			_, err = handler.HandleError(ctx, spi.HandleErrorRequest{Context: Context(), Error: spi.NewError(spi.CodeFailed, "test"), Services: services})
		}
		return err
	case spi.KindJobListener:
		listener, err := p.JobListener(ctx, values)
		if err == nil {
			_, err = listener.BeforeJob(ctx, spi.JobListenerRequest{Run: spi.JobRun{JobName: "test", FireTime: Context().FireTime}, Services: services})
		}
		return err
	case spi.KindTracingSink:
		sink, err := p.TracingSink(ctx, values)
		if err == nil {
			_, err = sink.Trace(ctx, spi.TraceRequest{Services: services})
		}
		return err
	default:
		return errors.New("plugins of kind " + string(p.Descriptor.Kind) + " are not available in this version")
	}
}

// sample is a call whose outcome is the same on all hosts.
type sample struct {
	name    string
	prepare func(*Services)
	call    func(t *testing.T, h *Host, s *Services) (any, error)
}

// outcome is what came of a sample.
type outcome struct {
	Response   any
	Code       spi.Code
	Message    string
	Retryable  bool
	Property   string
	Lines      []spi.LogRecord
	Operations []string
}

// compareSamples makes every call on both hosts.
func compareSamples(t *testing.T, first, other *Host, samples []sample) {
	t.Helper()
	for _, one := range samples {
		t.Run(one.name, func(t *testing.T) {
			got := map[*Host]outcome{}
			for _, h := range []*Host{first, other} {
				services := h.Services(t)
				if one.prepare != nil {
					one.prepare(services)
				}
				response, err := one.call(t, h, services)
				o := outcome{Response: response, Lines: services.Records(), Operations: services.Requests()}
				if e := spi.AsError(err); e != nil {
					o.Response, o.Code, o.Message, o.Retryable, o.Property = nil, e.Code, e.Error(), e.Retryable, e.Property
				}
				got[h] = o
			}
			if diff := cmp.Diff(got[first], got[other]); diff != "" {
				t.Errorf("the outcomes differ (-%s +%s):\n%s", first.kind, other.kind, diff)
			}
		})
	}
}

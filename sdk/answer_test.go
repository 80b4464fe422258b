package sdk

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// recorder is a host that keeps the log and answers calls with call.
type recorder struct {
	call func(op string, request []byte) ([]byte, error)

	mu sync.Mutex

	records []spi.LogRecord
}

var _ spi.Services = (*recorder)(nil)

func (r *recorder) Log(_ context.Context, record spi.LogRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, record)
}

func (r *recorder) Call(_ context.Context, op string, request []byte) ([]byte, error) {
	if r.call == nil {
		return nil, spi.NewError(spi.CodeUnsupported, "no operations here")
	}
	return r.call(op, request)
}

func request(plugin string) []byte {
	return wire.AppendExecuteRequest(nil, plugin, spi.ShardingContext{
		JobName: "nightly", ShardingItem: 2, ShardingParameter: "Beijing", FireTime: time.UnixMilli(0), Props: props.Values{"batch.size": "7"},
	})
}

func execute(t *testing.T, services spi.Services, plugin spi.Plugin) (spi.ExecuteResponse, *spi.Error) {
	t.Helper()
	var l list
	l.add(plugin)
	a := l.execute(request(plugin.Descriptor.Type), services)
	if a.result == wire.ResultOK {
		response, err := wire.DecodeExecuteResponse(a.output)
		if err != nil {
			t.Fatalf("response %s: %v", a.output, err)
		}
		return response, nil
	}
	e, err := wire.DecodeError(a.output)
	if err != nil {
		t.Fatalf("error object %s: %v", a.output, err)
	}
	return spi.ExecuteResponse{}, e
}

func TestExecuteRunsTheJob(t *testing.T) {
	t.Parallel()
	host := &recorder{}
	response, failure := execute(t, host, JobType("A", "", func(_ context.Context, job *Job) error {
		job.Info("working", "item", job.ShardingItem, "city", job.ShardingParameter, "batch", job.Props.Int("batch.size"))
		job.Result = "done"
		return nil
	}))
	if failure != nil || response.Message != "done" {
		t.Errorf("execute = %v, error %v, want done", response, failure)
	}
	want := []spi.LogRecord{{Level: spi.LevelInfo, Stream: spi.StreamLog, Line: "working item=2 city=Beijing batch=7"}}
	if diff := cmp.Diff(want, host.records); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestExecuteFails(t *testing.T) {
	t.Parallel()
	fails := func(err error) spi.Plugin {
		return JobType("A", "", func(context.Context, *Job) error { return err })
	}
	panics := func(value any) spi.Plugin {
		return JobType("A", "", func(context.Context, *Job) error { panic(value) })
	}
	refuses := spi.Plugin{
		Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "A"},
		JobType: func(context.Context, props.Values) (spi.JobType, error) {
			return nil, &spi.Error{Code: spi.CodeInvalidProperties, Message: "too many", Property: "batch.size"}
		},
	}
	tests := []struct {
		name   string
		plugin spi.Plugin
		want   spi.Error
	}{
		{"plain error", fails(errors.New("no disk")), spi.Error{Code: spi.CodeFailed, Message: "no disk"}},
		{"own code", fails(&spi.Error{Code: 1042, Message: "mine", Retryable: true}), spi.Error{Code: 1042, Message: "mine", Retryable: true}},
		{"code of the host", fails(context.Canceled), spi.Error{Code: spi.CodeFailed, Message: "context canceled"}},
		{"code of the host for broken modules", fails(spi.NewError(spi.CodeProtocol, "no JSON")), spi.Error{Code: spi.CodeFailed, Message: "no JSON"}},
		{"own timeout", fails(context.DeadlineExceeded), spi.Error{Code: spi.CodeFailed, Message: "context deadline exceeded", Retryable: true}},
		{"refused property", refuses, spi.Error{Code: spi.CodeInvalidProperties, Message: "too many", Property: "batch.size"}},
		{"panic with a text", panics("oh no"), spi.Error{Code: spi.CodeFailed, Message: "panic: oh no", Stack: "answer_test.go"}},
		{"panic with an error", panics(errors.New("oh no")), spi.Error{Code: spi.CodeFailed, Message: "panic: oh no", Stack: "answer_test.go"}},
		{"panic with a struct", panics(struct{}{}), spi.Error{Code: spi.CodeFailed, Message: "panic: ?", Stack: "answer_test.go"}},
		{"panic of the runtime", JobType("A", "", func(_ context.Context, job *Job) error {
			return []error{nil, nil}[job.ShardingItem]
		}), spi.Error{Code: spi.CodeFailed, Message: "panic: runtime error: index out of range [2] with length 2", Stack: "answer_test.go"}},
		{"panic with what panics", panics(brokenError{}), spi.Error{Code: spi.CodeFailed, Message: "panic: a value without a text", Stack: "answer_test.go"}},
		{"error that panics", fails(brokenError{}), spi.Error{Code: spi.CodeFailed, Message: "panic: no text", Stack: "answer_test.go"}},
		{
			"end of the goroutine", JobType("A", "", func(context.Context, *Job) error { runtime.Goexit(); return nil }),
			spi.Error{Code: spi.CodeFailed, Message: "the code ended its goroutine"},
		},
		{"no constructor", spi.Plugin{Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "A"}}, spi.Error{Code: spi.CodeNotFound, Message: "this module has no jobType A"}},
		{"other kind", spi.Plugin{Descriptor: spi.Descriptor{Kind: spi.KindErrorHandler, Type: "A"}}, spi.Error{Code: spi.CodeNotFound, Message: "this module has no jobType A"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, got := execute(t, &recorder{}, tt.plugin)
			if got == nil {
				t.Fatal("execute succeeds, want an error")
			}
			if !strings.Contains(got.Stack, tt.want.Stack) || (got.Stack == "") != (tt.want.Stack == "") {
				t.Errorf("stack = %q, want it to hold %q", got.Stack, tt.want.Stack)
			}
			got.Stack, tt.want.Stack = "", ""
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// brokenError is an error whose text panics.
type brokenError struct{}

func (brokenError) Error() string { panic("no text") }

func TestExecuteRefusesABadRequest(t *testing.T) {
	t.Parallel()
	var l list
	a := l.execute([]byte(`{"abi":1}`), &recorder{})
	e, err := wire.DecodeError(a.output)
	if err != nil || a.result != wire.ResultError || e.Message != "execute request: type: expected this mandatory member" {
		t.Errorf("execute = %d, %s, want an error that names the member", a.result, a.output)
	}
}

type closingJob struct {
	spi.JobTypeFunc
	close func() error
}

func (j closingJob) Close(context.Context) error { return j.close() }

func TestExecuteClosesWhatItMade(t *testing.T) {
	t.Parallel()
	var calls []string
	services := &recorder{}
	_, failure := execute(t, services, spi.Plugin{
		Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "A"},
		JobType: func(_ context.Context, values props.Values) (spi.JobType, error) {
			calls = append(calls, "make with batch.size "+values["batch.size"])
			return closingJob{
				func(context.Context, spi.ExecuteRequest) (spi.ExecuteResponse, error) {
					calls = append(calls, "execute")
					return spi.ExecuteResponse{}, nil
				},
				func() error { calls = append(calls, "close"); return errors.New("closing: broken") },
			}, nil
		},
	})
	if want := []string{"make with batch.size 7", "execute", "close"}; !slices.Equal(calls, want) {
		t.Errorf("calls = %q, want %q", calls, want)
	}
	if failure != nil {
		t.Errorf("execute fails with %v, want success: what was done stays done", failure)
	}
	wantLog := []spi.LogRecord{{Level: spi.LevelWarn, Stream: spi.StreamLog, Line: "closing the plugin failed: closing: broken"}}
	if diff := cmp.Diff(wantLog, services.records); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	var l list
	if a := l.describe(); a.result != wire.ResultError {
		t.Errorf("describe without plugins = %d, want %d", a.result, wire.ResultError)
	}
	run := func(context.Context, *Job) error { return nil }
	field := props.Field{Name: "batch.size", Type: props.Int, Description: "orders per query", Default: "100"}
	l.add(JobType("A", "does a", run, field))
	l.add(JobType("B", "does b", run))
	a := l.describe()
	got, err := wire.DecodeDescribeResponse(a.output)
	if err != nil || a.result != wire.ResultOK {
		t.Fatalf("describe = %d, %s, %v, want success", a.result, a.output, err)
	}
	want := []spi.Descriptor{
		{Kind: spi.KindJobType, Type: "A", Description: "does a", Props: props.Schema{field}, Capabilities: []string{spi.CapabilityExecute}},
		{Kind: spi.KindJobType, Type: "B", Description: "does b", Capabilities: []string{spi.CapabilityExecute}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("describe (-want +got):\n%s", diff)
	}
}

func TestJobTypesAreGoodPlugins(t *testing.T) {
	t.Parallel()
	if err := JobType("A", "does a", func(context.Context, *Job) error { return nil }).Check(); err != nil {
		t.Errorf("Check of a JobType: %v", err)
	}
}

package sdk_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/runtime/wasm"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// host is the engine's side of a call.
type host struct {
	// call answers host operations; nil knows none.
	call func(op string, request []byte) ([]byte, error)

	mu sync.Mutex

	records []spi.LogRecord
}

var _ spi.Services = (*host)(nil)

func (h *host) Log(_ context.Context, record spi.LogRecord) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, record)
}

func (h *host) Call(_ context.Context, op string, request []byte) ([]byte, error) {
	if h.call == nil {
		return nil, spi.NewError(spi.CodeUnsupported, "no operation "+op)
	}
	return h.call(op, request)
}

// module is the program of testdata/guest, loaded by the real host.
type module map[string]spi.Plugin

func (m module) execute(ctx context.Context, name string, services spi.Services, change func(*spi.ShardingContext)) (spi.ExecuteResponse, error) {
	c := spi.ShardingContext{
		JobName: "nightly", TaskID: "task", ShardingTotalCount: 4, ShardingItem: 3, ShardingParameter: "广州", RunID: "run",
		FireTime: time.Date(2026, 11, 21, 10, 4, 25, 120e6, time.UTC), ExecutionSource: spi.SourceNormal, Attempt: 1,
		FencingToken: 9007199254740993, Props: props.Values{"batch.size": "7"},
	}
	if change != nil {
		change(&c)
	}
	job, err := m[name].JobType(ctx, c.Props)
	if err != nil {
		return spi.ExecuteResponse{}, err
	}
	return job.Execute(ctx, spi.ExecuteRequest{Context: c, Services: services})
}

// loadModule loads the program once for each isolation, with one compilation.
func loadModule(t *testing.T) (fresh, pooled module) {
	t.Helper()
	runtime, err := wasm.New(t.Context(), wasm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := runtime.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	path := buildModule(t, "guest")
	load := func(isolation spi.Isolation) module {
		bundle, err := runtime.Load(t.Context(), spi.LoadRequest{Path: path, Isolation: isolation})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := bundle.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		m := module{}
		for _, p := range bundle.Plugins {
			m[p.Descriptor.Type] = p
		}
		return m
	}
	return load(spi.IsolationFresh), load(spi.IsolationPooled)
}

// A module answers the real host as the ABI says. It is compiled once for all
// of these.
func TestModule(t *testing.T) {
	t.Parallel()
	m, pooled := loadModule(t)

	t.Run("describe", func(t *testing.T) {
		t.Parallel()
		want := spi.Descriptor{
			Kind: spi.KindJobType, Type: "ECHO", Description: "returns its context", Capabilities: []string{spi.CapabilityExecute},
			Props: props.Schema{{Name: "batch.size", Type: props.Int, Description: "any number", Default: "100"}},
		}
		if diff := cmp.Diff(want, m["ECHO"].Descriptor); diff != "" {
			t.Errorf("descriptor (-want +got):\n%s", diff)
		}
		if len(m) != 14 {
			t.Errorf("the module describes %d plugins, want 14", len(m))
		}
	})
	testKinds(t, m)
	t.Run("context", func(t *testing.T) {
		t.Parallel()
		long := strings.Repeat("x", 10_000) // more than the first buffer for the request
		got, err := m.execute(t.Context(), "ECHO", &host{}, func(c *spi.ShardingContext) {
			c.JobParameter = "\"" + long
			c.Checkpoint = []byte("page 7")
			c.JobName = "nightly"
		})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(got.Message, "nightly|task|4|\"xxx") || len(got.Message) > 4<<10 {
			t.Errorf("result = %.40s… of %d bytes, want the context, cut to 4 KiB", got.Message, len(got.Message))
		}
		got, err = m.execute(t.Context(), "ECHO", &host{}, func(c *spi.ShardingContext) { c.Checkpoint = []byte("page 7") })
		if err != nil {
			t.Fatal(err)
		}
		if want := "nightly|task|4||3|广州|run|2026-11-21T10:04:25.12Z|NORMAL_TRIGGER|1|9007199254740993|0001-01-01T00:00:00Z|page 7|7"; got.Message != want {
			t.Errorf("result = %s, want %s", got.Message, want)
		}
	})
	t.Run("log", func(t *testing.T) {
		t.Parallel()
		services := &host{}
		if _, err := m.execute(t.Context(), "LOGS", services, nil); err != nil {
			t.Fatal(err)
		}
		record := func(level spi.Level, line string) spi.LogRecord {
			return spi.LogRecord{Level: level, Stream: spi.StreamLog, Line: line}
		}
		want := []spi.LogRecord{
			record(spi.LevelDebug, "debug"), record(spi.LevelInfo, "first"), record(spi.LevelInfo, "second"),
			record(spi.LevelWarn, `warn name="two words"`), record(spi.LevelError, "error"), record(spi.LevelWarn, "between"),
		}
		if diff := cmp.Diff(want, services.records); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
	t.Run("errors", func(t *testing.T) {
		t.Parallel()
		tests := []struct {
			how  string
			want spi.Error
		}{
			{"", spi.Error{Code: spi.CodeFailed, Message: "plain"}},
			{"code", spi.Error{Code: 1001, Message: "own code", Retryable: true}},
			{"panic", spi.Error{Code: spi.CodeFailed, Message: "panic: on purpose", Stack: "main.fails"}},
			{"nil", spi.Error{Code: spi.CodeFailed, Message: "panic: runtime error: invalid memory address or nil pointer dereference", Stack: "main.fails"}},
		}
		for _, tt := range tests {
			_, err := m.execute(t.Context(), "FAILS", &host{}, func(c *spi.ShardingContext) { c.JobParameter = tt.how })
			got := spi.AsError(err)
			if got == nil {
				t.Errorf("FAILS with %q succeeds, want %v", tt.how, tt.want)
				continue
			}
			if !strings.Contains(got.Stack, tt.want.Stack) {
				t.Errorf("FAILS with %q has the stack %q, want it to hold %s", tt.how, got.Stack, tt.want.Stack)
			}
			got.Stack, tt.want.Stack = "", ""
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("FAILS with %q (-want +got):\n%s", tt.how, diff)
			}
		}
	})
	t.Run("goroutines and sleep", func(t *testing.T) {
		t.Parallel()
		got, err := m.execute(t.Context(), "SLEEPS", &host{}, nil)
		if err != nil || got.Message != "012" {
			t.Errorf("SLEEPS = %q, error %v, want 012", got.Message, err)
		}
	})
	t.Run("should stop", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"WAITS", "COMPUTES"} {
			asked := 0
			services := &host{call: func(op string, request []byte) ([]byte, error) {
				if op != spi.OpShouldStop || string(request) != "{}" {
					return nil, spi.NewError(spi.CodeUnsupported, op)
				}
				if asked++; asked < 2 {
					return []byte(`{"stop":false}`), nil
				}
				return []byte(`{"stop":true,"reason":"disabled"}`), nil
			}}
			got, err := m.execute(t.Context(), name, services, nil)
			if err != nil || got.Message != spi.ErrDisabled.Error() || asked != 2 {
				t.Errorf("%s = %q, error %v after %d questions, want %q after 2", name, got.Message, err, asked, spi.ErrDisabled)
			}
		}
	})
	t.Run("operations", func(t *testing.T) {
		t.Parallel()
		long := `{"value":"` + strings.Repeat("x", 9_000) + `"}`
		services := &host{call: func(op string, request []byte) ([]byte, error) {
			switch op {
			case "echo":
				return request, nil
			case "long":
				return []byte(long), nil
			default:
				return nil, &spi.Error{Code: spi.CodeUnavailable, Message: "not now", Retryable: true}
			}
		}}
		op := func(name string) func(*spi.ShardingContext) {
			return func(c *spi.ShardingContext) { c.JobParameter = name }
		}
		if got, err := m.execute(t.Context(), "CALLS", services, op("echo")); err != nil || got.Message != `{"a":1}` {
			t.Errorf("calling echo = %q, error %v, want the request", got.Message, err)
		}
		if got, err := m.execute(t.Context(), "CALLS", services, op("long")); err != nil || !strings.HasPrefix(got.Message, long[:4000]) {
			t.Errorf("calling long = %d bytes, error %v, want the response", len(got.Message), err)
		}
		_, err := m.execute(t.Context(), "CALLS", services, op("other"))
		want := &spi.Error{Code: 1013, Message: "not now", Retryable: true}
		if diff := cmp.Diff(want, spi.AsError(err)); diff != "" {
			t.Errorf("calling other (-want +got):\n%s", diff)
		}
	})
	t.Run("no state", func(t *testing.T) {
		t.Parallel()
		for range 3 {
			if got, err := m.execute(t.Context(), "COUNTS", &host{}, nil); err != nil || got.Message != "1" {
				t.Errorf("COUNTS = %q, error %v, want 1 each time", got.Message, err)
			}
		}
	})
	t.Run("pooled", func(t *testing.T) {
		t.Parallel()
		// The timer of a call that waited is gone before the next call, and a
		// panic leaves the module alive.
		services := &host{call: func(string, []byte) ([]byte, error) { return []byte(`{"stop":true,"reason":"stopping"}`), nil }}
		for range 3 {
			if got, err := pooled.execute(t.Context(), "WAITS", services, nil); err != nil || got.Message != spi.ErrStopping.Error() {
				t.Fatalf("WAITS = %q, error %v, want %q", got.Message, err, spi.ErrStopping)
			}
			if _, err := pooled.execute(t.Context(), "FAILS", services, func(c *spi.ShardingContext) { c.JobParameter = "panic" }); err == nil {
				t.Fatal("FAILS succeeds, want its panic")
			}
		}
		for _, want := range []string{"1", "2"} {
			if got, err := pooled.execute(t.Context(), "COUNTS", services, nil); err != nil || got.Message != want {
				t.Errorf("COUNTS = %q, error %v, want %s", got.Message, err, want)
			}
		}
	})
}

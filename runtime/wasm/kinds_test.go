package wasm

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// method is one method of one kind, called with a fixed request whose property
// "do" says what the guest does.
type method struct {
	name string
	typ  string // of the plugin in kinds.c
	// bounded says that a call is bounded by wire.CallTimeout.
	bounded bool
	// call calls it; response is what came back.
	call func(ctx context.Context, p spi.Plugin, do string, s spi.Services) (response any, err error)
	// decode reads the request that the guest got.
	decode func(data []byte) (plugin string, request any, err error)
	// request is what decode should find, without what to do.
	request any
	// good is an answer, and response what comes of it; bad are answers that
	// break the ABI.
	good     string
	response any
	empty    bool // an empty answer will do
	bad      []string
}

func sharding() spi.ShardingContext {
	return spi.ShardingContext{
		JobName: "orders", TaskID: "orders@-@1", ShardingTotalCount: 4, JobParameter: "jp", ShardingItem: 2, ShardingParameter: "two",
		RunID: "run-1", FireTime: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), ExecutionSource: spi.SourceNormal, Attempt: 1, FencingToken: 1 << 60,
	}
}

func jobRun() spi.JobRun {
	return spi.JobRun{
		JobName: "orders", TaskID: "task", RunID: "run-1", FireTime: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), ExecutionSource: spi.SourceFailover,
		ShardingTotalCount: 4, JobParameter: "jp",
		Items: []spi.RunItem{{Item: 0, Parameter: "a", Outcome: spi.OutcomeSuccess}, {Item: 2, Outcome: spi.OutcomeFailure, Error: spi.NewError(spi.CodeTrap, "broke")}},
	}
}

func methods() []method {
	notObjects := []string{"raw:[]", "raw:hello", "raw:{} {}", "raw:1"}
	shardRequest := spi.ShardRequest{
		JobName: "orders", ShardingTotalCount: 2, Instances: []spi.Instance{{ID: "10.0.0.1@-@1", IP: "10.0.0.1", Labels: map[string]string{"zone": "a"}}},
		Items: []spi.Item{{Item: 0, Parameter: "zero"}, {Item: 1}}, Previous: map[string][]int{"gone": {0, 1}},
	}
	listener := func(name, typ string, tell func(spi.JobListener, context.Context, spi.JobListenerRequest) (spi.JobListenerResponse, error)) method {
		return method{
			name: name, typ: "LISTEN", bounded: true, good: "raw:{}", response: spi.JobListenerResponse{}, empty: true, bad: notObjects,
			request: spi.JobListenerRequest{Once: true, Run: jobRun()},
			call: func(ctx context.Context, p spi.Plugin, do string, s spi.Services) (any, error) {
				l, err := p.JobListener(ctx, props.Values{"do": do})
				if err != nil {
					return nil, err
				}
				return tell(l, ctx, spi.JobListenerRequest{Once: true, Run: jobRun(), Services: s})
			},
			decode: func(data []byte) (string, any, error) {
				plugin, r, err := wire.DecodeJobListenerRequest(typ, data)
				r.Props = nil
				return plugin, r, err
			},
		}
	}
	return []method{
		{
			name: "fetch_data", typ: "FLOW", good: "raw:{'data':[1,{'a':'b'},null],'cursor':'next'}", bad: append(notObjects, "raw:{}", "raw:{'data':{}}", "raw:{'data':[],'cursor':1}"),
			response: spi.FetchDataResponse{Data: [][]byte{[]byte("1"), []byte(`{"a":"b"}`), []byte("null")}, Cursor: "next"},
			request:  spi.FetchDataRequest{Context: sharding(), Cursor: "here"},
			call: func(ctx context.Context, p spi.Plugin, do string, s spi.Services) (any, error) {
				j, err := p.JobType(ctx, props.Values{"do": do})
				if err != nil {
					return nil, err
				}
				return j.(spi.Dataflow).FetchData(ctx, spi.FetchDataRequest{Context: sharding(), Cursor: "here", Services: s})
			},
			decode: func(data []byte) (string, any, error) {
				plugin, r, err := wire.DecodeFetchDataRequest(data)
				r.Context.Props, r.Context.Deadline = nil, time.Time{}
				return plugin, r, err
			},
		},
		{
			name: "process_data", typ: "BOTH", good: "raw:{}", response: spi.ProcessDataResponse{}, empty: true, bad: notObjects,
			request: spi.ProcessDataRequest{Context: sharding(), Data: [][]byte{[]byte("1"), []byte(`"x"`)}},
			call: func(ctx context.Context, p spi.Plugin, do string, s spi.Services) (any, error) {
				j, err := p.JobType(ctx, props.Values{"do": do})
				if err != nil {
					return nil, err
				}
				return j.(spi.Dataflow).ProcessData(ctx, spi.ProcessDataRequest{Context: sharding(), Data: [][]byte{[]byte("1"), []byte(`"x"`)}, Services: s})
			},
			decode: func(data []byte) (string, any, error) {
				plugin, r, err := wire.DecodeProcessDataRequest(data)
				r.Context.Props, r.Context.Deadline = nil, time.Time{}
				return plugin, r, err
			},
		},
		{
			// That an item has two owners is for the engine to refuse.
			name: "shard", typ: "SPREAD", bounded: true, good: "raw:{'assignment':{'10.0.0.1@-@1':[0,1],'other':[1]}}",
			bad:      append(notObjects, "raw:{}", "raw:{'assignment':[]}", "raw:{'assignment':{'a':1}}", "raw:{'assignment':{'a':['0']}}", "raw:{'assignment':{'a':[1.5]}}"),
			response: spi.ShardResponse{Assignment: map[string][]int{"10.0.0.1@-@1": {0, 1}, "other": {1}}},
			request:  shardRequest,
			call: func(ctx context.Context, p spi.Plugin, do string, s spi.Services) (any, error) {
				strategy, err := p.ShardingStrategy(ctx, props.Values{"do": do})
				if err != nil {
					return nil, err
				}
				req := shardRequest
				req.Services = s
				return strategy.Shard(ctx, req)
			},
			decode: func(data []byte) (string, any, error) {
				plugin, r, err := wire.DecodeShardRequest(data)
				r.Props = nil
				return plugin, r, err
			},
		},
		{
			name: "handle_error", typ: "HANDLE", bounded: true, good: "raw:{'decision':'stop'}", response: spi.HandleErrorResponse{Decision: spi.DecisionStop}, empty: true,
			bad:     append(notObjects, "raw:{'decision':'explode'}", "raw:{'decision':1}", "raw:{'decision':''}"),
			request: spi.HandleErrorRequest{Context: sharding(), Error: spi.NewError(4711, "no stock")},
			call: func(ctx context.Context, p spi.Plugin, do string, s spi.Services) (any, error) {
				h, err := p.ErrorHandler(ctx, props.Values{"do": do})
				if err != nil {
					return nil, err
				}
				return h.HandleError(ctx, spi.HandleErrorRequest{Context: sharding(), Error: spi.NewError(4711, "no stock"), Services: s})
			},
			decode: func(data []byte) (string, any, error) {
				plugin, r, err := wire.DecodeHandleErrorRequest(data)
				r.Props = nil
				return plugin, r, err
			},
		},
		listener("before_job", wire.TypeBeforeJob, spi.JobListener.BeforeJob),
		listener("after_job", wire.TypeAfterJob, spi.JobListener.AfterJob),
		{
			name: "trace", typ: "SINK", bounded: true, good: "raw:{}", response: spi.TraceResponse{}, empty: true, bad: notObjects,
			request: spi.TraceRequest{Events: traceEvents()},
			call: func(ctx context.Context, p spi.Plugin, do string, s spi.Services) (any, error) {
				sink, err := p.TracingSink(ctx, props.Values{"do": do})
				if err != nil {
					return nil, err
				}
				return sink.Trace(ctx, spi.TraceRequest{Events: traceEvents(), Services: s})
			},
			decode: func(data []byte) (string, any, error) {
				plugin, r, err := wire.DecodeTraceRequest(data)
				r.Props = nil
				return plugin, r, err
			},
		},
	}
}

func traceEvents() []spi.TraceEvent {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	instance := spi.Instance{ID: "a", IP: "10.0.0.1", Labels: map[string]string{"zone": "a"}}
	return []spi.TraceEvent{
		{ID: "1", Kind: spi.TraceStatus, Time: at, JobName: "orders", TaskID: "t", RunID: "r", Instance: instance, ExecutionSource: spi.SourceNormal, Items: []int{0, 1}, State: spi.StateRunning, Message: "m"},
		{ID: "2", Kind: spi.TraceExecution, Time: at, JobName: "orders", TaskID: "t", RunID: "r", Instance: instance, ExecutionSource: spi.SourceNormal, Item: 1, Attempt: 2, Start: at, End: at.Add(time.Second), Error: spi.NewError(1, "no")},
	}
}

// plugins are those of kinds.c, by type.
func plugins(t *testing.T, path string, change ...func(*spi.LoadRequest)) map[string]spi.Plugin {
	t.Helper()
	all := map[string]spi.Plugin{}
	for _, p := range loadBundle(t, path, change...).Plugins {
		if err := p.Check(); err != nil {
			t.Errorf("Check(%s) = %v", p.Descriptor.Type, err)
		}
		all[p.Descriptor.Type] = p
	}
	if len(all) != 7 {
		t.Fatalf("%d plugins, want 7", len(all))
	}
	return all
}

func codeOf(err error) spi.Code {
	if e, ok := errors.AsType[*spi.Error](err); ok {
		return e.Code
	}
	return 0
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for guest, path := range cGuests(t, "kinds.wasm") {
		for _, isolation := range []spi.Isolation{spi.IsolationFresh, spi.IsolationPooled} {
			all := plugins(t, path, func(r *spi.LoadRequest) { r.Isolation, r.Limits.Memory = isolation, 64<<20 })
			for _, m := range methods() {
				t.Run(guest+" "+string(isolation)+" "+m.name, func(t *testing.T) {
					t.Parallel()
					checkMethod(t, m, all[m.typ])
				})
			}
		}
	}
}

func checkMethod(t *testing.T, m method, p spi.Plugin) {
	t.Helper()
	checkGood := func(after string) {
		t.Helper()
		s := &recorder{}
		got, err := m.call(t.Context(), p, m.good, s)
		if err != nil {
			t.Fatalf("%s(%s) after %q = %v", m.name, m.good, after, err)
		}
		if diff := cmp.Diff(m.response, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", m.name, diff)
		}
		if len(s.records) != 1 {
			t.Fatalf("%s logged %v, want its request", m.name, s.records)
		}
		plugin, request, err := m.decode([]byte(s.records[0].Line))
		if err != nil || plugin != m.typ {
			t.Fatalf("the guest got a request for %q that is %v: %s", plugin, err, s.records[0].Line)
		}
		if diff := cmp.Diff(m.request, request, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("request of %s (-want +got):\n%s", m.name, diff)
		}
	}
	checkGood("nothing")
	want := map[string]spi.Code{
		"error:1": spi.CodeFailed, "error:13": spi.CodeUnavailable, "error:1234": 1234, "error:6": spi.CodeProtocol, "bad error": spi.CodeProtocol,
		"return:2": spi.CodeProtocol, "trap": spi.CodeTrap, "exit:0": spi.CodeTrap, "exit:3": spi.CodeTrap, "dive": spi.CodeTrap, "bomb": spi.CodeLimit,
		"huge output": spi.CodeLimit, "pointer:log": spi.CodeProtocol, "abort": spi.CodeTrap,
	}
	for _, bad := range m.bad {
		want[bad] = spi.CodeProtocol
	}
	want[""] = spi.CodeProtocol
	if m.empty {
		want[""] = 0
	}
	for do, code := range want {
		got, err := m.call(t.Context(), p, do, &recorder{})
		if codeOf(err) != code || (err == nil) != (code == 0) {
			t.Errorf("%s(%q) = %+v, %v, want %v", m.name, do, got, err, code)
		}
		if code == spi.CodeProtocol && strings.HasPrefix(do, "raw:") && !strings.Contains(err.Error(), "elasticjob_"+m.name) {
			t.Errorf("%s(%q) = %v, want the export in it", m.name, do, err)
		}
		checkGood(do)
	}
}

// TestCallsAreBounded asks an operation when its call has to end.
func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit, bounded, unbounded time.Duration
	}{{0, wire.CallTimeout, 0}, {time.Second, time.Second, time.Second}, {time.Hour, wire.CallTimeout, time.Hour}} {
		all := plugins(t, prebuiltKinds, func(r *spi.LoadRequest) { r.Limits.Timeout = c.limit })
		for _, m := range methods() {
			want := c.unbounded
			if m.bounded {
				want = c.bounded
			}
			asked := false
			start := time.Now()
			_, _ = m.call(t.Context(), all[m.typ], "host:x", &recorder{call: func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
				asked = true
				deadline, ok := ctx.Deadline()
				if ok != (want > 0) || ok && (deadline.Before(start.Add(want)) || deadline.After(time.Now().Add(want))) {
					t.Errorf("with a limit of %v, %s may take %v (%v), want %v", c.limit, m.name, deadline.Sub(start), ok, want)
				}
				return nil, nil
			}})
			if !asked {
				t.Errorf("%s did not call the host", m.name)
			}
		}
	}
}

func TestRunawaysOfEveryKindDie(t *testing.T) {
	t.Parallel()
	all := plugins(t, prebuiltKinds, func(r *spi.LoadRequest) { r.Limits.Timeout = 30 * time.Millisecond })
	for _, m := range methods() {
		for _, do := range []string{"loop", "fib", "sleep"} {
			if _, err := m.call(t.Context(), all[m.typ], do, &recorder{}); codeOf(err) != spi.CodeTimeout {
				t.Errorf("%s(%s) = %v, want %v", m.name, do, err, spi.CodeTimeout)
			}
		}
	}
}

func TestCapabilitiesOfJobTypes(t *testing.T) {
	t.Parallel()
	all := plugins(t, prebuiltKinds)
	for typ, want := range map[string]struct{ flows, executes bool }{"PLAIN": {false, true}, "FLOW": {true, true}, "BOTH": {true, true}} {
		j, err := all[typ].JobType(t.Context(), props.Values{})
		if err != nil {
			t.Fatal(err)
		}
		if _, flows := j.(spi.Dataflow); flows != want.flows {
			t.Errorf("%s is a dataflow: %v, want %v", typ, flows, want.flows)
		}
		if got := execute(t.Context(), t, j, "say:hello"); (got.message == "hello") != want.executes {
			t.Errorf("%s: Execute = %q, %v", typ, got.message, got.err)
		}
	}
	// A module of its own, which has no execute.
	a := describing(`{"plugins":[`+descriptor(`"capabilities":[]`, `"capabilities":["dataflow"]`)+`]}`, 0)
	a.functions[0].export = wire.ExportFetchData
	a.functions = append(a.functions, function{export: wire.ExportProcessData, typ: typeResult, code: constant(0)})
	j, err := loadBundle(t, writeFile(t, a.bytes())).Plugins[0].JobType(t.Context(), props.Values{})
	if err != nil {
		t.Fatal(err)
	}
	if got := execute(t.Context(), t, j, ""); got.code() != spi.CodeUnsupported {
		t.Errorf("Execute = %v, want %v", got.err, spi.CodeUnsupported)
	}
}

func TestOversizedRequest(t *testing.T) {
	t.Parallel()
	j, err := plugins(t, prebuiltKinds)["FLOW"].JobType(t.Context(), props.Values{})
	if err != nil {
		t.Fatal(err)
	}
	large := []byte(`"` + strings.Repeat("x", wire.MaxMessage) + `"`)
	if _, err := j.(spi.Dataflow).ProcessData(t.Context(), spi.ProcessDataRequest{Data: [][]byte{large}, Services: &recorder{}}); codeOf(err) != spi.CodeTooLarge {
		t.Errorf("ProcessData(16 MiB) = %v, want %v", err, spi.CodeTooLarge)
	}
}

func TestPropertiesOfTheRequestWin(t *testing.T) {
	t.Parallel()
	h, err := plugins(t, prebuiltKinds)["HANDLE"].ErrorHandler(t.Context(), props.Values{"do": "raw:{'decision':'stop'}"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		values props.Values
		want   spi.Decision
	}{{nil, spi.DecisionStop}, {props.Values{"do": "raw:{'decision':'continue'}"}, spi.DecisionContinue}} {
		if got, err := h.HandleError(t.Context(), spi.HandleErrorRequest{Props: c.values, Services: &recorder{}}); got.Decision != c.want || err != nil {
			t.Errorf("HandleError(%v) = %v, %v, want %v", c.values, got, err, c.want)
		}
	}
}

package sdk_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// made makes the implementation of a plugin.
func made[T any](t *testing.T, construct spi.Constructor[T], values props.Values) T {
	t.Helper()
	implementation, err := construct(t.Context(), values)
	if err != nil {
		t.Fatal(err)
	}
	return implementation
}

func (h *host) lines() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var lines []string
	for _, r := range h.records {
		lines = append(lines, r.Line)
	}
	return lines
}

func wantError(t *testing.T, what string, err error, want *spi.Error) {
	t.Helper()
	got := spi.AsError(err)
	if got == nil {
		t.Errorf("%s succeeds, want %v", what, want)
		return
	}
	withoutStack := *got
	withoutStack.Stack = ""
	if diff := cmp.Diff(want, &withoutStack); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantLines(t *testing.T, h *host, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, h.lines()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// testKinds calls the plugins of every kind in the module.
func testKinds(t *testing.T, m module) {
	t.Helper()
	at := time.Date(2026, 11, 21, 10, 4, 25, 120e6, time.UTC)
	item := spi.ShardingContext{JobName: "nightly", ShardingItem: 2, JobParameter: "2", FireTime: at, Props: props.Values{}}

	t.Run("dataflow", func(t *testing.T) {
		t.Parallel()
		services := &host{}
		flow, ok := made(t, m["FLOW"].JobType, nil).(spi.Dataflow)
		if !ok {
			t.Fatal("FLOW is no dataflow")
		}
		var failure error
		batches, cursor := 0, ""
		for failure == nil {
			fetched, err := flow.FetchData(t.Context(), spi.FetchDataRequest{Context: item, Cursor: cursor, Services: services})
			if err != nil {
				t.Fatal(err)
			}
			if len(fetched.Data) == 0 {
				t.Fatal("the second batch is empty")
			}
			batches, cursor = batches+1, fetched.Cursor
			_, failure = flow.ProcessData(t.Context(), spi.ProcessDataRequest{Context: item, Data: fetched.Data, Services: services})
		}
		wantError(t, "processing the second batch", failure, &spi.Error{Code: spi.CodeFailed, Message: "panic: on purpose"})
		wantLines(t, services, `processing first="datum 0" second=é item=2`, `processing first="datum 1" second=é item=2`)
		if got, err := flow.FetchData(t.Context(), spi.FetchDataRequest{Context: item, Cursor: "2", Services: services}); err != nil || len(got.Data) != 0 || got.Cursor != "" {
			t.Errorf("the last fetch = %v, error %v, want nothing", got, err)
		}
	})
	t.Run("sharding strategy", func(t *testing.T) {
		t.Parallel()
		services := &host{}
		values := props.Values{"most": "2"}
		strategy := made(t, m["REVERSE"].ShardingStrategy, values)
		req := spi.ShardRequest{
			JobName: "nightly", ShardingTotalCount: 3, Instances: []spi.Instance{{ID: "a", IP: "10.0.0.1", Labels: map[string]string{"zone": "z"}}, {ID: "b", IP: "10.0.0.2"}},
			Items: []spi.Item{{Item: 0}, {Item: 1}, {Item: 2}}, Previous: map[string][]int{"gone": {0, 1, 2}}, Props: values, Services: services,
		}
		got, err := strategy.Shard(t.Context(), req)
		if diff := cmp.Diff(spi.ShardResponse{Assignment: map[string][]int{"a": {2, 0}, "b": {1}}}, got); diff != "" || err != nil {
			t.Errorf("Shard, error %v (-want +got):\n%s", err, diff)
		}
		wantLines(t, services, "sharded zone=z previous=3")
		req.Instances = req.Instances[:1]
		_, err = strategy.Shard(t.Context(), req)
		wantError(t, "Shard with too few instances", err, &spi.Error{Code: 1002, Message: "too few instances for nightly"})
	})
	t.Run("error handler", func(t *testing.T) {
		t.Parallel()
		services := &host{}
		handler := made(t, m["PAGER"].ErrorHandler, nil)
		c := item
		c.Deadline = at // is over
		for code, want := range map[spi.Code]spi.Decision{spi.CodeTimeout: spi.DecisionContinue, 1001: spi.DecisionStop} {
			got, err := handler.HandleError(t.Context(), spi.HandleErrorRequest{Context: c, Error: spi.NewError(code, "no disk"), Services: services})
			if err != nil || got.Decision != want {
				t.Errorf("HandleError(%v) = %q, error %v, want %q", code, got.Decision, err, want)
			}
		}
		wantLines(t, services, `paging job=nightly item=2 error="no disk"`, `paging job=nightly item=2 error="no disk"`)
	})
	t.Run("job listener", func(t *testing.T) {
		t.Parallel()
		services := &host{}
		listener := made(t, m["WATCH"].JobListener, nil)
		req := spi.JobListenerRequest{Services: services, Run: spi.JobRun{JobName: "nightly", FireTime: at, Items: []spi.RunItem{
			{Item: 0, Outcome: spi.OutcomeSuccess}, {Item: 3, Outcome: spi.OutcomeFailure, Error: spi.NewError(1001, "no disk")},
		}}}
		if _, err := listener.BeforeJob(t.Context(), req); err != nil {
			t.Errorf("BeforeJob: %v", err)
		}
		_, err := listener.AfterJob(t.Context(), req)
		wantError(t, "AfterJob", err, &spi.Error{Code: spi.CodeFailed, Message: "3 failure: no disk"})
		wantLines(t, services, "before job=nightly items=2 once=false")
	})
	t.Run("tracing sink", func(t *testing.T) {
		t.Parallel()
		services := &host{}
		sink := made(t, m["KEEP"].TracingSink, nil)
		_, err := sink.Trace(t.Context(), spi.TraceRequest{Services: services, Events: []spi.TraceEvent{
			{ID: "1", Kind: spi.TraceExecution, Time: at, Instance: spi.Instance{ID: "a"}, Start: at, End: at.Add(2 * time.Second)},
			{ID: "2", Kind: spi.TraceStatus, Time: at, Items: []int{0, 2}, State: spi.StateFinished},
		}})
		if err != nil {
			t.Errorf("Trace: %v", err)
		}
		wantLines(t, services, "execution id=1 instance=a items=0 took=2s", `status id=2 instance="" items=2 took=0s`)
	})
	t.Run("operations of the host", func(t *testing.T) {
		t.Parallel()
		testOperations(t, m)
	})
}

func testOperations(t *testing.T, m module) {
	t.Helper()
	requests := map[string]string{}
	services := &host{call: func(op string, request []byte) ([]byte, error) {
		requests[op] = string(request)
		switch op {
		case spi.OpSecretGet:
			return []byte(`{"value":"s3cret"}`), nil
		case spi.OpHTTPRequest:
			return []byte(`{"status":201,"headers":{"A":["b"]},"body":"aGk="}`), nil
		default:
			return []byte("{}"), nil
		}
	}}
	got, err := m.execute(t.Context(), "OPERATES", services, nil)
	if err != nil || got.Message != "201" {
		t.Errorf("OPERATES = %q, error %v, want 201", got.Message, err)
	}
	want := map[string]string{
		spi.OpSecretGet:      `{"name":"token"}`,
		spi.OpHTTPRequest:    `{"method":"POST","url":"https://example.com/","headers":{"Authorization":["s3cret"]},"body":"aMOpbGxv"}`,
		spi.OpCheckpointSave: `{"data":"aGk="}`,
		spi.OpProgressReport: `{"done":1,"total":2,"message":"half"}`,
	}
	if diff := cmp.Diff(want, requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	services.call = func(op string, _ []byte) ([]byte, error) {
		return nil, spi.NewError(spi.CodeDenied, op+" is not granted")
	}
	_, err = m.execute(t.Context(), "OPERATES", services, nil)
	wantError(t, "OPERATES without grants", err, &spi.Error{Code: spi.CodeDenied, Message: "secret.get is not granted"})
}

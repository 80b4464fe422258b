package process

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

func TestShardAndHandleError(t *testing.T) {
	t.Parallel()
	b := newHost(t, nil).load(t)
	strategy, err := b.Plugins[1].ShardingStrategy(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := strategy.Shard(t.Context(), spi.ShardRequest{
		JobName: "orders", ShardingTotalCount: 3, Instances: []spi.Instance{{ID: "a", IP: "10.0.0.1"}, {ID: "b", IP: "10.0.0.2", Labels: map[string]string{"zone": "z"}}},
		Items: []spi.Item{{Item: 0}, {Item: 1, Parameter: "x"}, {Item: 2}}, Previous: map[string][]int{"b": {7}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]int{"bz": {0, 1, 2}, "previous": {7}}, response.Assignment); diff != "" {
		t.Errorf("the assignment differs (-want +got):\n%s", diff)
	}
	handler, err := b.Plugins[2].ErrorHandler(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for message, code := range map[string]spi.Code{"continue": 0, "stop": 0, "explode": spi.CodeProtocol, "": 0} {
		got, err := handler.HandleError(t.Context(), spi.HandleErrorRequest{Error: spi.NewError(spi.CodeFailed, message)})
		want := spi.Decision(message)
		if message == "" {
			want = spi.DecisionContinue
		}
		if codeOf(err) != code || code == 0 && got.Decision != want {
			t.Errorf("HandleError(%q) = %q, %v, want code %v", message, got.Decision, err, code)
		}
	}
}

// lines are what a call has logged, and then forgets.
func (r *recorder) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, record := range r.records {
		all = append(all, record.Line)
	}
	r.records = nil
	return all
}

func TestDataflow(t *testing.T) {
	t.Parallel()
	b := newHost(t, nil).load(t)
	j, err := b.Plugins[3].JobType(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	flow, ok := j.(spi.Dataflow)
	if !ok {
		t.Fatalf("%T is no spi.Dataflow", j)
	}
	if _, ok := jobOf(t, b).(spi.Dataflow); ok {
		t.Error("a job type without the capability is an spi.Dataflow")
	}
	r := &recorder{}
	c := spi.ShardingContext{ShardingItem: 3}
	var batches []int
	for cursor := ""; ; {
		fetched, err := flow.FetchData(t.Context(), spi.FetchDataRequest{Context: c, Cursor: cursor, Services: r})
		if err != nil {
			t.Fatal(err)
		}
		batches = append(batches, len(fetched.Data))
		if len(fetched.Data) == 0 {
			break
		}
		cursor = fetched.Cursor
		if _, err := flow.ProcessData(t.Context(), spi.ProcessDataRequest{Context: c, Data: fetched.Data, Services: r}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]int{2, 1, 0}, batches); diff != "" {
		t.Errorf("batches differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"fetching", `{"n":0}`, `{"n":1}`, "fetching", `{"n":2}`, "fetching"}, r.lines()); diff != "" {
		t.Errorf("what was logged differs (-want +got):\n%s", diff)
	}
	for _, data := range []string{"", "{", "1 2", "\xff"} {
		_, err := flow.FetchData(t.Context(), spi.FetchDataRequest{Context: spi.ShardingContext{JobParameter: "data:" + data}})
		if data == "\xff" { // the job parameter crosses as UTF-8
			data = "\uFFFD"
		}
		if codeOf(err) != spi.CodeProtocol || !strings.Contains(err.Error(), "data[1]") {
			t.Errorf("FetchData of %q = %v, want %v", data, err, spi.CodeProtocol)
		}
	}
	_, err = flow.FetchData(t.Context(), spi.FetchDataRequest{Context: spi.ShardingContext{JobParameter: "size:17000000"}})
	if codeOf(err) != spi.CodeTooLarge {
		t.Errorf("FetchData of too much = %v, want %v", err, spi.CodeTooLarge)
	}
	if _, err := j.Execute(t.Context(), spi.ExecuteRequest{}); codeOf(err) != spi.CodeFailed {
		t.Errorf("Execute of a dataflow = %v", err)
	}
}

// TestLies has a plugin that describes what it does not have, and one that
// cannot be closed: what it did stays done.
func TestLies(t *testing.T) {
	t.Parallel()
	j, err := newHost(t, nil).load(t).Plugins[7].JobType(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.(spi.Dataflow).FetchData(t.Context(), spi.FetchDataRequest{}); codeOf(err) != spi.CodeUnsupported {
		t.Errorf("FetchData of what is no dataflow = %v, want %v", err, spi.CodeUnsupported)
	}
	r := &recorder{}
	if got, err := j.Execute(t.Context(), spi.ExecuteRequest{Services: r}); err != nil || got.Message != "done" {
		t.Errorf("Execute = %q, %v, want done", got.Message, err)
	}
	if diff := cmp.Diff([]string{"closing the plugin failed: stuck"}, r.lines()); diff != "" {
		t.Errorf("the log differs (-want +got):\n%s", diff)
	}
}

func TestJobListener(t *testing.T) {
	t.Parallel()
	b := newHost(t, nil).load(t)
	l, err := b.Plugins[4].JobListener(t.Context(), props.Values{"a": "b"})
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	run := spi.JobRun{
		JobName: "orders", TaskID: "task", RunID: "run", FireTime: time.Date(2026, 11, 21, 10, 0, 0, 1_900_000, time.UTC), ExecutionSource: spi.SourceFailover,
		ShardingTotalCount: 2, JobParameter: "parameter", Items: []spi.RunItem{
			{Item: 0, Parameter: "zero", Outcome: spi.OutcomeSuccess},
			{Item: 1, Outcome: spi.OutcomeFailure, Error: &spi.Error{Code: 4711, Message: "no", Stack: "here", Retryable: true, Property: "p"}},
		},
	}
	if _, err := l.BeforeJob(t.Context(), spi.JobListenerRequest{Once: true, Run: spi.JobRun{JobName: "orders"}, Services: r}); err != nil {
		t.Error(err)
	}
	if _, err := l.AfterJob(t.Context(), spi.JobListenerRequest{Run: run, Props: props.Values{"c": "d"}, Services: r}); err != nil {
		t.Error(err)
	}
	want := []string{
		`before {"Once":true,"Run":{"JobName":"orders","TaskID":"","RunID":"","FireTime":"0001-01-01T00:00:00Z","ExecutionSource":"","ShardingTotalCount":0,"JobParameter":"","Items":null},"Props":{"a":"b"}}`,
		`after {"Once":false,"Run":{"JobName":"orders","TaskID":"task","RunID":"run","FireTime":"2026-11-21T10:00:00.001Z","ExecutionSource":"FAILOVER","ShardingTotalCount":2,"JobParameter":"parameter","Items":[` +
			`{"Item":0,"Parameter":"zero","Outcome":"success","Error":null},` +
			`{"Item":1,"Parameter":"","Outcome":"failure","Error":{"Code":4711,"Message":"no","Stack":"here","Retryable":true,"Property":"p","RetryAfter":0}}]},"Props":{"c":"d"}}`,
	}
	if diff := cmp.Diff(want, r.lines()); diff != "" {
		t.Errorf("what the listener is told differs (-want +got):\n%s", diff)
	}
	if _, err := l.AfterJob(t.Context(), spi.JobListenerRequest{Run: spi.JobRun{JobParameter: "fail"}}); codeOf(err) != 4711 {
		t.Errorf("AfterJob of one that fails = %v, want 4711", err)
	}
}

func TestTracingSink(t *testing.T) {
	t.Parallel()
	b := newHost(t, nil).load(t)
	sink, err := b.Plugins[5].TracingSink(t.Context(), props.Values{"parameter": "fail"})
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	at := func(second int) time.Time { return time.Date(2026, 11, 21, 10, 0, second, 0, time.UTC) }
	events := []spi.TraceEvent{
		{
			ID: "1", Kind: spi.TraceExecution, Time: at(1), JobName: "orders", TaskID: "task", RunID: "run", ExecutionSource: spi.SourceNormal,
			Instance: spi.Instance{ID: "a", IP: "10.0.0.1", Labels: map[string]string{"zone": "z"}}, Item: 3, Attempt: 2, Start: at(1),
		},
		{ID: "1", Kind: spi.TraceExecution, Time: at(2), Start: at(1), End: at(2), Error: spi.NewError(spi.CodeTimeout, "late")},
		{ID: "2", Kind: spi.TraceExecution, Time: at(3), Start: at(3), End: at(3), Success: true, State: "not of this kind"},
		{ID: "3", Kind: spi.TraceStatus, Time: at(4), Items: []int{1, 2}, State: spi.StateFinished, Message: "well", Attempt: 7},
	}
	if _, err := sink.Trace(t.Context(), spi.TraceRequest{Events: events, Props: props.Values{}, Services: r}); err != nil {
		t.Error(err)
	}
	want := []string{
		`trace [` +
			`{"ID":"1","Kind":"execution","Time":"2026-11-21T10:00:01Z","JobName":"orders","TaskID":"task","RunID":"run","Instance":{"ID":"a","IP":"10.0.0.1","Labels":{"zone":"z"},"Load":0},"ExecutionSource":"NORMAL_TRIGGER",` +
			`"Item":3,"Attempt":2,"Start":"2026-11-21T10:00:01Z","End":"0001-01-01T00:00:00Z","Success":false,"Error":null,"Items":null,"State":"","Message":""},` +
			`{"ID":"1","Kind":"execution","Time":"2026-11-21T10:00:02Z","JobName":"","TaskID":"","RunID":"","Instance":{"ID":"","IP":"","Labels":null,"Load":0},"ExecutionSource":"",` +
			`"Item":0,"Attempt":0,"Start":"2026-11-21T10:00:01Z","End":"2026-11-21T10:00:02Z","Success":false,"Error":{"Code":6,"Message":"late","Stack":"","Retryable":true,"Property":"","RetryAfter":0},"Items":null,"State":"","Message":""},` +
			`{"ID":"2","Kind":"execution","Time":"2026-11-21T10:00:03Z","JobName":"","TaskID":"","RunID":"","Instance":{"ID":"","IP":"","Labels":null,"Load":0},"ExecutionSource":"",` +
			`"Item":0,"Attempt":0,"Start":"2026-11-21T10:00:03Z","End":"2026-11-21T10:00:03Z","Success":true,"Error":null,"Items":null,"State":"","Message":""},` +
			`{"ID":"3","Kind":"status","Time":"2026-11-21T10:00:04Z","JobName":"","TaskID":"","RunID":"","Instance":{"ID":"","IP":"","Labels":null,"Load":0},"ExecutionSource":"",` +
			`"Item":0,"Attempt":0,"Start":"0001-01-01T00:00:00Z","End":"0001-01-01T00:00:00Z","Success":false,"Error":null,"Items":[1,2],"State":"TASK_FINISHED","Message":"well"}]`,
	}
	if diff := cmp.Diff(want, r.lines()); diff != "" {
		t.Errorf("what the sink is told differs (-want +got):\n%s", diff)
	}
	if _, err := sink.Trace(t.Context(), spi.TraceRequest{}); codeOf(err) != 4711 {
		t.Errorf("Trace with the properties of the job = %v, want 4711", err)
	}
}

// deadlines keeps how long a call that logs has left; 0 if it has no bound.
type deadlines struct{ left time.Duration }

var _ spi.Services = (*deadlines)(nil)

func (d *deadlines) Log(ctx context.Context, _ spi.LogRecord) {
	d.left = 0
	if deadline, ok := ctx.Deadline(); ok {
		d.left = time.Until(deadline)
	}
}

func (*deadlines) Call(context.Context, string, []byte) ([]byte, error) { return nil, nil }

// TestBoundOfCalls holds which calls end after ten seconds, without waiting for
// that long.
func TestBoundOfCalls(t *testing.T) {
	t.Parallel()
	b := newHost(t, nil).load(t)
	j, err := b.Plugins[3].JobType(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	flow := j.(spi.Dataflow)
	strategy, err := b.Plugins[1].ShardingStrategy(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := b.Plugins[2].ErrorHandler(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := b.Plugins[4].JobListener(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	sink, err := b.Plugins[5].TracingSink(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &deadlines{}
	tests := []struct {
		name    string
		bounded bool
		call    func() error
	}{
		{"Execute", false, func() error {
			_, err := jobOf(t, b).Execute(t.Context(), spi.ExecuteRequest{Services: d, Context: spi.ShardingContext{JobParameter: "log:x"}})
			return err
		}},
		{"FetchData", false, func() error { _, err := flow.FetchData(t.Context(), spi.FetchDataRequest{Services: d}); return err }},
		{"ProcessData", false, func() error {
			_, err := flow.ProcessData(t.Context(), spi.ProcessDataRequest{Services: d, Data: [][]byte{[]byte("1")}})
			return err
		}},
		{"Shard", true, func() error {
			_, err := strategy.Shard(t.Context(), spi.ShardRequest{Services: d, Instances: []spi.Instance{{ID: "a"}}})
			return err
		}},
		{"HandleError", true, func() error {
			_, err := handler.HandleError(t.Context(), spi.HandleErrorRequest{Services: d, Error: spi.NewError(1, "stop")})
			return err
		}},
		{"BeforeJob", true, func() error {
			_, err := listener.BeforeJob(t.Context(), spi.JobListenerRequest{Services: d})
			return err
		}},
		{"AfterJob", true, func() error {
			_, err := listener.AfterJob(t.Context(), spi.JobListenerRequest{Services: d})
			return err
		}},
		{"Trace", true, func() error { _, err := sink.Trace(t.Context(), spi.TraceRequest{Services: d}); return err }},
	}
	for _, test := range tests {
		d.left = -1
		if err := test.call(); err != nil {
			t.Errorf("%s = %v", test.name, err)
		}
		if d.left < 0 || d.left > wire.CallTimeout || (d.left > 0) != test.bounded {
			t.Errorf("%s has %v left, want a bound: %t", test.name, d.left, test.bounded)
		}
	}
}

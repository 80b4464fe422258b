package sdk

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// outcome is what an export answers.
type outcome struct {
	Output string // of a success
	Error  *spi.Error
}

func outcomeOf(t *testing.T, a answer) outcome {
	t.Helper()
	if a.result == wire.ResultOK {
		return outcome{Output: string(a.output)}
	}
	e, err := wire.DecodeError(a.output)
	if err != nil {
		t.Fatalf("error object %s: %v", a.output, err)
	}
	return outcome{Error: e}
}

func listOf(plugins ...spi.Plugin) *list {
	l := &list{}
	for _, p := range plugins {
		l.add(p)
	}
	return l
}

var anyContext = spi.ShardingContext{JobName: "nightly", ShardingItem: 2, FireTime: time.UnixMilli(0), Props: props.Values{"size": "7"}}

func TestConstructorsMakeGoodPlugins(t *testing.T) {
	t.Parallel()
	size := props.Field{Name: "size", Type: props.Int, Description: "any"}
	for kind, p := range map[spi.Kind]spi.Plugin{
		spi.KindJobType: Dataflow("A", "does a", TextCodec(), func(context.Context, *Job, string) ([]string, string, error) { return nil, "", nil },
			func(context.Context, *Job, []string) error { return nil }, size),
		spi.KindShardingStrategy: ShardingStrategy("A", "does a", func(context.Context, *Sharding) (map[string][]int, error) { return nil, nil }, size),
		spi.KindErrorHandler:     ErrorHandler("A", "does a", func(context.Context, *Failure) (spi.Decision, error) { return Stop, nil }, size),
		spi.KindJobListener:      JobListener("A", "does a", nil, nil, size),
		spi.KindTracingSink:      TracingSink("A", "does a", func(context.Context, *Trace) error { return nil }, size),
	} {
		if err := p.Check(); err != nil {
			t.Errorf("Check of a %s: %v", kind, err)
		}
		want := spi.Descriptor{Kind: kind, Type: "A", Description: "does a", Props: props.Schema{size}, Capabilities: p.Descriptor.Capabilities}
		if diff := cmp.Diff(want, p.Descriptor); diff != "" {
			t.Errorf("descriptor of a %s (-want +got):\n%s", kind, diff)
		}
	}
}

func pages() spi.Plugin {
	return Dataflow("PAGES", "", TextCodec(),
		func(_ context.Context, job *Job, cursor string) ([]string, string, error) {
			job.Info("fetching", "cursor", cursor)
			if cursor == "last" {
				return nil, "", nil
			}
			return []string{job.JobName, "é\n"}, "last", nil
		},
		func(_ context.Context, job *Job, data []string) error {
			job.Info("processing", "size", job.Props.Int("size"), "data", strings.Join(data, "+"))
			return nil
		})
}

func TestDataflow(t *testing.T) {
	t.Parallel()
	host := &recorder{}
	l := listOf(pages())
	fetch := func(cursor string) outcome {
		return outcomeOf(t, l.fetchData(wire.AppendFetchDataRequest(nil, "PAGES", spi.FetchDataRequest{Context: anyContext, Cursor: cursor}), host))
	}
	if got, want := fetch(""), (outcome{Output: `{"data":["nightly","é\n"],"cursor":"last"}`}); got != want {
		t.Errorf("first fetch_data = %v, want %v", got, want)
	}
	if got, want := fetch("last"), (outcome{Output: `{"data":[]}`}); got != want {
		t.Errorf("last fetch_data = %v, want %v", got, want)
	}
	process := wire.AppendProcessDataRequest(nil, "PAGES", spi.ProcessDataRequest{Context: anyContext, Data: [][]byte{[]byte(`"a"`), []byte(`"\u0062"`)}})
	if got, want := outcomeOf(t, l.processData(process, host)), (outcome{Output: "{}"}); got != want {
		t.Errorf("process_data = %v, want %v", got, want)
	}
	var lines []string
	for _, r := range host.records {
		lines = append(lines, r.Line)
	}
	if want := []string{`fetching cursor=""`, "fetching cursor=last", "processing size=7 data=a+b"}; !slices.Equal(lines, want) {
		t.Errorf("log = %q, want %q", lines, want)
	}
}

func TestDataflowFails(t *testing.T) {
	t.Parallel()
	broken := Codec[int]{
		Marshal: func(n int) ([]byte, error) {
			return []byte("[1, 2}"), map[bool]error{true: errors.New("odd")}[n%2 == 1]
		},
		Unmarshal: func([]byte) (int, error) { return 0, &spi.Error{Code: 1007, Message: "no number"} },
	}
	plugin := Dataflow("FLOW", "", broken, func(_ context.Context, job *Job, _ string) ([]int, string, error) {
		switch job.ShardingItem {
		case 0:
			return []int{1}, "", nil
		case 1:
			return []int{2}, "", nil
		case 2:
			return nil, "", errors.New("no disk")
		default:
			panic("oh no")
		}
	}, func(context.Context, *Job, []int) error { return nil })
	l := listOf(plugin, JobType("PLAIN", "", func(context.Context, *Job) error { return nil }))
	fetch := func(name string, item int) answer {
		c := anyContext
		c.ShardingItem = item
		return l.fetchData(wire.AppendFetchDataRequest(nil, name, spi.FetchDataRequest{Context: c}), &recorder{})
	}
	process := func(name string) answer {
		return l.processData(wire.AppendProcessDataRequest(nil, name, spi.ProcessDataRequest{Context: anyContext, Data: [][]byte{[]byte("1")}}), &recorder{})
	}
	tests := []struct {
		name string
		got  answer
		want spi.Error
	}{
		{"codec fails", fetch("FLOW", 0), spi.Error{Code: spi.CodeFailed, Message: "encoding datum 0: odd"}},
		{"no JSON", fetch("FLOW", 1), spi.Error{Code: spi.CodeFailed, Message: "datum 0 of the batch is no JSON value"}},
		{"fetch fails", fetch("FLOW", 2), spi.Error{Code: spi.CodeFailed, Message: "no disk"}},
		{"fetch panics", fetch("FLOW", 3), spi.Error{Code: spi.CodeFailed, Message: "panic: oh no"}},
		{"codec refuses", process("FLOW"), spi.Error{Code: 1007, Message: "decoding datum 0: no number"}},
		{"fetch of no dataflow", fetch("PLAIN", 0), spi.Error{Code: spi.CodeUnsupported, Message: "the job type PLAIN is no dataflow"}},
		{"process of no dataflow", process("PLAIN"), spi.Error{Code: spi.CodeUnsupported, Message: "the job type PLAIN is no dataflow"}},
		{"execute of a dataflow", l.execute(request("FLOW"), &recorder{}), spi.Error{Code: spi.CodeUnsupported, Message: "the job type FLOW is a dataflow"}},
		{"unknown", process("OTHER"), spi.Error{Code: spi.CodeNotFound, Message: "this module has no jobType OTHER"}},
	}
	for _, tt := range tests {
		got := outcomeOf(t, tt.got)
		if got.Error == nil {
			t.Errorf("%s: answer = %v, want %v", tt.name, got, tt.want)
			continue
		}
		got.Error.Stack = ""
		if diff := cmp.Diff(&tt.want, got.Error); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestRawDataCrossAsTheyAre(t *testing.T) {
	t.Parallel()
	var processed [][]byte
	l := listOf(Dataflow("RAW", "", RawCodec(),
		func(context.Context, *Job, string) ([][]byte, string, error) {
			return [][]byte{[]byte(`{"id": 7}`)}, "", nil
		},
		func(_ context.Context, _ *Job, data [][]byte) error { processed = data; return nil }))
	got := outcomeOf(t, l.fetchData(wire.AppendFetchDataRequest(nil, "RAW", spi.FetchDataRequest{Context: anyContext}), &recorder{}))
	if want := (outcome{Output: `{"data":[{"id": 7}]}`}); got != want {
		t.Errorf("fetch_data = %v, want %v", got, want)
	}
	l.processData(wire.AppendProcessDataRequest(nil, "RAW", spi.ProcessDataRequest{Context: anyContext, Data: [][]byte{[]byte(`{"id": 7}`)}}), &recorder{})
	if len(processed) != 1 || string(processed[0]) != `{"id": 7}` {
		t.Errorf("processed = %q, want what was fetched", processed)
	}
}

func TestShardingStrategy(t *testing.T) {
	t.Parallel()
	host := &recorder{}
	l := listOf(ShardingStrategy("LAST", "", func(_ context.Context, s *Sharding) (map[string][]int, error) {
		s.Info("sharding", "job", s.JobName, "previous", len(s.Previous["a"]), "size", s.Props.Int("size"))
		last := s.Instances[len(s.Instances)-1]
		assignment := map[string][]int{}
		for _, item := range s.Items {
			if item.Parameter == "" {
				return nil, &spi.Error{Code: 1003, Message: "no parameter"}
			}
			assignment[last.ID] = append(assignment[last.ID], item.Item)
		}
		return assignment, nil
	}))
	req := spi.ShardRequest{
		JobName: "nightly", ShardingTotalCount: 2, Instances: []spi.Instance{{ID: "a", IP: "10.0.0.1"}, {ID: "b", IP: "10.0.0.2"}},
		Items: []spi.Item{{Item: 0, Parameter: "x"}, {Item: 1, Parameter: "y"}}, Previous: map[string][]int{"a": {0, 1}}, Props: props.Values{"size": "7"},
	}
	got := outcomeOf(t, l.shard(wire.AppendShardRequest(nil, "LAST", req), host))
	if want := (outcome{Output: `{"assignment":{"b":[0,1]}}`}); got != want {
		t.Errorf("shard = %v, want %v", got, want)
	}
	if len(host.records) != 1 || host.records[0].Line != "sharding job=nightly previous=2 size=7" {
		t.Errorf("log = %v, want one line with what was asked", host.records)
	}
	req.Items[1].Parameter = ""
	got = outcomeOf(t, l.shard(wire.AppendShardRequest(nil, "LAST", req), host))
	if diff := cmp.Diff(outcome{Error: &spi.Error{Code: 1003, Message: "no parameter"}}, got); diff != "" {
		t.Errorf("shard that fails (-want +got):\n%s", diff)
	}
}

func TestErrorHandler(t *testing.T) {
	t.Parallel()
	l := listOf(ErrorHandler("PAGER", "", func(ctx context.Context, f *Failure) (spi.Decision, error) {
		if ctx.Err() != nil {
			return "", errors.New("the item's deadline ends the handler")
		}
		switch {
		case f.Err.Code == 1001:
			return Stop, nil
		case f.Props["quiet"] == "true":
			return "", nil
		default:
			return Continue, errors.New("cannot page about " + f.Context.JobName)
		}
	}))
	handle := func(failure *spi.Error, values props.Values) outcome {
		c := anyContext
		c.Deadline = time.UnixMilli(1) // it was a timeout
		return outcomeOf(t, l.handleError(wire.AppendHandleErrorRequest(nil, "PAGER", spi.HandleErrorRequest{Context: c, Error: failure, Props: values}), &recorder{}))
	}
	if got, want := handle(&spi.Error{Code: 1001}, nil), (outcome{Output: `{"decision":"stop"}`}); got != want {
		t.Errorf("handle_error = %v, want %v", got, want)
	}
	if got, want := handle(&spi.Error{Code: 1}, props.Values{"quiet": "true"}), (outcome{Output: `{}`}); got != want {
		t.Errorf("handle_error without a decision = %v, want %v", got, want)
	}
	want := outcome{Error: &spi.Error{Code: spi.CodeFailed, Message: "cannot page about nightly"}}
	if diff := cmp.Diff(want, handle(nil, nil)); diff != "" {
		t.Errorf("handle_error that fails (-want +got):\n%s", diff)
	}
}

func TestErrorHandlerAlwaysGetsAnError(t *testing.T) {
	t.Parallel()
	p := ErrorHandler("PAGER", "", func(_ context.Context, f *Failure) (spi.Decision, error) {
		return Stop, f.Err
	})
	handler, err := p.ErrorHandler(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = handler.HandleError(t.Context(), spi.HandleErrorRequest{Services: &recorder{}})
	if e := spi.AsError(err); e.Code != spi.CodeFailed {
		t.Errorf("the error of a failure without one = %v, want FAILED", e)
	}
}

func TestJobListener(t *testing.T) {
	t.Parallel()
	host := &recorder{}
	l := listOf(
		JobListener("BOTH", "", func(_ context.Context, run *Run) error {
			run.Info("before", "job", run.JobName, "items", len(run.Items), "once", run.Once, "size", run.Props.Int("size"))
			return nil
		}, func(_ context.Context, run *Run) error {
			return errors.New("after " + string(run.Items[0].Outcome) + ": " + run.Items[0].Error.Message)
		}),
		JobListener("NONE", "", nil, nil))
	req := spi.JobListenerRequest{Once: true, Props: props.Values{"size": "7"}, Run: spi.JobRun{
		JobName: "nightly", FireTime: time.UnixMilli(0), Items: []spi.RunItem{{Item: 1, Outcome: spi.OutcomeFailure, Error: spi.NewError(1001, "no disk")}},
	}}
	listen := func(requestType, name string) outcome {
		return outcomeOf(t, l.listen(requestType, wire.AppendJobListenerRequest(nil, requestType, name, req), host))
	}
	for _, name := range []string{"BOTH", "NONE"} {
		if got, want := listen(wire.TypeBeforeJob, name), (outcome{Output: "{}"}); got != want {
			t.Errorf("before_job of %s = %v, want %v", name, got, want)
		}
	}
	if got, want := listen(wire.TypeAfterJob, "NONE"), (outcome{Output: "{}"}); got != want {
		t.Errorf("after_job of NONE = %v, want %v", got, want)
	}
	want := outcome{Error: &spi.Error{Code: spi.CodeFailed, Message: "after failure: no disk"}}
	if diff := cmp.Diff(want, listen(wire.TypeAfterJob, "BOTH")); diff != "" {
		t.Errorf("after_job of BOTH (-want +got):\n%s", diff)
	}
	if len(host.records) != 1 || host.records[0].Line != "before job=nightly items=1 once=true size=7" {
		t.Errorf("log = %v, want one line with the run", host.records)
	}
}

func TestTracingSink(t *testing.T) {
	t.Parallel()
	host := &recorder{}
	l := listOf(TracingSink("SINK", "", func(_ context.Context, trace *Trace) error {
		for _, e := range trace.Events {
			trace.Info(e.ID, "kind", string(e.Kind), "table", trace.Props["table"])
		}
		return nil
	}))
	req := spi.TraceRequest{Events: []spi.TraceEvent{{ID: "1", Kind: spi.TraceExecution}, {ID: "2", Kind: spi.TraceStatus}}, Props: props.Values{"table": "t"}}
	if got, want := outcomeOf(t, l.trace(wire.AppendTraceRequest(nil, "SINK", req), host)), (outcome{Output: "{}"}); got != want {
		t.Errorf("trace = %v, want %v", got, want)
	}
	if len(host.records) != 2 || host.records[1].Line != "2 kind=status table=t" {
		t.Errorf("log = %v, want a line for each event", host.records)
	}
}

func TestEveryExportRefusesABadRequest(t *testing.T) {
	t.Parallel()
	l := listOf(pages())
	bad := []byte(`{"abi":1}`)
	for name, a := range map[string]answer{
		"fetch_data":   l.fetchData(bad, &recorder{}),
		"process_data": l.processData(bad, &recorder{}),
		"shard":        l.shard(bad, &recorder{}),
		"handle_error": l.handleError(bad, &recorder{}),
		"before_job":   l.listen(wire.TypeBeforeJob, bad, &recorder{}),
		"after_job":    l.listen(wire.TypeAfterJob, bad, &recorder{}),
		"trace":        l.trace(bad, &recorder{}),
	} {
		got := outcomeOf(t, a)
		if want := name + " request: type: expected this mandatory member"; got.Error == nil || got.Error.Message != want {
			t.Errorf("%s = %v, want the error %s", name, got, want)
		}
	}
}

// A name that two kinds share means the plugin of the kind that was asked.
func TestKindsHaveTheirOwnNames(t *testing.T) {
	t.Parallel()
	l := listOf(
		JobType("SAME", "", func(_ context.Context, job *Job) error { job.Result = "job"; return nil }),
		TracingSink("SAME", "", func(context.Context, *Trace) error { return errors.New("sink") }))
	if got, want := outcomeOf(t, l.execute(request("SAME"), &recorder{})), (outcome{Output: `{"message":"job"}`}); got != want {
		t.Errorf("execute = %v, want %v", got, want)
	}
	if got := outcomeOf(t, l.trace(wire.AppendTraceRequest(nil, "SAME", spi.TraceRequest{}), &recorder{})); got.Error == nil || got.Error.Message != "sink" {
		t.Errorf("trace = %v, want the error of the sink", got)
	}
}

func TestAResponseThatCannotCrossIsTooLarge(t *testing.T) {
	t.Parallel()
	l := listOf(Dataflow("FLOW", "", TextCodec(), func(context.Context, *Job, string) ([]string, string, error) {
		return []string{strings.Repeat("x", wire.MaxMessage/2), strings.Repeat("x", wire.MaxMessage/2)}, "", nil
	}, func(context.Context, *Job, []string) error { return nil }))
	got := outcomeOf(t, l.fetchData(wire.AppendFetchDataRequest(nil, "FLOW", spi.FetchDataRequest{Context: anyContext}), &recorder{}))
	if got.Error == nil || got.Error.Code != spi.CodeTooLarge {
		t.Errorf("fetch_data of 16 MiB of data = %v, want TOO_LARGE", got.Error)
	}
}

func TestHostOperations(t *testing.T) {
	t.Parallel()
	var asked []string
	host := &recorder{call: func(op string, request []byte) ([]byte, error) {
		asked = append(asked, op+" "+string(request))
		switch op {
		case spi.OpHTTPRequest:
			return []byte(`{"status":200,"body":"aGk="}`), nil
		case spi.OpSecretGet:
			return []byte(`{"value":"s3cret"}`), nil
		case spi.OpCheckpointSave:
			return nil, spi.NewError(spi.CodeLeaseLost, "gone")
		default:
			return []byte("{}"), nil
		}
	}}
	_, failure := execute(t, host, JobType("A", "", func(ctx context.Context, job *Job) error {
		response, err := job.HTTP(ctx, HTTPRequest{URL: "https://example.com"})
		if err != nil || response.Status != 200 || string(response.Body) != "hi" {
			t.Errorf("HTTP = %v, error %v, want 200 and hi", response, err)
		}
		secret, err := job.Secret(ctx, "token")
		if err != nil || secret != "s3cret" {
			t.Errorf("Secret = %q, error %v, want s3cret", secret, err)
		}
		if err := job.ReportProgress(ctx, Progress{Done: 1, Total: 2}); err != nil {
			t.Errorf("ReportProgress: %v", err)
		}
		if err := job.SaveCheckpoint(ctx, []byte("a")); !errors.Is(err, spi.ErrLeaseLost) {
			t.Errorf("SaveCheckpoint = %v, want the host's %v", err, spi.ErrLeaseLost)
		}
		return nil
	}))
	if failure != nil {
		t.Error(failure)
	}
	want := []string{
		`http.request {"url":"https://example.com"}`, `secret.get {"name":"token"}`,
		`progress.report {"done":1,"total":2,"message":""}`, `checkpoint.save {"data":"YQ=="}`,
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
}

func TestAJobOfATestHasNoHost(t *testing.T) {
	t.Parallel()
	job := &Job{}
	job.Info("dropped")
	if _, err := job.Secret(t.Context(), "token"); spi.AsError(err).Code != spi.CodeUnsupported {
		t.Errorf("Secret without a host: %v, want UNSUPPORTED", err)
	}
}

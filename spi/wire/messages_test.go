package wire

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// request is what the decoders of requests return.
type request[T any] struct {
	Plugin  string
	Request T
}

// message is one message with the value that it stands for.
type message struct {
	text   []byte
	decode func(data []byte) (any, error)
	want   any
}

func requestMessage[T any](appendTo func([]byte, string, T) []byte, decode func([]byte) (string, T, error), want T) message {
	return message{
		appendTo(nil, "ORDERS", want),
		func(data []byte) (any, error) {
			plugin, got, err := decode(data)
			return request[T]{plugin, got}, err
		},
		request[T]{"ORDERS", want},
	}
}

func otherMessage[T any](appendTo func([]byte, T) []byte, decode func([]byte) (T, error), want T) message {
	return message{appendTo(nil, want), func(data []byte) (any, error) { return decode(data) }, want}
}

func listenerMessage(requestType string, want spi.JobListenerRequest) message {
	return requestMessage(
		func(b []byte, plugin string, r spi.JobListenerRequest) []byte {
			return AppendJobListenerRequest(b, requestType, plugin, r)
		},
		func(data []byte) (string, spi.JobListenerRequest, error) {
			return DecodeJobListenerRequest(requestType, data)
		}, want)
}

func fullShardRequest() spi.ShardRequest {
	return spi.ShardRequest{
		JobName: "ordersReconcile", ShardingTotalCount: 2,
		Instances: []spi.Instance{
			{ID: "10.0.0.7@-@17", IP: "10.0.0.7", Labels: map[string]string{"zone": "b", "disk": "ssd"}},
			{ID: "10.0.0.12@-@4", IP: "10.0.0.12", Labels: map[string]string{}},
		},
		Items:    []spi.Item{{Item: 0, Parameter: "Beijing"}, {Item: 1}},
		Previous: map[string][]int{"10.0.0.9@-@1": nil, "10.0.0.7@-@17": {1, 0}},
		Props:    props.Values{"sharding.strategy": "LOCAL"},
	}
}

func fullRun() spi.JobRun {
	c := fullContext()
	return spi.JobRun{
		JobName: c.JobName, TaskID: c.TaskID, RunID: c.RunID, FireTime: c.FireTime, ExecutionSource: spi.SourceMisfire,
		ShardingTotalCount: 4, JobParameter: c.JobParameter,
		Items: []spi.RunItem{
			{Item: 0, Parameter: "Beijing", Outcome: spi.OutcomeSuccess},
			{Item: 1, Outcome: spi.OutcomeFailure, Error: &spi.Error{Code: 1001, Message: "no <disk>", Stack: "here", Retryable: true}},
			{Item: 3, Outcome: spi.OutcomeCancelled, Error: spi.NewError(spi.CodeCancelled, "node is stopping")},
		},
	}
}

func fullEvents() []spi.TraceEvent {
	at := time.Date(2026, 11, 21, 10, 4, 25, 120e6, time.UTC)
	common := spi.TraceEvent{
		ID: "7", Time: at, JobName: "ordersReconcile", TaskID: "task", RunID: "1789000000000",
		Instance: fullShardRequest().Instances[0], ExecutionSource: spi.SourceNormal,
	}
	running, status, later := common, common, common
	running.Kind, running.Item, running.Attempt, running.Start = spi.TraceExecution, 2, 1, at
	ended, failed := running, running
	ended.End, ended.Success = at.Add(time.Second), true
	failed.End, failed.Error = at.Add(time.Minute), &spi.Error{Code: spi.CodeFailed, Message: "no disk"}
	status.Kind, status.Items, status.State, status.Message = spi.TraceStatus, []int{0, 2}, spi.StateError, "item 2 failed"
	later.Kind = "progress" // a kind that this version does not know
	return []spi.TraceEvent{running, ended, failed, status, later}
}

// allMessages holds the messages of every kind by the name of their golden
// file.
func allMessages() map[string]message {
	c := fullContext()
	failure := &spi.Error{Code: 2, Message: "too large", Stack: "a\n\tb", Property: "batch.size"}
	values := props.Values{"token": "t"}
	return map[string]message{
		"fetch_data_request": requestMessage(AppendFetchDataRequest, DecodeFetchDataRequest, spi.FetchDataRequest{Context: c, Cursor: "page 7"}),
		"fetch_data_request_first": requestMessage(AppendFetchDataRequest, DecodeFetchDataRequest,
			spi.FetchDataRequest{Context: emptyContext()}),
		"fetch_data_response": otherMessage(AppendFetchDataResponse, DecodeFetchDataResponse, spi.FetchDataResponse{
			Data: [][]byte{[]byte(`{"id":7}`), []byte(`"é"`), []byte("null"), []byte("-1.5e3")}, Cursor: "page 8",
		}),
		"fetch_data_response_end": otherMessage(AppendFetchDataResponse, DecodeFetchDataResponse, spi.FetchDataResponse{}),
		"process_data_request": requestMessage(AppendProcessDataRequest, DecodeProcessDataRequest,
			spi.ProcessDataRequest{Context: c, Data: [][]byte{[]byte("[1,[2]]"), []byte("true")}}),
		"process_data_response": otherMessage(AppendProcessDataResponse, DecodeProcessDataResponse, spi.ProcessDataResponse{}),
		"shard_request":         requestMessage(AppendShardRequest, DecodeShardRequest, fullShardRequest()),
		"shard_response":        otherMessage(AppendShardResponse, DecodeShardResponse, spi.ShardResponse{Assignment: map[string][]int{"b": {1, 3}, "a": {0, 2}, "c": nil}}),
		"handle_error_request":  requestMessage(AppendHandleErrorRequest, DecodeHandleErrorRequest, spi.HandleErrorRequest{Context: c, Error: failure, Props: values}),
		"handle_error_request_many": requestMessage(AppendHandleErrorRequest, DecodeHandleErrorRequest, spi.HandleErrorRequest{
			Context: c, Error: &spi.Error{Code: 15, Message: "busy", Retryable: true, RetryAfter: 90 * time.Second}, Props: values,
			Count: 7, First: c.FireTime, Last: c.FireTime.Add(time.Minute), Items: []int{0, 3},
		}),
		"handle_error_response":         otherMessage(AppendHandleErrorResponse, DecodeHandleErrorResponse, spi.HandleErrorResponse{Decision: spi.DecisionStop}),
		"before_job_request":            listenerMessage(TypeBeforeJob, spi.JobListenerRequest{Run: spi.JobRun{FireTime: c.FireTime, Items: []spi.RunItem{{Item: 3}}}, Props: props.Values{}}),
		"after_job_request":             listenerMessage(TypeAfterJob, spi.JobListenerRequest{Once: true, Run: fullRun(), Props: values}),
		"job_listener_response":         otherMessage(AppendJobListenerResponse, DecodeJobListenerResponse, spi.JobListenerResponse{}),
		"trace_request":                 requestMessage(AppendTraceRequest, DecodeTraceRequest, spi.TraceRequest{Events: fullEvents(), Props: values}),
		"trace_response":                otherMessage(AppendTraceResponse, DecodeTraceResponse, spi.TraceResponse{}),
		"http_request":                  otherMessage(AppendHTTPRequest, DecodeHTTPRequest, fullHTTPRequest()),
		"http_request_least":            otherMessage(AppendHTTPRequest, DecodeHTTPRequest, HTTPRequest{Method: "GET", URL: "https://example.com/"}),
		"http_response":                 otherMessage(AppendHTTPResponse, DecodeHTTPResponse, HTTPResponse{Status: 404, Headers: map[string][]string{"Vary": {"A", "B"}}, Body: []byte{0xFF}}),
		"http_response_least":           otherMessage(AppendHTTPResponse, DecodeHTTPResponse, HTTPResponse{Status: 204}),
		"secret_get_request":            otherMessage(AppendSecretGetRequest, DecodeSecretGetRequest, "db-password"),
		"secret_get_response":           otherMessage(AppendSecretGetResponse, DecodeSecretGetResponse, "p\"ä"),
		"checkpoint_save_request":       otherMessage(AppendCheckpointSaveRequest, DecodeCheckpointSaveRequest, []byte("page 7")),
		"checkpoint_save_request_empty": otherMessage(AppendCheckpointSaveRequest, DecodeCheckpointSaveRequest, []byte{}),
		"progress_report_request":       otherMessage(AppendProgressReportRequest, DecodeProgressReportRequest, Progress{Done: 7, Total: maxInteger, Message: "page 7"}),
	}
}

func fullHTTPRequest() HTTPRequest {
	return HTTPRequest{
		Method: "POST", URL: "https://example.com/?a=1&b=2", Headers: map[string][]string{"X-B": {}, "Accept": {"a/b", "c/d"}},
		Body: []byte(`{"a":1}`), Timeout: 1500 * time.Millisecond, ConnectTimeout: 300 * time.Millisecond, ReadTimeout: time.Second, NoRedirects: true,
	}
}

func TestMessagesOfAllKindsAreAsTheContractWritesThem(t *testing.T) {
	t.Parallel()
	for name, m := range allMessages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantGolden(t, name, m.text)
		})
	}
}

func wantGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".json")
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSuffix(string(want), "\n"), string(got)); diff != "" {
		t.Errorf("message differs from %s (-want +got):\n%s", path, diff)
	}
}

// An empty list and none are one in a message.
func equateEmpty() cmp.Option {
	return cmp.Transformer("elements", func(s []int) map[int]int {
		if len(s) == 0 {
			return nil
		}
		return maps.Collect(slices.All(s))
	})
}

func TestMessagesOfAllKindsRoundTrip(t *testing.T) {
	t.Parallel()
	for name, m := range allMessages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := m.decode(m.text)
			if err != nil {
				t.Fatalf("decoding %s: %v", m.text, err)
			}
			option := cmp.FilterValues(func(a, b []string) bool { return len(a) == 0 && len(b) == 0 }, cmp.Ignore())
			if diff := cmp.Diff(m.want, got, equateEmpty(), option); diff != "" {
				t.Errorf("decoding %s (-want +got):\n%s", m.text, diff)
			}

			// Another encoder orders, spaces and escapes in its own way.
			var value any
			decoder := json.NewDecoder(strings.NewReader(string(m.text)))
			decoder.UseNumber()
			if err := decoder.Decode(&value); err != nil {
				t.Fatalf("encoding/json reads %s: %v", m.text, err)
			}
			if object, ok := value.(map[string]any); ok {
				object["aMemberOfALaterVersion"] = map[string]any{"x": []int{1}}
			}
			other, err := json.MarshalIndent(value, "\t", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got, err = m.decode(other)
			if err != nil {
				t.Fatalf("decoding %s: %v", other, err)
			}
			// Raw values keep the space inside them.
			space := cmp.FilterPath(func(p cmp.Path) bool { return strings.HasSuffix(p.String(), "Data") }, cmp.Comparer(func(a, b [][]byte) bool {
				return slices.EqualFunc(a, b, func(a, b []byte) bool { return compact(a) == compact(b) })
			}))
			if diff := cmp.Diff(m.want, got, equateEmpty(), option, space); diff != "" {
				t.Errorf("decoding %s (-want +got):\n%s", other, diff)
			}
		})
	}
}

func compact(value []byte) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '\n' || r == '\t' {
			return -1
		}
		return r
	}, string(value))
}

func TestDecodeIsLenientForEveryKind(t *testing.T) {
	t.Parallel()
	context := string(AppendContext(nil, emptyContext()))
	for name, decode := range map[string]func() (any, error){
		"empty output processes": func() (any, error) { return DecodeProcessDataResponse(nil) },
		"empty output listens":   func() (any, error) { return DecodeJobListenerResponse(nil) },
		"empty output traces":    func() (any, error) { return DecodeTraceResponse(nil) },
		"null ends":              func() (any, error) { return DecodeFetchDataResponse([]byte(`{"data":null}`)) },
		"request without an error's code": func() (any, error) {
			_, r, err := DecodeHandleErrorRequest([]byte(`{"abi":1,"type":"handle_error","plugin":"A","props":{},"error":{"message":""},"context":` + context + `}`))
			if err == nil && r.Error.Code != spi.CodeFailed {
				err = errors.New("another code")
			}
			return r, err
		},
	} {
		if got, err := decode(); err != nil {
			t.Errorf("%s: %+v, error %v, want success", name, got, err)
		}
	}
	for _, data := range []string{"", "{}", `{"more":1}`} {
		got, err := DecodeHandleErrorResponse([]byte(data))
		if want := spi.DecisionContinue; got.Decision != want || err != nil {
			t.Errorf("DecodeHandleErrorResponse(%s) = %q, error %v, want %q", data, got.Decision, err, want)
		}
	}
	got, err := DecodeHTTPRequest([]byte(`{"url":"http://a","method":""}`))
	if got.Method != "GET" || err != nil {
		t.Errorf("DecodeHTTPRequest without a method = %+v, error %v, want GET", got, err)
	}
}

func TestAppendHandlesWhatAuthorsLeaveOut(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ got, want string }{
		"no error":          {string(AppendHandleErrorRequest(nil, "A", spi.HandleErrorRequest{})), `"error":{"code":1,"message":"","retryable":false}`},
		"no decision":       {string(AppendHandleErrorResponse(nil, spi.HandleErrorResponse{})), `{}`},
		"sub-millisecond":   {string(AppendHTTPRequest(nil, HTTPRequest{Timeout: time.Nanosecond})), `"timeoutMs":1}`},
		"endless":           {string(AppendHTTPRequest(nil, HTTPRequest{Timeout: 1<<63 - 1})), `"timeoutMs":2147483647}`},
		"negative timeout":  {string(AppendHTTPRequest(nil, HTTPRequest{Timeout: -1})), `{"url":""}`},
		"negative progress": {string(AppendProgressReportRequest(nil, Progress{Done: -1, Total: 1 << 62})), `{"done":0,"total":9007199254740991,"message":""}`},
	}
	for name, tt := range tests {
		if !strings.Contains(tt.got, tt.want) {
			t.Errorf("%s: message = %s, want it to hold %s", name, tt.got, tt.want)
		}
	}
}

func TestDecodeNamesTheMemberOfEveryKind(t *testing.T) {
	t.Parallel()
	fetch := func(data []byte) error { _, err := DecodeFetchDataResponse(data); return err }
	process := func(data []byte) error { _, err := DecodeProcessDataResponse(data); return err }
	shard := func(data []byte) error { _, err := DecodeShardResponse(data); return err }
	shardRequest := func(data []byte) error { _, _, err := DecodeShardRequest(data); return err }
	handle := func(data []byte) error { _, err := DecodeHandleErrorResponse(data); return err }
	after := func(data []byte) error { _, _, err := DecodeJobListenerRequest(TypeAfterJob, data); return err }
	trace := func(data []byte) error { _, _, err := DecodeTraceRequest(data); return err }
	http := func(data []byte) error { _, err := DecodeHTTPRequest(data); return err }
	answer := func(data []byte) error { _, err := DecodeHTTPResponse(data); return err }
	secret := func(data []byte) error { _, err := DecodeSecretGetResponse(data); return err }
	checkpoint := func(data []byte) error { _, err := DecodeCheckpointSaveRequest(data); return err }
	progress := func(data []byte) error { _, err := DecodeProgressReportRequest(data); return err }
	change := func(name, old, replacement string) string {
		full := string(allMessages()[name].text)
		if !strings.Contains(full, old) {
			t.Fatalf("%s %s does not hold %s", name, full, old)
		}
		return strings.Replace(full, old, replacement, 1)
	}
	many := func(element string, n int) string { return strings.TrimSuffix(strings.Repeat(element+",", n), ",") }
	tests := []struct {
		name    string
		decode  func([]byte) error
		message string
		want    string
	}{
		{"no data", fetch, `{}`, "fetch_data response: data: expected this mandatory member"},
		{"empty output", fetch, ``, "fetch_data response: expected a JSON value at byte 0"},
		{"data no array", fetch, `{"data":{}}`, "fetch_data response: data: expected an array, not an object"},
		{"cursor no text", fetch, `{"data":[],"cursor":7}`, "fetch_data response: cursor: expected a string, not a number"},
		{"too much data", fetch, `{"data":[` + many("1", MaxData+1) + `]}`, "fetch_data response: data: expected at most 1048576 elements"},
		{"no object", process, `[]`, "process_data response: expected an object, not an array"},
		{"no assignment", shard, `{}`, "shard response: assignment: expected this mandatory member"},
		{"items no array", shard, `{"assignment":{"a":1}}`, `shard response: assignment["a"]: expected an array, not a number`},
		{"negative item", shard, `{"assignment":{"a":[0,-1]}}`, `shard response: assignment["a"][1]: expected an integer from 0 to 9007199254740991, not -1`},
		{"too many items", shard, `{"assignment":{"a":[` + many("1", MaxItems+1) + `]}}`, `shard response: assignment["a"]: expected at most 10000 elements`},
		{"instance without labels", shardRequest, change("shard_request", `"labels":{}`, `"label":{}`), "shard request: instances[1].labels: expected this mandatory member"},
		{"other decision", handle, `{"decision":"STOP"}`, `handle_error response: decision: expected "continue" or "stop", not "STOP"`},
		{"decision no text", handle, `{"decision":null}`, `handle_error response: decision: expected a string, not null`},
		{"other export", after, change("after_job_request", "after_job", "before_job"), `after_job request: type: expected "after_job", not "before_job"`},
		{"error without message", after, change("after_job_request", `"message":"no <disk>",`, ``), "after_job request: run.items[1].error.message: expected this mandatory member"},
		{"execution without start", trace, change("trace_request", `"start"`, `"started"`), "trace request: events[0].start: expected this mandatory member"},
		{"status without items", trace, change("trace_request", `"items"`, `"item"`), "trace request: events[3].items: expected this mandatory member"},
		{"event no object", trace, `{"abi":1,"type":"trace","plugin":"A","events":[7]}`, "trace request: events[0]: expected an object, not a number"},
		{"no URL", http, `{}`, "http.request request: url: expected this mandatory member"},
		{"header no list", http, `{"url":"","headers":{"A":"b"}}`, `http.request request: headers["A"]: expected an array, not a string`},
		{"body not base64", http, `{"url":"","body":"a"}`, "http.request request: body: expected base64 with padding"},
		{"timeout too long", http, `{"url":"","timeoutMs":2147483648}`, "http.request request: timeoutMs: expected an integer from 0 to 2147483647, not 2147483648"},
		{"no status", answer, `{"status":"200"}`, "http.request response: status: expected an integer, not a string"},
		{"secret no text", secret, `{"value":123}`, "secret.get response: value: expected a string, not a number"},
		{"checkpoint no text", checkpoint, `{"data":[1]}`, "checkpoint.save request: data: expected a string, not an array"},
		{"progress no number", progress, `{"done":"7"}`, "progress.report request: done: expected an integer, not a string"},
		{"no progress", progress, ``, "progress.report request: expected a JSON value at byte 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantProtocol(t, tt.decode([]byte(tt.message)), tt.want)
		})
	}
}

func TestTooManyMembersAreRefused(t *testing.T) {
	t.Parallel()
	assignment := make(map[string][]int, MaxInstances+1)
	for i := range MaxInstances + 1 {
		assignment[string(rune('a'+i))] = nil
	}
	_, err := DecodeShardResponse(AppendShardResponse(nil, spi.ShardResponse{Assignment: assignment}))
	wantProtocol(t, err, "shard response: assignment: expected at most 10000 members")
}

func TestALargeCheckpointIsTooLarge(t *testing.T) {
	t.Parallel()
	if _, err := DecodeCheckpointSaveRequest(AppendCheckpointSaveRequest(nil, make([]byte, MaxCheckpoint))); err != nil {
		t.Errorf("DecodeCheckpointSaveRequest of %d bytes: %v", MaxCheckpoint, err)
	}
	_, err := DecodeCheckpointSaveRequest(AppendCheckpointSaveRequest(nil, make([]byte, MaxCheckpoint+1)))
	e := spi.AsError(err)
	if want := "a checkpoint has at most 65536 bytes, not 65537"; e == nil || e.Code != spi.CodeTooLarge || e.Message != want {
		t.Errorf("DecodeCheckpointSaveRequest of %d bytes: %v, want TOO_LARGE: %s", MaxCheckpoint+1, err, want)
	}
}

func TestWhatAProgressMaySay(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxText)
	for message, want := range map[string]Progress{
		`{}`:                         {},
		`{"total":7}`:                {Total: 7},
		`{"message":"` + long + `"}`: {Message: long},
	} {
		if got, err := DecodeProgressReportRequest([]byte(message)); err != nil || got != want {
			t.Errorf("DecodeProgressReportRequest(%s) = %+v, %v, want %+v", message, got, err, want)
		}
	}
	got, err := DecodeProgressReportRequest([]byte(`{"done":1,"message":"` + long + `x"}`))
	e := spi.AsError(err)
	if want := "the message of a progress has at most 4096 bytes, not 4097"; got != (Progress{}) || e == nil || e.Code != spi.CodeTooLarge || e.Message != want {
		t.Errorf("DecodeProgressReportRequest of %d bytes = %+v, %v, want TOO_LARGE: %s", MaxText+1, got, err, want)
	}
	sent, err := DecodeProgressReportRequest(AppendProgressReportRequest(nil, Progress{Message: long + "x"}))
	if err != nil || len(sent.Message) > MaxText {
		t.Errorf("a message that was too long arrives in %d bytes, %v, want it cut to %d", len(sent.Message), err, MaxText)
	}
}

func TestDataDoesNotShareTheMessage(t *testing.T) {
	t.Parallel()
	message := []byte(`{"data":[1,2]}`)
	got, err := DecodeFetchDataResponse(message)
	if err != nil {
		t.Fatal(err)
	}
	clear(message)
	_ = append(got.Data[0], "xxxx"...)
	if string(got.Data[0]) != "1" || string(got.Data[1]) != "2" {
		t.Errorf("data = %q after its message was overwritten, want 1 and 2", got.Data)
	}
}

func TestValid(t *testing.T) {
	t.Parallel()
	nested := func(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }
	for text, want := range map[string]bool{
		`{"a":[1]}`: true, " 7\n": true, "": false, "1,2": false, "\xff": false, "{": false,
		nested(maxDepth - 2): true, nested(maxDepth - 1): false,
	} {
		if got := Valid([]byte(text)); got != want {
			t.Errorf("Valid(%s) = %t, want %t", text, got, want)
		}
		response := AppendFetchDataResponse(nil, spi.FetchDataResponse{Data: [][]byte{[]byte(text)}})
		if _, err := DecodeFetchDataResponse(response); want && err != nil {
			t.Errorf("DecodeFetchDataResponse(%s): %v, but its value is valid", response, err)
		}
	}
	if Valid([]byte(`"` + strings.Repeat("x", MaxMessage) + `"`)) {
		t.Error("Valid of more than a message can hold = true, want false")
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	const want = "a \"quoted\"\n广州"
	if got, err := DecodeText(AppendText(nil, want)); got != want || err != nil {
		t.Errorf("DecodeText(AppendText(%q)) = %q, error %v", want, got, err)
	}
	_, err := DecodeText([]byte("7"))
	wantProtocol(t, err, "text: expected a string, not a number")
	_, err = DecodeText([]byte(`"a`))
	wantProtocol(t, err, `text: expected '"' at byte 2`)
}

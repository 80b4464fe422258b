// Package c_test compiles the header for guests in C and runs what comes out
// in the real host.
package c_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/runtime/wasm"
	"github.com/elasticjob-go/elasticjob/sdk/c"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// host is the engine's side of a call.
type host struct {
	// call answers host operations; nil knows none.
	call func(op string, request []byte) ([]byte, error)

	mu sync.Mutex

	lines []string
}

var _ spi.Services = (*host)(nil)

func (h *host) Log(_ context.Context, record spi.LogRecord) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, record.Line)
}

func (h *host) Call(_ context.Context, op string, request []byte) ([]byte, error) {
	if h.call == nil {
		return nil, spi.NewError(spi.CodeUnsupported, "no operation "+op)
	}
	return h.call(op, request)
}

// build compiles a source of testdata and returns the module's path.
func build(t *testing.T, name string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), name+".wasm")
	for _, compiler := range []string{"clang-19", "clang"} {
		if _, err := exec.LookPath(compiler); err != nil {
			continue
		}
		args := append(c.Flags(), "-std=c17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", ".", "-o", out, filepath.Join("testdata", name+".c"))
		args = append(args, flags...)
		if text, err := exec.CommandContext(t.Context(), compiler, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", compiler, strings.Join(args, " "), err, text)
		}
		return out
	}
	t.Fatal("there is no clang for wasm32-wasi: run scripts/install-test-tools.sh")
	return ""
}

// load returns the plugins of a module by type, for each isolation. Instances
// have 64 MiB.
func load(t *testing.T, path string) (fresh, pooled map[string]spi.Plugin) {
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
	plugins := func(isolation spi.Isolation) map[string]spi.Plugin {
		bundle, err := runtime.Load(t.Context(), spi.LoadRequest{Path: path, Isolation: isolation, Limits: spi.Limits{Memory: 64 << 20}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := bundle.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		byType := make(map[string]spi.Plugin)
		for _, p := range bundle.Plugins {
			byType[p.Descriptor.Type] = p
		}
		return byType
	}
	return plugins(spi.IsolationFresh), plugins(spi.IsolationPooled)
}

func anyContext() spi.ShardingContext {
	return spi.ShardingContext{
		JobName: "nightly", ShardingItem: 3, ShardingParameter: "广州 😀 \"a\\b\"\n", FencingToken: 9007199254740993,
		FireTime: time.Date(2026, 11, 21, 10, 4, 25, 120e6, time.UTC), ExecutionSource: spi.SourceNormal, Attempt: 1,
		Props: props.Values{"batch.size": "7", "deep": "true"},
	}
}

func execute(t *testing.T, p spi.Plugin, item spi.ShardingContext, services spi.Services) (string, error) {
	t.Helper()
	job, err := p.JobType(t.Context(), item.Props)
	if err != nil {
		t.Fatal(err)
	}
	response, err := job.Execute(t.Context(), spi.ExecuteRequest{Context: item, Services: services})
	return response.Message, err
}

func with(parameter string) spi.ShardingContext {
	item := anyContext()
	item.JobParameter = parameter
	return item
}

func wantError(t *testing.T, what string, err error, want spi.Error) {
	t.Helper()
	if diff := cmp.Diff(&want, spi.AsError(err)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestHeader(t *testing.T) {
	t.Parallel()
	m, pooled := load(t, build(t, "every"))
	t.Run("describe", func(t *testing.T) { t.Parallel(); testDescribe(t, m) })
	t.Run("context", func(t *testing.T) { t.Parallel(); testContext(t, m) })
	t.Run("errors", func(t *testing.T) { t.Parallel(); testErrors(t, m) })
	t.Run("operations", func(t *testing.T) { t.Parallel(); testOperations(t, m) })
	t.Run("kinds", func(t *testing.T) { t.Parallel(); testKinds(t, m) })
	t.Run("memory", func(t *testing.T) { t.Parallel(); testMemory(t, pooled) })
	t.Run("JSON", func(t *testing.T) { t.Parallel(); testJSON(t, pooled) })
}

// Projects get the header from the package, and people read its flags here.
func TestHeaderSaysHowToBuild(t *testing.T) {
	t.Parallel()
	want := "clang " + strings.Join(c.Flags(), " ")
	for _, page := range []string{"elasticjob.h", "../../docs/plugins/sdk-c.md", "../../examples/c-job/README.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.ReplaceAll(string(text), "clang-19 ", "clang "), want) {
			t.Errorf("%s does not hold the command %s", page, want)
		}
	}
	if text, err := os.ReadFile("elasticjob.h"); err != nil || c.Header() != string(text) {
		t.Errorf("Header() has %d bytes, error %v, want those of elasticjob.h", len(c.Header()), err)
	}
}

// Undefined behaviour, such as a read with a wrong type or a shift too far,
// traps here.
func TestHeaderHasNoUndefinedBehaviour(t *testing.T) {
	t.Parallel()
	_, m := load(t, build(t, "every", "-O1", "-fsanitize=undefined", "-fsanitize-trap=undefined"))
	testDescribe(t, m)
	testContext(t, m)
	testOperations(t, m)
	testKinds(t, m)
	testJSON(t, m)
}

func testDescribe(t *testing.T, m map[string]spi.Plugin) {
	t.Helper()
	want := spi.Descriptor{
		Kind: spi.KindJobType, Type: "ECHO", Version: "1.2.0", Description: `returns its "context"`, Capabilities: []string{spi.CapabilityExecute},
		Props: props.Schema{
			{Name: "batch.size", Type: props.Int, Description: "any", Default: "100", Min: "1", Max: "1000", Example: "10"},
			{Name: "deep", Type: props.String, Description: "any", Default: "false", Enum: []string{"true", "false"}, Pattern: "[a-z]+", Deprecated: "use depth"},
			{Name: "token", Type: props.String, Description: "any", Secret: true},
		},
		Wants: []spi.Want{{Op: spi.OpHTTPRequest, Value: "example.com", Why: "to try it"}, {Op: spi.OpSecretGet, Value: "token"}},
	}
	if diff := cmp.Diff(want, m["ECHO"].Descriptor); diff != "" {
		t.Errorf("descriptor (-want +got):\n%s", diff)
	}
	kinds := make(map[string]string)
	for name, p := range m {
		kinds[name] = string(p.Descriptor.Kind) + " " + strings.Join(p.Descriptor.Capabilities, ",")
	}
	if diff := cmp.Diff(map[string]string{
		"ECHO": "jobType execute", "COPY": "jobType execute", "NUMBERS": "jobType execute", "LONG": "jobType execute", "OPERATES": "jobType execute",
		"FAILS": "jobType execute", "FLOW": "jobType dataflow", "FIRST": "shardingStrategy ", "STOPS": "errorHandler notify",
		"ONCE": "jobListener distributeOnce", "SINK": "tracingSink ",
	}, kinds); diff != "" {
		t.Errorf("kinds and capabilities (-want +got):\n%s", diff)
	}
}

func testContext(t *testing.T, m map[string]spi.Plugin) {
	t.Helper()
	services := &host{}
	got, err := execute(t, m["ECHO"], anyContext(), services)
	if want := "nightly|3|广州 😀 \"a\\b\"\n|9007199254740993|1795255465120|7|1|none|unbounded|2"; got != want || err != nil {
		t.Errorf("ECHO = %q, error %v, want %q", got, err, want)
	}
	if want := []string{"first", "second", ""}; !slices.Equal(services.lines, want) {
		t.Errorf("ECHO logs %q, want %q", services.lines, want)
	}
	for _, checkpoint := range []string{"", "a", "ab", "abc", "page 7"} {
		item := anyContext()
		item.Checkpoint, item.Deadline = []byte(checkpoint), item.FireTime.Add(1000*time.Hour)
		got, err := execute(t, m["ECHO"], item, &host{})
		if want := "|1|" + checkpoint + "|bounded|2"; !strings.HasSuffix(got, want) || err != nil {
			t.Errorf("ECHO with the checkpoint %q = %q, error %v, want it to end in %q", checkpoint, got, err, want)
		}
	}
}

func testErrors(t *testing.T, m map[string]spi.Plugin) {
	t.Helper()
	tests := map[string]spi.Error{
		"":         {Code: spi.CodeFailed},
		"property": {Code: spi.CodeInvalidProperties, Message: "too large", Property: "batch.size"},
		"own":      {Code: 1001, Message: "own \"code\" \uFFFD\x01", Retryable: true},
		"host":     {Code: spi.CodeFailed, Message: "late"},
		"huge":     {Code: spi.CodeTooLarge, Message: "the response has more than 16 MiB"},
	}
	for how, want := range tests {
		_, err := execute(t, m["FAILS"], with(how), &host{})
		wantError(t, "FAILS with "+how, err, want)
	}
	_, err := execute(t, m["FAILS"], with("memory"), &host{})
	if e := spi.AsError(err); e == nil || e.Code != spi.CodeLimit {
		t.Errorf("FAILS with memory: %v, want LIMIT", err)
	}
	// A host that asks what the plugin did not describe.
	job, err := m["ECHO"].JobType(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if flow, ok := job.(spi.Dataflow); ok {
		_, err := flow.FetchData(t.Context(), spi.FetchDataRequest{Context: anyContext(), Services: &host{}})
		if e := spi.AsError(err); e == nil || e.Code != spi.CodeUnsupported {
			t.Errorf("FetchData of ECHO: %v, want UNSUPPORTED", err)
		}
	}
}

func testOperations(t *testing.T, m map[string]spi.Plugin) {
	t.Helper()
	requests := map[string]string{}
	fail := ""
	services := &host{call: func(op string, request []byte) ([]byte, error) {
		requests[op] = string(request)
		if op == fail {
			return nil, &spi.Error{Code: spi.CodeLeaseLost, Message: "gone", Retryable: true}
		}
		switch op {
		case spi.OpSecretGet:
			return []byte(`{"value":"s3\u0063ret"}`), nil
		case spi.OpHTTPRequest:
			return []byte(`{"status":201,"headers":{"A":["b","c"]},"body":"aGk="}`), nil
		case spi.OpShouldStop:
			return []byte(`{ "stop" : true, "reason" : "disabled" }`), nil
		default:
			return []byte("{}"), nil
		}
	}}
	got, err := execute(t, m["OPERATES"], anyContext(), services)
	if want := "201 b hi disabled"; got != want || err != nil {
		t.Errorf("OPERATES = %q, error %v, want %q", got, err, want)
	}
	want := map[string]string{
		spi.OpSecretGet:      `{"name":"token"}`,
		spi.OpHTTPRequest:    `{"method":"POST","url":"https://example.com/","headers":{"Authorization":["s3cret"]},"body":"aMOpbGxv","timeoutMs":1500}`,
		spi.OpCheckpointSave: `{"data":"aGk="}`,
		spi.OpProgressReport: `{"done":1,"total":2,"message":"half"}`,
		spi.OpShouldStop:     `{}`,
	}
	if diff := cmp.Diff(want, requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	for _, fail = range []string{spi.OpSecretGet, spi.OpHTTPRequest, spi.OpCheckpointSave, spi.OpProgressReport} {
		_, err := execute(t, m["OPERATES"], anyContext(), services)
		wantError(t, "OPERATES where the host refuses "+fail, err, spi.Error{Code: spi.CodeFailed, Message: "gone", Retryable: true})
	}
	fail = spi.OpShouldStop
	if got, err := execute(t, m["OPERATES"], anyContext(), services); got != "201 b hi goes on" || err != nil {
		t.Errorf("OPERATES where should_stop fails = %q, error %v, want it to go on", got, err)
	}
}

func testKinds(t *testing.T, m map[string]spi.Plugin) {
	t.Helper()
	ctx := t.Context()
	services := &host{}
	job, err := m["FLOW"].JobType(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	flow, ok := job.(spi.Dataflow)
	if !ok {
		t.Fatal("FLOW is no dataflow")
	}
	var all []string
	for cursor := ""; ; {
		batch, err := flow.FetchData(ctx, spi.FetchDataRequest{Context: anyContext(), Cursor: cursor, Services: services})
		if err != nil {
			t.Fatal(err)
		}
		if len(batch.Data) == 0 {
			break
		}
		for _, datum := range batch.Data {
			all = append(all, string(datum))
		}
		if _, err := flow.ProcessData(ctx, spi.ProcessDataRequest{Context: anyContext(), Data: batch.Data, Services: services}); err != nil {
			t.Errorf("ProcessData: %v", err)
		}
		cursor = batch.Cursor
	}
	if want := []string{`{"id":0,"odd":false}`, `{"id":1,"odd":true}`, `{"id":2,"odd":false}`}; !slices.Equal(all, want) {
		t.Errorf("fetched %q, want %q", all, want)
	}

	strategy, err := m["FIRST"].ShardingStrategy(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	assigned, err := strategy.Shard(ctx, spi.ShardRequest{
		JobName: "nightly", ShardingTotalCount: 2, Instances: []spi.Instance{{ID: "a\"b", IP: "10.0.0.1"}, {ID: "c"}},
		Items: []spi.Item{{Item: 0}, {Item: 1, Parameter: "x"}}, Services: services,
	})
	if diff := cmp.Diff(map[string][]int{"a\"b": {0, 1}}, assigned.Assignment); diff != "" || err != nil {
		t.Errorf("Shard, error %v (-want +got):\n%s", err, diff)
	}

	handler, err := m["STOPS"].ErrorHandler(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for code, want := range map[spi.Code]spi.Decision{1: spi.DecisionContinue, 1000: spi.DecisionStop} {
		got, err := handler.HandleError(ctx, spi.HandleErrorRequest{Context: anyContext(), Error: spi.NewError(code, "no disk"), Services: services})
		if got.Decision != want || err != nil {
			t.Errorf("HandleError(%d) = %q, error %v, want %q", code, got.Decision, err, want)
		}
	}

	listener, err := m["ONCE"].JobListener(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	run := spi.JobListenerRequest{Once: true, Run: spi.JobRun{JobName: "nightly", Items: make([]spi.RunItem, 3)}, Services: services}
	if _, err := listener.BeforeJob(ctx, run); err != nil {
		t.Errorf("BeforeJob of a listener without one: %v", err)
	}
	if _, err := listener.AfterJob(ctx, run); err != nil {
		t.Errorf("AfterJob: %v", err)
	}

	sink, err := m["SINK"].TracingSink(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = sink.Trace(ctx, spi.TraceRequest{Events: make([]spi.TraceEvent, 2), Services: services})
	wantError(t, "Trace", err, spi.Error{Code: spi.CodeUnavailable, Message: "2 events", Retryable: true})

	if want := []string{"processing 0", "processing 1", "processing 2", "nightly of 3 items, once 1"}; !slices.Equal(services.lines, want) {
		t.Errorf("log = %q, want %q", services.lines, want)
	}
}

// testMemory looks for memory that a call keeps, and that calls of one instance
// collect.
func testMemory(t *testing.T, m map[string]spi.Plugin) {
	t.Helper()
	services := &host{call: func(op string, _ []byte) ([]byte, error) {
		if op == spi.OpShouldStop {
			return []byte(`{"stop":false,"reason":""}`), nil
		}
		return []byte("{}"), nil
	}}
	if _, err := execute(t, m["LONG"], with(""), services); err != nil {
		t.Errorf("LONG: %v", err)
	}
	text := `["` + strings.Repeat("x", 1<<20) + `"]`
	for i := range 30 {
		if _, err := execute(t, m["COPY"], with(text), &host{}); err != nil {
			t.Fatalf("call %d of COPY: %v", i, err)
		}
	}
}

// testJSON lets the module read and write JSON and compares with encoding/json.
// What is no JSON may be read as anything, but does not trap.
func testJSON(t *testing.T, m map[string]spi.Plugin) {
	t.Helper()
	copied := func(text string) string {
		services := &host{}
		if _, err := execute(t, m["COPY"], with(text), services); err != nil {
			t.Fatalf("COPY of %q: %v", text, err)
		}
		return strings.Join(services.lines, "\n")
	}
	check := func(text string) {
		got := copied(text)
		var want, value any
		if json.Unmarshal([]byte(text), &want) != nil || strings.Contains(strings.ToLower(text), `\ud`) {
			return
		}
		if err := json.Unmarshal([]byte(got), &value); err != nil {
			t.Errorf("COPY of %s = %s: %v", text, got, err)
		} else if diff := cmp.Diff(want, value); diff != "" {
			t.Errorf("COPY of %s (-want +got):\n%s", text, diff)
		}
	}
	seeds := []string{
		`{}`, `[]`, ` { "a" : [ 1 , -2.5e+7 , "b\"\\\/\b\f\n\r\té" , true , false , null , [] , {} ] , "a" : { "c" : "" } } `,
		`"x"`, `7`, `[[[[["deep"]]]]]`, `{"a]":"}[,","\u0061b":"\u0000"}`, `[1,2,3`, `{"a":`, `{"a"}`, `{a:1}`, `"`, `"\`, `"\u12`, `]`, `,`, `[,]`, `[1 2]`, "",
	}
	for _, seed := range seeds {
		check(seed)
	}
	if got := copied(`"\uD83D\uDE00 \uD83D x"`); got != "\"😀 \uFFFD\uFFFD\uFFFD x\"" {
		t.Errorf("COPY of surrogates = %s, want a whole character and replacements", got)
	}
	random := rand.New(rand.NewPCG(1, 2)) // the same cases each time
	const alphabet = `{}[]",:\u0 1-e.tn`
	for range 1500 {
		text := []byte(seeds[random.IntN(len(seeds))])
		for range 1 + random.IntN(4) {
			at := random.IntN(len(text) + 1)
			char := alphabet[random.IntN(len(alphabet))]
			switch {
			case at == len(text) || random.IntN(3) == 0:
				text = slices.Insert(text, at, char)
			case random.IntN(2) == 0:
				text[at] = char
			default:
				text = slices.Delete(text, at, at+1)
			}
		}
		check(string(text))
	}

	services := &host{}
	if _, err := execute(t, m["NUMBERS"], with(`[0,"-17",9223372036854775807,-9223372036854775808,9223372036854775808,-9223372036854775809,"",1.5,true,"1970-01-01T00:00:00.000Z","2000-02-29T23:59:59.999Z","2000-02-29"]`), services); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"0 0 0 -1", "-17 -17 0 -1", "9223372036854775807 9223372036854775807 0 -1", "-9223372036854775808 -9223372036854775808 0 -1",
		"9223372036854775808 -1 0 -1", "-9223372036854775809 -1 0 -1", " -1 0 -1", "1.5 -1 0 -1", "true -1 1 -1",
		"1970-01-01T00:00:00.000Z -1 0 0", "2000-02-29T23:59:59.999Z -1 0 951868799999", "2000-02-29 -1 0 -1",
	}
	if diff := cmp.Diff(want, services.lines); diff != "" {
		t.Errorf("numbers (-want +got):\n%s", diff)
	}
}

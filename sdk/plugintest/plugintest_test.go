package plugintest_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/sdk/plugintest"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/ops"
)

//nolint:testableexamples // only go test can run the test of an author
func Example() {
	var t *testing.T // of a test of the author
	plugintest.Each(t, ".", func(t *testing.T, h *plugintest.Host) {
		handler := h.ErrorHandler(t, "STOP_AT_1001", nil)
		response, err := handler.HandleError(t.Context(), spi.HandleErrorRequest{
			Context: plugintest.Context(), Error: &spi.Error{Code: 1001}, Services: h.Services(t),
		})
		if err != nil || response.Decision != spi.DecisionStop {
			t.Errorf("HandleError() = %q, error %v, want %q", response.Decision, err, spi.DecisionStop)
		}
	})
}

// The page shows a test that passes.
func TestPageShowsTheTest(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "plugins", "testing.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []struct {
		name, path string
		change     *strings.Replacer
	}{
		{"main.go", "testdata/orders/main.go", strings.NewReplacer()},
		{"main_test.go", "orders_test.go", strings.NewReplacer("package plugintest_test", "package main_test", `"testdata/orders"`, `"."`)},
	} {
		want, err := os.ReadFile(file.path)
		if err != nil {
			t.Fatal(err)
		}
		shown := regexp.MustCompile("(?ms)^<!-- file: " + regexp.QuoteMeta(file.name) + " -->\n```go\n(.*?)^```$").FindSubmatch(page)
		if shown == nil {
			t.Fatalf("the page does not show %s", file.name)
		}
		code := string(want)
		if file.name == "main.go" {
			// The comment is about this package.
			code = code[strings.Index(code, "package main"):]
		}
		if diff := cmp.Diff(file.change.Replace(code), string(shown[1])); diff != "" {
			t.Errorf("%s on the page (-want +got):\n%s", file.name, diff)
		}
	}
}

// Every kind of services, every kind of plugin, and the same on both hosts.
func TestEach(t *testing.T) {
	t.Parallel()
	subject := filepath.Join("..", "..", "spi", "spitest", "testdata", "plugin")
	// Its properties say what a call does: see package subject.
	do := func(pairs ...string) map[string]string {
		values := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			values[pairs[i]] = pairs[i+1]
		}
		return values
	}
	execute := func(t *testing.T, h *plugintest.Host, s *plugintest.Services, values map[string]string) (string, error) {
		t.Helper()
		response, err := h.JobType(t, "SUBJECT", values).Execute(t.Context(), spi.ExecuteRequest{Context: plugintest.Context(), Services: s})
		return response.Message, err
	}
	var kinds []string
	plugintest.Each(t, subject, func(t *testing.T, h *plugintest.Host) {
		kinds = append(kinds, h.Kind())
		if got := len(h.Plugins()); got != 6 {
			t.Errorf("Plugins() has %d plugins, want 6", got)
		}
		services := h.Services(t)
		for _, values := range []map[string]string{
			do("do", "progress", "request", "half", "total", "4"), do("do", "checkpoint", "request", "page 6"), do("do", "checkpoint", "request", "page 7"),
		} {
			if _, err := execute(t, h, services, values); err != nil {
				t.Errorf("Execute(%v) fails with %v, want success", values, err)
			}
		}
		if diff := cmp.Diff([]ops.Progress{{Done: 1 << 40, Total: 4, Message: "half"}}, services.Progress()); diff != "" {
			t.Errorf("Progress() (-want +got):\n%s", diff)
		}
		if got, want := string(services.Checkpoint()), "page 7\xff"; got != want {
			t.Errorf("Checkpoint() = %q, want %q", got, want)
		}
		if diff := cmp.Diff([]string{"reported", "saved", "saved"}, services.Lines()); diff != "" {
			t.Errorf("Lines() (-want +got):\n%s", diff)
		}

		services = h.Services(t)
		services.Stop = "reshard"
		if got, err := execute(t, h, services, do("do", "ask")); err != nil || got != "reshard" {
			t.Errorf("asking whether to stop = %q, error %v, want reshard", got, err)
		}
		services.Answer = func(_ context.Context, op string, _ []byte) ([]byte, error, bool) {
			return []byte("mine"), nil, op == "my.op"
		}
		if got, err := execute(t, h, services, do("do", "call", "op", "my.op")); err != nil || got != "mine" {
			t.Errorf("an operation of the test = %q, error %v, want mine", got, err)
		}
		if got, err := execute(t, h, services, do("do", "call", "op", "other.op")); err != nil || !strings.Contains(got, "code=3") {
			t.Errorf("another operation = %q, error %v, want code 3", got, err)
		}
		if got, err := execute(t, h, services, do("do", "http")); err != nil || !strings.Contains(got, `code=4 message="http.request to \"api.example.com\" is not granted`) {
			t.Errorf("http.request without a handler = %q, error %v, want it denied", got, err)
		}
		if want := []string{"call my.op", "call other.op"}; len(services.Requests()) != 3 {
			t.Errorf("Requests() = %q, want %q and http.request", services.Requests(), want)
		}

		flow, err := h.Dataflow(t, "SUBJECT_FLOW", do("do", "say", "data", "1|2", "cursor", "next")).
			FetchData(t.Context(), spi.FetchDataRequest{Context: plugintest.Context(), Services: h.Services(t)})
		if err != nil || len(flow.Data) != 2 || flow.Cursor != "next" {
			t.Errorf("FetchData() = %s, %q, error %v, want 1 and 2", flow.Data, flow.Cursor, err)
		}
		shard, err := h.ShardingStrategy(t, "SUBJECT", do("do", "say", "assignment", "a=0,1")).Shard(t.Context(), spi.ShardRequest{
			JobName: "j", ShardingTotalCount: 2, Instances: []spi.Instance{{ID: "a"}}, Items: []spi.Item{{Item: 0}, {Item: 1}}, Services: h.Services(t),
		})
		if diff := cmp.Diff(map[string][]int{"a": {0, 1}}, shard.Assignment); err != nil || diff != "" {
			t.Errorf("Shard() fails with %v (-want +got):\n%s", err, diff)
		}
		decided, err := h.ErrorHandler(t, "SUBJECT", do("do", "say", "decision", "stop")).HandleError(t.Context(), spi.HandleErrorRequest{
			Context: plugintest.Context(), Error: spi.NewError(spi.CodeFailed, "m"), Services: h.Services(t),
		})
		if err != nil || decided.Decision != spi.DecisionStop {
			t.Errorf("HandleError() = %q, error %v, want %q", decided.Decision, err, spi.DecisionStop)
		}
		services = h.Services(t)
		run := spi.JobListenerRequest{Run: spi.JobRun{JobName: "j", FireTime: plugintest.Context().FireTime}, Services: services}
		if _, err := h.JobListener(t, "SUBJECT", do("do", "say", "text", "told")).AfterJob(t.Context(), run); err != nil {
			t.Errorf("AfterJob() fails with %v, want success", err)
		}
		if _, err := h.TracingSink(t, "SUBJECT", do("do", "say", "text", "traced")).Trace(t.Context(), spi.TraceRequest{Services: services}); err != nil {
			t.Errorf("Trace() fails with %v, want success", err)
		}
		if diff := cmp.Diff([]string{"told", "traced"}, services.Lines()); diff != "" {
			t.Errorf("Lines() (-want +got):\n%s", diff)
		}
	},
		plugintest.WithSample("a secret", func(s *plugintest.Services) { s.Secrets = map[string]string{"name": "value"} },
			func(t *testing.T, h *plugintest.Host, s *plugintest.Services) (any, error) {
				return execute(t, h, s, do("do", "secret", "text", "name"))
			}),
		plugintest.WithSample("a failure", nil, func(t *testing.T, h *plugintest.Host, s *plugintest.Services) (any, error) {
			return execute(t, h, s, do("do", "fail", "code", "1001", "message", "m"))
		}),
	)
	if want := []string{plugintest.Process, plugintest.Module}; !slices.Equal(kinds, want) {
		t.Errorf("Each ran on %q, want %q", kinds, want)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "data.txt"), []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	look := func(t *testing.T, h *plugintest.Host) string {
		t.Helper()
		item := plugintest.Context()
		item.JobParameter = "/data/data.txt"
		response, err := h.JobType(t, "LOOK", nil).Execute(t.Context(), spi.ExecuteRequest{Context: item, Services: h.Services(t)})
		if err != nil {
			t.Errorf("Execute() fails with %v, want success", err)
		}
		return response.Message
	}
	plugintest.Each(t, "testdata/look", func(t *testing.T, h *plugintest.Host) {
		for _, want := range []string{"north, 2022, data, call 1", "north, 2022, data, call 2"} {
			if got := look(t, h); got != want {
				t.Errorf("Execute() = %q, want %q", got, want)
			}
		}
	}, plugintest.WithHosts(plugintest.Module), plugintest.WithEnv(map[string]string{"REGION": "north"}), plugintest.WithDirs(spi.Dir{Path: dir, Guest: "/data"}),
		plugintest.WithClock(spi.ClockFrozen, spi.RandomSeeded), plugintest.WithIsolation(spi.IsolationPooled), plugintest.WithLimits(spi.Limits{Memory: 64 << 20}))
}

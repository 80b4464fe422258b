// Package node_plugin_test installs the plugin of this folder as its README
// tells, and runs it in the host of processes and on a node.
package node_plugin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/runtime/process"
	"github.com/elasticjob-go/elasticjob/spi"
)

// TestPlugin runs everything in one process, as a node does.
func TestPlugin(t *testing.T) {
	t.Parallel()
	bundle := load(t)
	var names []string
	for _, p := range bundle.Plugins {
		names = append(names, string(p.Descriptor.Kind)+" "+p.Descriptor.Type)
	}
	if diff := cmp.Diff([]string{"jobType PAGE_SIZE", "errorHandler STOP_WHEN_GONE"}, names); diff != "" {
		t.Fatalf("plugins differ (-want +got):\n%s", diff)
	}
	field := bundle.Plugins[0].Descriptor.Props[0]
	if field.Name != "pause" || field.Default != "0s" || bundle.Plugins[0].Descriptor.Wants[0].Op != spi.OpHTTPRequest {
		t.Errorf("the descriptor is %+v", bundle.Plugins[0].Descriptor)
	}
	job, err := bundle.Plugins[0].JobType(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := bundle.Plugins[1].ErrorHandler(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	execute := func(ctx context.Context, s *services, item int, page, pause string) (string, error) {
		response, err := job.Execute(ctx, spi.ExecuteRequest{Services: s, Context: spi.ShardingContext{
			JobName: "pages", ShardingTotalCount: 2, ShardingItem: item, ShardingParameter: page, Attempt: 1, FencingToken: 1 << 60,
			FireTime: time.Now(), Props: map[string]string{"pause": pause},
		}})
		return response.Message, err
	}

	t.Run("execute", func(t *testing.T) {
		t.Parallel()
		s := &services{status: 200, body: "hello"}
		got, err := execute(t.Context(), s, 0, "https://example.com/", "0s")
		if err != nil || got != "5 bytes" {
			t.Errorf("Execute = %q, %v, want 5 bytes", got, err)
		}
		if diff := cmp.Diff([]spi.LogRecord{{Level: spi.LevelInfo, Stream: spi.StreamLog, Line: "fetching https://example.com/"}}, s.logged()); diff != "" {
			t.Errorf("the log differs (-want +got):\n%s", diff)
		}
	})
	t.Run("fail", func(t *testing.T) {
		t.Parallel()
		for _, test := range []struct {
			page      string
			services  *services
			code      spi.Code
			retryable bool
			message   string
		}{
			{"", &services{}, spi.CodeFailed, false, "item 1 has no page"},
			{"https://example.com/gone", &services{status: 410}, spi.CodeNotFound, false, "is gone"},
			{"https://example.com/busy", &services{status: 503}, spi.CodeUnavailable, true, "answers 503"},
			{"https://slow.example.com/", &services{err: spi.NewError(spi.CodeTimeout, "too slow")}, spi.CodeFailed, true, "too slow"},
			{"https://denied.example.com/", &services{err: spi.NewError(spi.CodeDenied, "not granted")}, spi.CodeDenied, false, "not granted"},
		} {
			_, err := execute(t.Context(), test.services, 1, test.page, "0s")
			failed, ok := errors.AsType[*spi.Error](err)
			if !ok || failed.Code != test.code || failed.Retryable != test.retryable || !strings.Contains(failed.Message, test.message) {
				t.Errorf("Execute of page %q = %+v, want %v with %q", test.page, err, test.code, test.message)
			}
		}
	})
	t.Run("cancel", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, spi.ErrTimeout)
		defer cancel()
		if _, err := execute(ctx, &services{}, 1, "https://example.com/", "1h"); !errors.Is(err, spi.ErrTimeout) {
			t.Errorf("Execute with a deadline = %v, want %v", err, spi.ErrTimeout)
		}
		ctx, stop := context.WithCancelCause(t.Context())
		s := &services{status: 200, asked: func() { stop(spi.ErrLeaseLost) }}
		if _, err := execute(ctx, s, 0, "https://example.com/", "0s"); err != nil && !errors.Is(err, spi.ErrLeaseLost) {
			t.Errorf("Execute while the lease is lost = %v, want %v", err, spi.ErrLeaseLost)
		}
	})
	t.Run("many", func(t *testing.T) {
		t.Parallel()
		var group sync.WaitGroup
		for i := range 100 {
			group.Go(func() {
				want := fmt.Sprintf("%d bytes", i)
				if got, err := execute(t.Context(), &services{status: 200, body: strings.Repeat("x", i)}, 0, "https://example.com/", "0s"); err != nil || got != want {
					t.Errorf("Execute = %q, %v, want %q", got, err, want)
				}
			})
		}
		group.Wait()
	})
	t.Run("by hand", func(t *testing.T) {
		t.Parallel()
		out, err := exec.CommandContext(t.Context(), filepath.Join(folder, "plugin.js")).CombinedOutput()
		failed, ok := errors.AsType[*exec.ExitError](err)
		if !ok || failed.ExitCode() != 1 || !strings.Contains(string(out), "jobType PAGE_SIZE") {
			t.Errorf("the plugin, started by hand, ends with %v\n%s", err, out)
		}
	})
	t.Run("handle errors", func(t *testing.T) {
		t.Parallel()
		for code, want := range map[spi.Code]spi.Decision{spi.CodeNotFound: spi.DecisionStop, spi.CodeFailed: spi.DecisionContinue} {
			s := &services{}
			got, err := handler.HandleError(t.Context(), spi.HandleErrorRequest{
				Services: s, Error: spi.NewError(code, "no luck"), Context: spi.ShardingContext{JobName: "pages", ShardingItem: 1},
			})
			if err != nil || got.Decision != want {
				t.Errorf("HandleError of %v = %q, %v, want %q", code, got.Decision, err, want)
			}
			if diff := cmp.Diff([]spi.LogRecord{{Level: spi.LevelWarn, Stream: spi.StreamLog, Line: "item 1 of pages: no luck"}}, s.logged()); diff != "" {
				t.Errorf("the log differs (-want +got):\n%s", diff)
			}
		}
	})
}

// TestProtocolIsTheSame holds the copy of the protocol.
func TestProtocolIsTheSame(t *testing.T) {
	t.Parallel()
	original, err := os.ReadFile("../../spi/pluginpb/plugin.proto")
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.ReadFile("plugin.proto")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(original), string(here)); diff != "" {
		t.Errorf("plugin.proto is not that of spi/pluginpb (-want +got):\n%s", diff)
	}
}

// TestOnANode runs the node of elasticjob.yaml, of which only the pages are
// others.
func TestOnANode(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte("hello")) // the client would see it
	}))
	defer server.Close()
	text, err := os.ReadFile("elasticjob.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "node.yaml")
	here := strings.NewReplacer("http: [example.com]", `http: ["`+server.URL+`"]`, "https://example.com", server.URL, "every: 10s", "every: 1s").Replace(string(text))
	if err := os.WriteFile(file, []byte(here), 0o600); err != nil {
		t.Fatal(err)
	}
	config, problems := elasticjob.LoadFile(file)
	if len(problems) > 0 {
		t.Fatalf("LoadFile = %v", problems)
	}
	config.OverrideDataDir(t.TempDir())
	log := &journal{}
	node, err := elasticjob.New(t.Context(), config, elasticjob.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`item=0 .* outcome=success .* result="5 bytes"`, `item=1 .* outcome=failure .* code=5 err="` + server.URL + `/no-such-page is gone"`,
		`msg="plugin output" job=pages item=0 .* plugin=PAGE_SIZE stream=log line="fetching ` + server.URL + `/"`,
		`msg="job stopped on this instance by its error handler" .*job=pages`,
	} {
		if !log.wait(t.Context(), want) {
			t.Errorf("the node has not logged %s, but\n%s", want, log.String())
		}
	}
	if err := node.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Errorf("Stop = %v", err)
	}
}

// load starts the plugin; what it writes is the test's output.
func load(t *testing.T) *spi.Bundle {
	t.Helper()
	log := &journal{}
	host := process.New(process.Config{LookupEnv: os.LookupEnv, StartTimeout: time.Minute, Logger: slog.New(slog.NewJSONHandler(log, nil))})
	t.Cleanup(func() {
		if err := host.Close(context.Background()); err != nil {
			t.Errorf("Close = %v", err)
		}
		if text := log.String(); strings.Contains(text, "plugin ended") || strings.Contains(text, `"stream":"stderr"`) || t.Failed() {
			t.Errorf("the plugin ended by itself, or complained:\n%s", text)
		}
	})
	bundle, err := host.Load(t.Context(), spi.LoadRequest{Path: filepath.Join(folder, "plugin.js"), Grants: spi.Grants{Env: []string{"PATH"}}})
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// journal is the log of a test. Its zero value is empty.
type journal struct {
	mu      sync.Mutex
	text    bytes.Buffer
	written chan struct{} // closed at the next line, if somebody waits
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.written != nil {
		close(j.written)
		j.written = nil
	}
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// wait reports whether there is a line of that form within a minute.
func (j *journal) wait(ctx context.Context, form string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		j.mu.Lock()
		if regexp.MustCompile(form).Match(j.text.Bytes()) {
			j.mu.Unlock()
			return true
		}
		if j.written == nil {
			j.written = make(chan struct{})
		}
		written := j.written
		j.mu.Unlock()
		select {
		case <-written:
		case <-ctx.Done():
			return false
		}
	}
}

// services answer http.request.
type services struct {
	status int
	body   string
	err    error
	asked  func()

	mu      sync.Mutex
	records []spi.LogRecord
}

var _ spi.Services = (*services)(nil)

func (s *services) Log(_ context.Context, r spi.LogRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, r)
}

func (s *services) logged() []spi.LogRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.records)
}

func (s *services) Call(_ context.Context, op string, request []byte) ([]byte, error) {
	var asked struct{ Method, URL string }
	if err := json.Unmarshal(request, &asked); err != nil {
		return nil, err
	}
	switch {
	case s.asked != nil:
		s.asked()
	case s.err != nil:
		return nil, s.err
	}
	if op != spi.OpHTTPRequest || asked.Method != "GET" || asked.URL == "" {
		return nil, spi.NewError(spi.CodeUnsupported, op+string(request))
	}
	return json.Marshal(map[string]any{"status": s.status, "headers": map[string][]string{}, "body": []byte(s.body)})
}

// Package cjob_test builds the module of this folder as its README says and
// runs it, alone and in a node.
package cjob_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/runtime/wasm"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// build makes the module with the command of the README and returns its path.
func build(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("<!-- run: build -->\n```\n(.*)\n```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("README.md has no command that builds the module")
	}
	out := filepath.Join(t.TempDir(), "c-job.wasm")
	command := strings.Fields(string(block[1]))
	for i, argument := range command {
		if argument == "c-job.wasm" {
			command[i] = out
		}
	}
	if _, err := exec.LookPath(command[0]); err != nil {
		command[0] = "clang" // where it goes by its plain name
	}
	command = append(command, "-Wall", "-Wextra", "-Werror")
	if text, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v (scripts/install-test-tools.sh installs clang)\n%s", command, err, text)
	}
	return out
}

// host keeps what a call tells it.
type host struct {
	mu sync.Mutex

	checkpoint []byte
	progress   []string
	stop       bool
}

var _ spi.Services = (*host)(nil)

func (*host) Log(context.Context, spi.LogRecord) {}

func (h *host) Call(_ context.Context, op string, request []byte) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch op {
	case spi.OpCheckpointSave:
		h.checkpoint = request
	case spi.OpProgressReport:
		h.progress = append(h.progress, string(request))
	case spi.OpShouldStop:
		if h.stop {
			return []byte(`{"stop":true,"reason":"stopping"}`), nil
		}
		return []byte(`{"stop":false}`), nil
	default:
		return nil, spi.NewError(spi.CodeUnsupported, op)
	}
	return []byte("{}"), nil
}

func TestModule(t *testing.T) {
	t.Parallel()
	runtime, err := wasm.New(t.Context(), wasm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := runtime.Load(t.Context(), spi.LoadRequest{Path: build(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := bundle.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := runtime.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	if len(bundle.Plugins) != 2 {
		t.Fatalf("the module brings %d plugins, want 2", len(bundle.Plugins))
	}
	testJob(t, bundle.Plugins[0])
	testHandler(t, bundle.Plugins[1])
}

func testJob(t *testing.T, plugin spi.Plugin) {
	t.Helper()
	job, err := plugin.JobType(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	run := func(h *host, item int, checkpoint []byte) (string, *spi.Error) {
		response, err := job.Execute(t.Context(), spi.ExecuteRequest{Services: h, Context: spi.ShardingContext{
			JobName: "primes", ShardingItem: item, ShardingTotalCount: 4, FireTime: time.UnixMilli(0), Checkpoint: checkpoint,
			Props: props.Values{"limit": "100000"},
		}})
		return response.Message, spi.AsError(err)
	}
	// Of the 9592 primes up to 100,000, one is even.
	h := &host{}
	for item, want := range []string{"0 primes", "4783 primes", "1 primes", "4808 primes"} {
		if got, err := run(h, item, nil); got != want || err != nil {
			t.Errorf("item %d = %q, error %v, want %q", item, got, err, want)
		}
	}
	if want := `{"done":40003,"total":100000,"message":""}`; len(h.progress) != 8 || h.progress[6] != want {
		t.Errorf("progress = %q, want two reports of each item, of which the seventh is %s", h.progress, want)
	}

	stopped := &host{stop: true}
	_, failure := run(stopped, 1, nil)
	if want := spi.NewError(spi.CodeFailed, "stopped at 40001: stopping"); !cmp.Equal(want, failure) {
		t.Errorf("item 1 that is to stop fails with %v, want %v", failure, want)
	}
	checkpoint := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 99_985), 4783)
	if got, err := run(&host{}, 1, checkpoint); got != "4784 primes" || err != nil {
		t.Errorf("item 1 from a checkpoint = %q, error %v, want the prime 99989 and those before it", got, err)
	}
}

func testHandler(t *testing.T, plugin spi.Plugin) {
	t.Helper()
	handler, err := plugin.ErrorHandler(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	handle := func(codes string) (spi.Decision, error) {
		response, err := handler.HandleError(t.Context(), spi.HandleErrorRequest{
			Context: spi.ShardingContext{JobName: "orders"}, Error: spi.NewError(1002, "no disk"), Props: props.Values{"stop.codes": codes}, Services: &host{},
		})
		return response.Decision, err
	}
	for codes, want := range map[string]spi.Decision{"1001, 1002": spi.DecisionStop, "1001,1003": spi.DecisionContinue, "": spi.DecisionContinue} {
		if got, err := handle(codes); got != want || err != nil {
			t.Errorf("HandleError with stop.codes %q = %q, error %v, want %q", codes, got, err, want)
		}
	}
	_, err = handle("1001,two")
	want := &spi.Error{Code: spi.CodeInvalidProperties, Message: "stop.codes holds two, which is no number", Property: "stop.codes"}
	if diff := cmp.Diff(want, spi.AsError(err)); diff != "" {
		t.Errorf("HandleError with a word in stop.codes (-want +got):\n%s", diff)
	}
}

// journal is a log that says when it holds all wanted texts.
type journal struct {
	mu sync.Mutex

	text   bytes.Buffer
	wanted []string
	seen   chan struct{}
}

// Write adds to the journal.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text.Write(p)
	for len(j.wanted) > 0 && bytes.Contains(j.text.Bytes(), []byte(j.wanted[0])) {
		if j.wanted = j.wanted[1:]; len(j.wanted) == 0 {
			close(j.seen)
		}
	}
	return len(p), nil
}

// TestTheNodeOfThisFolder runs elasticjob.yaml until the items of the job have
// counted and the handler has stopped the other job.
func TestTheNodeOfThisFolder(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("elasticjob.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "elasticjob.yaml")
	changed := strings.NewReplacer("c-job.wasm", build(t), "every: 10s", "every: 2s", "limit: 1000000", "limit: 100000").Replace(string(text))
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	config, problems := elasticjob.LoadFile(file)
	if len(problems) > 0 {
		t.Fatalf("LoadFile(elasticjob.yaml) = %v, want no problems", problems)
	}
	config.DataDir = filepath.Join(dir, "data")
	if problems := elasticjob.Lint(t.Context(), config, true); len(problems) > 0 {
		t.Errorf("Lint(elasticjob.yaml) = %v, want no problems", problems)
	}
	j := &journal{wanted: []string{"stopping failing after code 1", `"4783 primes"`}, seen: make(chan struct{})}
	node, err := elasticjob.New(t.Context(), config, elasticjob.WithLogger(slog.New(slog.NewJSONHandler(j, nil))))
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(t.Context()); err != nil {
		t.Errorf("Start() = %v", err)
	}
	select {
	case <-j.seen:
	case <-time.After(time.Minute):
	}
	if err := node.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Errorf("Stop() = %v", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.wanted) > 0 {
		t.Errorf("the log of the node is\n%s\nwant %q in it", j.text.String(), j.wanted)
	}
}

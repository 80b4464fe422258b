package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// pluginPath is the plugin of testdata, built once for all tests.
var pluginPath string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) (code int) {
	if path := os.Getenv(hostVariable); path != "" {
		return runHost(path)
	}
	dir, err := os.MkdirTemp("", "process-test-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	pluginPath = filepath.Join(dir, "plugin")
	if out, err := exec.Command("go", "build", "-o", pluginPath, "./testdata/plugin").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the plugin: %v\n%s", err, out)
		return 1
	}
	before := descriptors()
	code = m.Run()
	if never := waitFor(func() bool { return len(leaked()) == 0 }); never {
		fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", strings.Join(leaked(), "\n\n"))
		code = 1
	}
	if never := waitFor(func() bool { return descriptors() <= before+2 }); never {
		fmt.Fprintf(os.Stderr, "%d descriptors are open, %d were before the tests\n", descriptors(), before)
		code = 1
	}
	if left := children(); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "processes left behind: %v\n", left)
		code = 1
	}
	return code
}

// leaked returns the stacks of goroutines that run code of this package, of
// go-plugin or of gRPC.
func leaked() []string {
	buf := make([]byte, 4<<20)
	stacks := strings.Split(string(buf[:goruntime.Stack(buf, true)]), "\n\n")
	return slices.DeleteFunc(stacks[1:], func(stack string) bool {
		return !strings.Contains(stack, "runtime/process.") && !strings.Contains(stack, "go-plugin") && !strings.Contains(stack, "google.golang.org/grpc")
	})
}

// descriptors counts the open ones of this process, where the system tells.
func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// children are the processes that this one has started and not waited for.
func children() []string {
	paths, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		return nil
	}
	var all []string
	for _, path := range paths {
		if text, err := os.ReadFile(path); err == nil {
			all = append(all, strings.Fields(string(text))...)
		}
	}
	return all
}

// waitFor gives a condition twenty seconds and reports whether it never held.
func waitFor(condition func() bool) (never bool) {
	for range 2000 {
		if condition() {
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
	return true
}

// isRunning reports whether a process exists and has not ended.
func isRunning(pid string) bool {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// journal is the log of a test.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// records returns what was logged with a message.
func (j *journal) records(message string) []map[string]any {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []map[string]any
	for line := range strings.Lines(j.text.String()) {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) == nil && record["msg"] == message {
			found = append(found, record)
		}
	}
	return found
}

// fixture is a host and its log.
type fixture struct {
	*Host
	log *journal
}

// newHost returns a host that gives programs the variables.
func newHost(t testing.TB, variables map[string]string, change ...func(*Config)) *fixture {
	t.Helper()
	log := &journal{}
	c := Config{
		LookupEnv:    func(name string) (string, bool) { value, ok := variables[name]; return value, ok },
		Logger:       slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		StartTimeout: time.Minute,
	}
	for _, f := range change {
		f(&c)
	}
	h := New(c)
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &fixture{Host: h, log: log}
}

// load loads the plugin of testdata with all variables granted.
func (f *fixture) load(t testing.TB, change ...func(*spi.LoadRequest)) *spi.Bundle {
	t.Helper()
	b, err := f.tryLoad(t, change...)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return b
}

func (f *fixture) tryLoad(t testing.TB, change ...func(*spi.LoadRequest)) (*spi.Bundle, error) {
	t.Helper()
	req := spi.LoadRequest{Path: pluginPath, Grants: spi.Grants{Env: []string{"MODE", "MARKER"}}}
	for _, c := range change {
		c(&req)
	}
	return f.Load(t.Context(), req)
}

// jobOf makes the job type of the plugin of testdata.
func jobOf(t testing.TB, b *spi.Bundle) spi.JobType {
	t.Helper()
	j, err := b.Plugins[0].JobType(t.Context(), props.Values{"size": "6"})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// recorder is the Services of a test.
type recorder struct {
	call func(ctx context.Context, op string, request []byte) ([]byte, error)

	mu      sync.Mutex
	records []spi.LogRecord
	logged  chan struct{} // closed at the first record, if it is there
}

var _ spi.Services = (*recorder)(nil)

func (r *recorder) Log(_ context.Context, record spi.LogRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, record)
	if r.logged != nil && len(r.records) == 1 {
		close(r.logged)
	}
}

func (r *recorder) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	if r.call == nil {
		return nil, spi.NewError(spi.CodeUnsupported, op+" is not offered")
	}
	return r.call(ctx, op, request)
}

// execute runs item 2 of 4 of the job with a parameter.
func execute(ctx context.Context, t testing.TB, j spi.JobType, parameter string, services ...*recorder) (string, *spi.Error) {
	t.Helper()
	r := &recorder{}
	if len(services) > 0 {
		r = services[0]
	}
	response, err := j.Execute(ctx, spi.ExecuteRequest{
		Services: r,
		Context: spi.ShardingContext{
			JobName: "orders", TaskID: "orders@-@1", ShardingTotalCount: 4, JobParameter: parameter, ShardingItem: 2, ShardingParameter: "two",
			RunID: "run-1", FireTime: time.Date(2026, 11, 21, 10, 0, 0, 1_500_000, time.UTC), ExecutionSource: spi.SourceNormal, Attempt: 1,
			FencingToken: 1 << 60, Checkpoint: []byte{},
		},
	})
	var failed *spi.Error
	if err != nil && !errors.As(err, &failed) {
		t.Errorf("Execute(%q) = %v, want an *spi.Error", parameter, err)
	}
	return response.Message, failed
}

// codeOf is the code of an error, 0 without one.
func codeOf(err error) spi.Code {
	if e, ok := errors.AsType[*spi.Error](err); ok && e != nil {
		return e.Code
	}
	return 0
}

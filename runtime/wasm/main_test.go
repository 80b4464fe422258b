package wasm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// fixture is what all tests share: one host, so that every guest is compiled
// once, and the guests that have to be built.
type fixture struct {
	dir  string
	host *Host

	goReactor func() (string, error)
	goCommand func() (string, error)
	cGuests   func() (string, error) // the directory of guest.wasm and kinds.wasm
}

var shared fixture

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "wasm-test-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	variables := map[string]string{"REGION": "north", "EMPTY": ""}
	host, err := New(context.Background(), Config{
		CacheDir:  filepath.Join(dir, "cache"),
		LookupEnv: func(name string) (string, bool) { value, ok := variables[name]; return value, ok },
	})
	if err != nil {
		panic(err)
	}
	shared = fixture{
		dir: dir, host: host,
		goReactor: sync.OnceValues(func() (string, error) { return buildGo(dir, "goreactor", "-buildmode=c-shared") }),
		goCommand: sync.OnceValues(func() (string, error) { return buildGo(dir, "gocommand") }),
		cGuests:   sync.OnceValues(func() (string, error) { return buildC(filepath.Join(dir, "c")) }),
	}
	code = m.Run()
	if err := host.Close(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "closing the host:", err)
		code = 1
	}
	if never := waitFor(func() bool { return len(leaked()) == 0 }); never {
		fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", strings.Join(leaked(), "\n\n"))
		code = 1
	}
	return code
}

// leaked returns the stacks of other goroutines that run code of this package
// or of the engine.
func leaked() []string {
	buf := make([]byte, 1<<20)
	stacks := strings.Split(string(buf[:goruntime.Stack(buf, true)]), "\n\n")
	return slices.DeleteFunc(stacks[1:], func(stack string) bool {
		return !strings.Contains(stack, "runtime/wasm.") && !strings.Contains(stack, "wazero")
	})
}

// waitFor gives a condition ten seconds and reports whether it never held.
func waitFor(condition func() bool) (never bool) {
	for range 1000 {
		if condition() {
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
	return true
}

func buildGo(dir, name string, flags ...string) (string, error) {
	out := filepath.Join(dir, name+".wasm")
	args := append(append([]string{"build", "-trimpath", "-o", out}, flags...), "./testdata/"+name)
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, text)
	}
	return out, nil
}

// buildC builds the guests in C into dir. It returns dir, or "" where no clang
// with a sysroot for wasm32-wasi is installed.
func buildC(dir string) (string, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	for _, compiler := range []string{"clang-19", "clang"} {
		if _, err := exec.LookPath(compiler); err != nil {
			continue
		}
		probe := exec.Command(compiler, "--target=wasm32-wasi", "-mexec-model=reactor", "-x", "c", "-", "-o", filepath.Join(dir, "probe.wasm"))
		probe.Stdin = strings.NewReader("#include <stdlib.h>\n__attribute__((export_name(\"f\"))) void *f(void) { return malloc(1); }\n")
		if probe.Run() != nil {
			continue
		}
		for _, name := range []string{"guest", "kinds"} {
			out, source := filepath.Join(dir, name+".wasm"), "testdata/"+name+".c"
			if text, err := exec.Command(compiler, "--target=wasm32-wasi", "-O2", "-mexec-model=reactor", "-Wl,--strip-debug", "-o", out, source).CombinedOutput(); err != nil {
				return "", fmt.Errorf("building %s: %w\n%s", source, err, text)
			}
		}
		return dir, nil
	}
	return "", nil
}

// cGuests are the guests in C of that name: the one in the repository and, where
// clang is installed, the one built from the source now.
func cGuests(t testing.TB, name string) map[string]string {
	t.Helper()
	guests := map[string]string{"prebuilt": filepath.Join("testdata", name)}
	built, err := shared.cGuests()
	if err != nil {
		t.Fatal(err)
	}
	if built != "" {
		guests["built"] = filepath.Join(built, name)
	}
	return guests
}

const (
	prebuilt      = "testdata/guest.wasm"
	prebuiltKinds = "testdata/kinds.wasm"
)

func goReactor(t testing.TB) string {
	t.Helper()
	return built(t, shared.goReactor)
}

func goCommand(t testing.TB) string {
	t.Helper()
	return built(t, shared.goCommand)
}

func built(t testing.TB, build func() (string, error)) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// recorder is the Services of a test.
type recorder struct {
	call func(ctx context.Context, op string, request []byte) ([]byte, error)

	mu      sync.Mutex
	records []spi.LogRecord
}

var _ spi.Services = (*recorder)(nil)

func (r *recorder) Log(_ context.Context, record spi.LogRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, record)
}

func (r *recorder) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	if r.call == nil {
		return nil, spi.NewError(spi.CodeUnsupported, op+" is not offered")
	}
	return r.call(ctx, op, request)
}

// result is what came of one call.
type result struct {
	message string
	err     *spi.Error
	records []spi.LogRecord
}

func (r result) lines() []string {
	var lines []string
	for _, record := range r.records {
		lines = append(lines, record.Line)
	}
	return lines
}

// String says what the call returned.
func (r result) String() string {
	if r.err == nil {
		return strconv.Quote(r.message)
	}
	return r.err.Code.String() + ": " + r.err.Error()
}

// code is the code of the error, 0 without one.
func (r result) code() spi.Code {
	if r.err == nil {
		return 0
	}
	return r.err.Code
}

// newJob loads a module for elasticJobType WASM on the shared host.
func newJob(t testing.TB, path string, change ...func(*spi.LoadRequest)) spi.JobType {
	t.Helper()
	return newJobOn(t, shared.host, path, change...)
}

func newJobOn(t testing.TB, h *Host, path string, change ...func(*spi.LoadRequest)) spi.JobType {
	t.Helper()
	plugin := h.JobType(func(module string) spi.LoadRequest {
		req := spi.LoadRequest{Path: module}
		for _, f := range change {
			f(&req)
		}
		return req
	})
	j, err := plugin.JobType(t.Context(), props.Values{PropModule: path})
	if err != nil {
		t.Fatalf("JobType(%s): %v", path, err)
	}
	t.Cleanup(func() {
		if err := j.(spi.Closer).Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return j
}

// execute runs item 2 of 4 of the job with a parameter.
func execute(ctx context.Context, t testing.TB, j spi.JobType, parameter string, services ...*recorder) result {
	t.Helper()
	r := &recorder{}
	if len(services) > 0 {
		r = services[0]
	}
	response, err := j.Execute(ctx, spi.ExecuteRequest{
		Services: r,
		Context: spi.ShardingContext{
			JobName: "orders", TaskID: "orders@-@1", ShardingTotalCount: 4, JobParameter: parameter, ShardingItem: 2, ShardingParameter: "two",
			RunID: "run-1", FireTime: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), ExecutionSource: spi.SourceNormal, Attempt: 1, FencingToken: 1 << 60,
		},
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	got := result{message: response.Message, records: slices.Clone(r.records)}
	if err != nil && !errors.As(err, &got.err) {
		t.Errorf("Execute(%q) = %v, want an *spi.Error", parameter, err)
	}
	return got
}

func pooledIsolation(req *spi.LoadRequest) { req.Isolation = spi.IsolationPooled }

func newHost(t testing.TB, c Config) *Host {
	t.Helper()
	h, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return h
}

func writeFile(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "module.wasm")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readAll(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

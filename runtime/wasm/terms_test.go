package wasm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

func TestEnvironment(t *testing.T) {
	t.Parallel()
	granted := func(r *spi.LoadRequest) { r.Grants.Env = []string{"REGION", "EMPTY", "NOWHERE"} }
	j := newJob(t, prebuilt, granted)
	for name, want := range map[string]string{"REGION": "north", "EMPTY": "", "NOWHERE": "not set", "HOME": "not set", "PATH": "not set"} {
		if got := execute(t.Context(), t, j, "env:"+name); got.message != want || got.err != nil {
			t.Errorf("getenv(%s) = %q, %v, want %q", name, got.message, got.err, want)
		}
	}
	if got := execute(t.Context(), t, newJob(t, prebuilt), "env:REGION"); got.message != "not set" {
		t.Errorf("getenv(REGION) without a grant = %q, want that it is not set", got.message)
	}
	command := newJob(t, goCommand(t), granted)
	if lines := execute(t.Context(), t, command, "grants").lines(); len(lines) != 1 || !strings.HasPrefix(lines[0], `["REGION=north" "EMPTY="] `) {
		t.Errorf("environment of a command = %q, want the two variables", lines)
	}
	// Go reads the environment when its run-time library starts, which is in
	// _initialize.
	reactor := goJob(t, func(r *spi.LoadRequest) { granted(r) })
	if got := execute(t.Context(), t, reactor, "environment"); got.message != "REGION=north EMPTY=" {
		t.Errorf("environment of a Go reactor = %q, %v, want the two variables", got.message, got.err)
	}
}

// goJob loads the job type of the reactor in Go.
func goJob(t *testing.T, change ...func(*spi.LoadRequest)) spi.JobType {
	t.Helper()
	j, err := loadBundle(t, goReactor(t), change...).Plugins[0].JobType(t.Context(), props.Values{})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func loadBundle(t *testing.T, path string, change ...func(*spi.LoadRequest)) *spi.Bundle {
	t.Helper()
	req := spi.LoadRequest{Path: path}
	for _, f := range change {
		f(&req)
	}
	bundle, err := shared.host.Load(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bundle.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return bundle
}

func TestFrozenClock(t *testing.T) {
	t.Parallel()
	frozen := func(r *spi.LoadRequest) { r.Grants.Clock = spi.ClockFrozen }
	want := time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	j := newJob(t, prebuilt, frozen)
	if got := execute(t.Context(), t, j, "time"); got.message != strconv.FormatInt(want, 10) {
		t.Errorf("time = %q, %v, want %d", got.message, got.err, want)
	}
	if got := execute(t.Context(), t, j, "nap"); got.message != "1 0" {
		t.Errorf("nap = %q, %v, want that monotonic time goes on and the year is 2022", got.message, got.err)
	}
	if lines := execute(t.Context(), t, newJob(t, goCommand(t), frozen), "grants").lines(); len(lines) != 1 || !strings.Contains(lines[0], strconv.FormatInt(want, 10)) {
		t.Errorf("time of a command = %q, want %d", lines, want)
	}
}

func TestSeededRandom(t *testing.T) {
	t.Parallel()
	seeded := func(r *spi.LoadRequest) { r.Grants.Random = spi.RandomSeeded }
	// The first numbers of the generator: they may never change, because
	// modules compute with them.
	const want = "9638291b976ffef7"
	for name, j := range map[string]spi.JobType{
		"fresh": newJob(t, prebuilt, seeded), "pooled": newJob(t, prebuilt, seeded, pooledIsolation),
	} {
		for range 3 {
			if got := execute(t.Context(), t, j, "random"); got.message != want {
				t.Errorf("%s: random = %q, %v, want %s", name, got.message, got.err, want)
			}
		}
	}
	command := newJob(t, goCommand(t), seeded)
	last := regexp.MustCompile(`[0-9a-f]{16}$`)
	first, second := execute(t.Context(), t, command, "grants").lines(), execute(t.Context(), t, command, "grants").lines()
	if len(first) != 1 || len(second) != 1 || last.FindString(first[0]) == "" || last.FindString(first[0]) != last.FindString(second[0]) {
		t.Errorf("random numbers of a command = %q and %q, want the same", first, second)
	}
}

func TestFilesOfGoGuests(t *testing.T) {
	t.Parallel()
	data, _ := tree(t)
	granted := granting(spi.Dir{Path: data, Guest: "/data", Writable: true})
	want := []string{
		"content <nil>", "[- deep] <nil>", "<nil>", "<nil>", "open /data/out: Operation not permitted",
		"denied: out leads out of the granted directory /data",
	}
	got := execute(t.Context(), t, newJob(t, goCommand(t), granted), "files")
	if diff := cmp.Diff(map[string]int{}, difference(want, got.lines())); diff != "" {
		t.Errorf("files = %q, %v (-want +got):\n%s", got.lines(), got.err, diff)
	}
	if content, err := os.ReadFile(filepath.Join(data, "sub", "new")); err != nil || string(content) != "newer" {
		t.Errorf("the file of the guest holds %q, %v, want newer", content, err)
	}
	if got := execute(t.Context(), t, goJob(t, granted), "read"); got.message != "content <nil>" {
		t.Errorf("read = %q, %v, want content", got.message, got.err)
	}
}

// difference counts the lines that are in one list and not in the other.
func difference(want, got []string) map[string]int {
	count := map[string]int{}
	for _, line := range want {
		count[line]--
	}
	for _, line := range got {
		count[line]++
	}
	for line, n := range count {
		if n == 0 {
			delete(count, line)
		}
	}
	return count
}

// TestNothingIsGrantedToDescribe has a describe that looks for its grants.
func TestNothingIsGrantedToDescribe(t *testing.T) {
	t.Parallel()
	data, _ := tree(t)
	// It returns 100 times the errno of fd_prestat_get(3) plus the number of
	// variables; 8 is EBADF.
	a := describing("12345678", 0)
	a.wasi = []wasiFunction{{name: "fd_prestat_get", params: []byte{typeI32, typeI32}}, {name: "environ_sizes_get", params: []byte{typeI32, typeI32}}}
	a.functions[1].code = append(callOn(fnFirst+1, 0, 4), slices.Concat(
		[]byte{0x1a},                                        // drop
		callOn(fnFirst, 3, 16), constant(100), []byte{0x6c}, // i32.mul
		constant(0), []byte{0x28, 2, 0}, // i32.load of the number of variables
		[]byte{0x6a}, // i32.add
	)...)
	_, err := shared.host.Load(t.Context(), spi.LoadRequest{Path: writeFile(t, a.bytes()), Grants: spi.Grants{
		Env: []string{"REGION"}, Dirs: []spi.Dir{{Path: data, Guest: "/data"}},
	}})
	if err == nil || !strings.Contains(err.Error(), "returned 800,") {
		t.Errorf("Load = %v, want that there is no directory and no variable", err)
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	j := newJob(t, prebuilt, func(r *spi.LoadRequest) { r.Limits.Concurrency = 2 })
	entered, leave := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	running, most := 0, 0
	blocking := &recorder{call: func(context.Context, string, []byte) ([]byte, error) {
		mu.Lock()
		running++
		most = max(most, running)
		mu.Unlock()
		entered <- struct{}{}
		<-leave
		mu.Lock()
		running--
		mu.Unlock()
		return nil, nil
	}}
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			if got := execute(t.Context(), t, j, "host:x", blocking); got.err != nil {
				t.Errorf("Execute = %v, want success", got.err)
			}
		})
	}
	<-entered
	<-entered
	// With both places taken, a call waits until its context ends.
	for cause, want := range map[error]spi.Code{spi.ErrTimeout: spi.CodeTimeout, spi.ErrStopping: spi.CodeCancelled, spi.ErrLeaseLost: spi.CodeLeaseLost} {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(5*time.Millisecond, func() { cancel(cause) })
		got := execute(ctx, t, j, "say:never")
		if got.code() != want || !strings.Contains(got.err.Message, "waited for one of 2 others") {
			t.Errorf("Execute = %v %v, want %v that says what it waited for", got.code(), got.err, want)
		}
	}
	go func() {
		for range 4 {
			<-entered
		}
	}()
	close(leave)
	group.Wait()
	if most != 2 {
		t.Errorf("%d calls ran at once, want 2", most)
	}
}

func TestWaitingDoesNotCountAsRunning(t *testing.T) {
	t.Parallel()
	j := newJob(t, prebuilt, func(r *spi.LoadRequest) { r.Limits = spi.Limits{Concurrency: 1, Timeout: time.Second} })
	entered, leave := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		execute(t.Context(), t, j, "host:x", &recorder{call: func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			close(entered)
			<-ctx.Done() // its own limit
			<-leave
			return nil, context.Cause(ctx)
		}})
	})
	<-entered
	group.Go(func() {
		if got := execute(t.Context(), t, j, "say:hello"); got.message != "hello" {
			t.Errorf("Execute = %q, %v, want hello", got.message, got.err)
		}
	})
	time.AfterFunc(1500*time.Millisecond, func() { close(leave) })
	group.Wait()
}

// TestHostCallEndsWithItsContext has an operation that only its context ends.
func TestHostCallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for cause, want := range map[error]spi.Code{spi.ErrTimeout: spi.CodeTimeout, spi.ErrStopping: spi.CodeCancelled} {
		ctx, cancel := context.WithCancelCause(t.Context())
		got := execute(ctx, t, newJob(t, prebuilt), "until stop", &recorder{call: func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			cancel(cause)
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}})
		if got.code() != want {
			t.Errorf("Execute = %v, want %v", got.err, want)
		}
	}
	j := newJob(t, prebuilt, func(r *spi.LoadRequest) { r.Limits.Timeout = 50 * time.Millisecond })
	var seen error
	got := execute(t.Context(), t, j, "until stop", &recorder{call: func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		<-ctx.Done()
		seen = context.Cause(ctx)
		return nil, seen
	}})
	if got.code() != spi.CodeTimeout || !errors.Is(seen, spi.ErrTimeout) {
		t.Errorf("Execute = %v with the cause %v, want the timeout of the load to reach the operation", got.err, seen)
	}
}

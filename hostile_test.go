package elasticjob_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/spi"
)

// tally is a log handler that counts what items do and keeps no lines.
type tally struct {
	mu sync.Mutex
	// finished counts the ends of items by job and code, output the lines of
	// plugins by job.
	finished map[string]map[int64]int
	output   map[string]int
	started  map[string][]string // runs by job
	misfired map[string]int
}

func newTally() *tally {
	return &tally{finished: map[string]map[int64]int{}, output: map[string]int{}, started: map[string][]string{}, misfired: map[string]int{}}
}

var _ slog.Handler = (*tally)(nil)

func (*tally) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l *tally) WithAttrs([]slog.Attr) slog.Handler             { return l }
func (l *tally) WithGroup(string) slog.Handler                  { return l }

func (l *tally) Handle(_ context.Context, r slog.Record) error {
	attrs := map[string]slog.Value{}
	r.Attrs(func(a slog.Attr) bool { attrs[a.Key] = a.Value; return true })
	job := attrs["job"].String()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch r.Message {
	case "item finished":
		if l.finished[job] == nil {
			l.finished[job] = map[int64]int{}
		}
		l.finished[job][attrs["code"].Int64()]++
	case "item started":
		if job == "good" {
			l.started[job] = append(l.started[job], attrs["run"].String()+" "+attrs["source"].String())
		}
	case "item misfired":
		l.misfired[job]++
	case "plugin output":
		l.output[job]++
	}
	return nil
}

// calls is how many hostile items have ended.
func (l *tally) calls() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for job, byCode := range l.finished {
		if job == "good" {
			continue
		}
		for _, count := range byCode {
			n += count
		}
	}
	return n
}

// holds is what this process has of memory, goroutines and descriptors.
func holds() (heap uint64, goroutines, descriptors int) {
	for range 3 {
		debug.FreeOSMemory()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil { // on Linux
		descriptors = len(entries)
	}
	return stats.HeapAlloc, runtime.NumGoroutine(), descriptors
}

// TestTenThousandHostileItemsHarmNobody lets a node run modules that do all that
// they should not, beside a job that must not notice. It is not parallel: it
// measures the whole process.
func TestTenThousandHostileItemsHarmNobody(t *testing.T) { //nolint:paralleltest // see above
	const calls = 10_000
	hostile := map[string]spi.Code{
		"trap": spi.CodeTrap, "abort": spi.CodeTrap, "exit:0": spi.CodeTrap, "exit:3": spi.CodeTrap, "dive": spi.CodeTrap,
		"return:2": spi.CodeProtocol, "raw:[": spi.CodeProtocol, "bad error": spi.CodeProtocol, "error:6": spi.CodeProtocol,
		"pointer:input_read": spi.CodeProtocol, "pointer:output_write": spi.CodeProtocol, "pointer:log": spi.CodeProtocol,
		"pointer:host_call.op": spi.CodeProtocol, "pointer:host_call.request": spi.CodeProtocol, "pointer:host_read": spi.CodeProtocol,
		"huge output": spi.CodeLimit, "loop": spi.CodeTimeout, "bomb": spi.CodeLimit, "flood": 0, "host:http.request": 0,
	}
	var file strings.Builder
	fmt.Fprintf(&file, "elasticjob:\n  plugins:\n    - wasm: %q\n      limits: {memory: 8MiB}\n  jobs:\n", absolute(t, guest))
	file.WriteString("    good: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 1}\n")
	want := map[string]spi.Code{}
	flooding := ""
	for do, code := range hostile {
		name := "hostile" + fmt.Sprint(len(want))
		want[name] = code
		items, more := 40, ""
		switch do {
		case "loop":
			items, more = 2, ", timeout: 5ms"
		case "bomb", "huge output":
			items = 2
		case "flood":
			items, flooding = 2, name
		}
		fmt.Fprintf(&file, "    %s: {elasticJobType: WASM, every: 1s, shardingTotalCount: %d, jobParameter: %q, jobErrorHandlerType: IGNORE, props: {wasm.module: %q}%s}\n",
			name, items, do, absolute(t, guest), more)
	}
	c := load(t, file.String())
	_, goroutines, descriptors := holds()
	log := newTally()
	node, err := elasticjob.New(t.Context(), c, elasticjob.WithLogger(slog.New(log)))
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	await := func(n int) {
		deadline := time.Now().Add(5 * time.Minute)
		for log.calls() < n {
			if time.Now().After(deadline) {
				t.Fatalf("after five minutes %d hostile items have ended, want %d", log.calls(), n)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	// What is kept for good, such as compiled modules, is there after some calls.
	await(calls / 5)
	early, _, _ := holds()
	await(calls)
	late, _, _ := holds()
	if late > early+(32<<20) {
		t.Errorf("the heap has %d MiB after %d hostile items, and %d after a fifth of them", late>>20, log.calls(), early>>20)
	}
	if err := node.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
	if _, nowRunning, nowOpen := holds(); nowRunning > goroutines+8 || nowOpen > descriptors+8 {
		t.Errorf("%d goroutines and %d descriptors are left, before there were %d and %d", nowRunning, nowOpen, goroutines, descriptors)
	}

	log.mu.Lock()
	defer log.mu.Unlock()
	for name, code := range want {
		byCode := log.finished[name]
		for got, count := range byCode {
			// Items that the stop cuts off are cancelled.
			if got != int64(code) && got != int64(spi.CodeCancelled) {
				t.Errorf("%d items of %s ended with code %v, want %v", count, name, spi.Code(got), code)
			}
		}
		if byCode[int64(code)] == 0 {
			t.Errorf("no item of %s ended with code %v: %v", name, code, byCode)
		}
	}
	good := log.started["good"]
	for i, run := range good {
		if !strings.HasSuffix(run, " "+string(spi.SourceNormal)) {
			t.Errorf("run %d of the good job is %s, want it at its instant", i, run)
		}
	}
	if log.misfired["good"] != 0 || len(good) < 5 {
		t.Errorf("the good job started %d times and missed %d records of fires, want many and none", len(good), log.misfired["good"])
	}
	if log.output[flooding] == 0 {
		t.Errorf("nothing in the log is of the job that floods it")
	}
	t.Logf("the good job started %d times beside the hostile ones", len(good))
}

package process

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

func TestCrashInACall(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	j := jobOf(t, h.load(t))
	for parameter, want := range map[string]string{"exit": "signal: killed", "crash": "panic: in the background"} {
		// Calls that run beside it are gone as well.
		waiting := &recorder{logged: make(chan struct{})}
		other := make(chan error)
		go func() {
			_, err := execute(t.Context(), t, j, "hang", waiting)
			other <- err
		}()
		<-waiting.logged
		_, err := execute(t.Context(), t, j, parameter)
		if err == nil || err.Code != spi.CodePluginGone || !err.Retryable || !errors.Is(err, spi.ErrPluginGone) || !strings.Contains(err.Message, want) {
			t.Errorf("Execute(%s) = %v, want %v with %q", parameter, err, spi.CodePluginGone, want)
		}
		if err := <-other; codeOf(err) != spi.CodePluginGone {
			t.Errorf("the call beside %s = %v, want %v", parameter, err, spi.CodePluginGone)
		}
		if got, err := execute(t.Context(), t, j, "say:again"); err != nil || got != "again" {
			t.Errorf("Execute after %s = %q, %v", parameter, got, err)
		}
	}
	if got := h.log.records("plugin ended"); len(got) != 2 || got[0]["plugin"] != pluginPath {
		t.Errorf("records of ends: %v", got)
	}
}

// TestOverrun has a call that does not end when it should, beside others.
func TestOverrun(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil, func(c *Config) { c.Grace = 100 * time.Millisecond })
	j := jobOf(t, h.load(t))
	child, err := execute(t.Context(), t, j, "child")
	if err != nil || !isRunning(child) {
		t.Fatalf("Execute(child) = %q, %v", child, err)
	}
	for parameter, cause := range map[string]error{"hang": spi.ErrLeaseLost, "stop": spi.ErrTimeout} {
		pid, err := execute(t.Context(), t, j, "pid")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		r := &recorder{logged: make(chan struct{})}
		done := make(chan *spi.Error)
		go func() {
			_, err := execute(ctx, t, j, parameter, r)
			done <- err
		}()
		if parameter == "hang" {
			<-r.logged
		} else if waitFor(func() bool { return state(pid) == "T" }) {
			t.Error("the plugin did not stop")
		}
		cancel(cause)
		err = <-done
		if want := spi.AsError(cause).Code; err == nil || err.Code != want || !strings.Contains(err.Message, "its process was ended") {
			t.Errorf("the call that overran (%s) = %v, want %v", parameter, err, want)
		}
		if waitFor(func() bool { return !isRunning(child) }) {
			t.Errorf("the child of the plugin still runs")
		}
		if got, err := execute(t.Context(), t, j, "say:again"); err != nil || got != "again" {
			t.Errorf("Execute afterwards = %q, %v", got, err)
		}
	}
}

func TestHealthChecks(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil, func(c *Config) { c.HealthInterval = 100 * time.Millisecond })
	j := jobOf(t, h.load(t))
	_, err := execute(t.Context(), t, j, "stop")
	if err == nil || err.Code != spi.CodePluginGone || !strings.Contains(err.Message, "health checks") {
		t.Errorf("a call of a stopped process = %v, want %v", err, spi.CodePluginGone)
	}
	if got, err := execute(t.Context(), t, j, "say:again"); err != nil || got != "again" {
		t.Errorf("Execute afterwards = %q, %v", got, err)
	}
}

func TestCrashLoop(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	j := jobOf(t, h.load(t))
	// As if it had crashed a few times already.
	for p := range h.programs {
		p.mu.Lock()
		p.backoff.failures = breakAfter - 1
		p.mu.Unlock()
	}
	if _, err := execute(t.Context(), t, j, "crash"); codeOf(err) != spi.CodePluginGone {
		t.Errorf("Execute(crash) = %v", err)
	}
	begin := time.Now()
	_, err := execute(t.Context(), t, j, "say:x")
	if err == nil || err.Code != spi.CodePluginGone || !strings.Contains(err.Message, "failed 5 times in a row") || !strings.Contains(err.Message, "panic: in the background") {
		t.Errorf("Execute in a crash loop = %v, want %v with what it said last", err, spi.CodePluginGone)
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("it took %v to fail", took)
	}
	if waitFor(func() bool { return len(h.log.records("plugin keeps ending")) == 1 }) {
		t.Error("nothing was logged")
	}
	if waitFor(func() bool { got, _ := execute(t.Context(), t, j, "say:back"); return got == "back" }) {
		t.Error("it never came back")
	}
}

// TestLastWords has a program write and end itself at once: what it wrote is in
// the log and in the error.
func TestLastWords(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	j := jobOf(t, h.load(t))
	for range 2 {
		_, err := execute(t.Context(), t, j, "last words")
		if err == nil || err.Code != spi.CodePluginGone || !strings.Contains(err.Message, "exit status 9") || !strings.Contains(err.Message, "no licence found") {
			t.Errorf("Execute(last words) = %v, want %v with what it said last", err, spi.CodePluginGone)
		}
	}
	said := map[string]int{}
	for _, r := range h.log.records("plugin output") {
		said[r["stream"].(string)+": "+r["line"].(string)]++
	}
	if said["stdout: it was nice here"] != 2 || said["stderr: no licence found"] != 2 {
		t.Errorf("output in the log = %v, want both lines twice", said)
	}
}

// TestStartedOnce lets many calls find no process.
func TestStartedOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	j := jobOf(t, h.load(t))
	if _, err := execute(t.Context(), t, j, "exit"); codeOf(err) != spi.CodePluginGone {
		t.Errorf("Execute(exit) = %v", err)
	}
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if _, err := execute(t.Context(), t, j, "say:x"); err != nil {
				t.Errorf("Execute = %v", err)
			}
		})
	}
	group.Wait()
	if got := h.log.records("plugin started"); len(got) != 2 {
		t.Errorf("%d starts, want 2", len(got))
	}
}

func TestCloseWaitsForCalls(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	b := h.load(t)
	j := jobOf(t, b)
	ctx, cancel := context.WithCancelCause(t.Context())
	r := &recorder{logged: make(chan struct{}), call: func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}}
	done := make(chan error)
	go func() {
		_, err := execute(ctx, t, j, "wait", r)
		done <- err
	}()
	// The call is known to the host once another one, begun later, has ended.
	if _, err := execute(t.Context(), t, j, "log:x", r); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- b.Close(context.Background()) }()
	if waitFor(func() bool {
		_, err := execute(t.Context(), t, j, "say:x")
		return codeOf(err) == spi.CodeUnavailable
	}) {
		t.Error("calls are still taken")
	}
	select {
	case err := <-closed:
		t.Errorf("Close = %v while a call runs", err)
	default:
	}
	cancel(spi.ErrStopping)
	if err := <-done; codeOf(err) != spi.CodeCancelled {
		t.Errorf("the running call = %v, want %v", err, spi.CodeCancelled)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close = %v", err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Errorf("Close again = %v", err)
	}
	if got := h.log.records("plugin ended"); len(got) != 0 {
		t.Errorf("a process that was asked to end is logged: %v", got)
	}
}

func TestCloseGivesUpOnCalls(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	b := h.load(t)
	j := jobOf(t, b)
	pid, err := execute(t.Context(), t, j, "pid")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{logged: make(chan struct{})}
	done := make(chan error)
	go func() {
		_, err := execute(t.Context(), t, j, "hang", r)
		done <- err
	}()
	<-r.logged
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := h.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close while a call hangs = %v, want %v", err, context.DeadlineExceeded)
	}
	if err := <-done; codeOf(err) != spi.CodePluginGone {
		t.Errorf("the call = %v, want %v", err, spi.CodePluginGone)
	}
	if isRunning(pid) {
		t.Error("the process still runs after Close")
	}
	if _, err := h.tryLoad(t); codeOf(err) != spi.CodeUnavailable {
		t.Errorf("Load after Close = %v, want %v", err, spi.CodeUnavailable)
	}
}

// TestTerminationIgnored closes a plugin that neither ends when it is asked nor
// on a signal.
func TestTerminationIgnored(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{"MODE": "stay"}, func(c *Config) { c.ExitGrace = 200 * time.Millisecond })
	b := h.load(t)
	pid, err := execute(t.Context(), t, jobOf(t, b), "pid")
	if err != nil || !isRunning(pid) {
		t.Fatalf("Execute(pid) = %q, %v", pid, err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Errorf("Close = %v", err)
	}
	if isRunning(pid) {
		t.Error("the process still runs after Close")
	}
}

// TestCloseOfAStoppedProcess closes a plugin that answers nothing.
func TestCloseOfAStoppedProcess(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil, func(c *Config) { c.ExitGrace = 200 * time.Millisecond })
	b := h.load(t)
	pid, failed := execute(t.Context(), t, jobOf(t, b), "pid")
	if failed != nil {
		t.Fatal(failed)
	}
	if err := exec.CommandContext(t.Context(), "kill", "-STOP", pid).Run(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Errorf("Close = %v", err)
	}
	if isRunning(pid) {
		t.Error("the process still runs after Close")
	}
}

func TestOutputFlood(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	b := h.load(t)
	if _, err := execute(t.Context(), t, jobOf(t, b), "stderr:5000"); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	size, told := 0, false
	for _, r := range h.log.records("plugin output") {
		line := r["line"].(string)
		size += len(line)
		told = told || strings.Contains(line, "bytes of output dropped")
		if r["plugin"] != pluginPath {
			t.Errorf("a record of %v", r["plugin"])
		}
	}
	if !told || size == 0 || size > 4<<20 {
		t.Errorf("%d bytes were logged, and told that more was dropped: %v", size, told)
	}
}

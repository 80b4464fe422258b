package process

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// TestEndlessOutput has a plugin that never stops writing, beside its calls.
func TestEndlessOutput(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{"MODE": "chatty"})
	b := h.load(t)
	j := jobOf(t, b)
	for range 100 {
		if got, err := execute(t.Context(), t, j, "anything"); err != nil || got != "well" {
			t.Fatalf("Execute = %q, %v, want well", got, err)
		}
	}
	begin := time.Now()
	if err := b.Close(t.Context()); err != nil {
		t.Errorf("Close = %v", err)
	}
	size := 0
	for _, r := range h.log.records("plugin output") {
		size += len(r["line"].(string))
	}
	// Since the start it may have run for a while, in which more is let through.
	if most := 2*outputBurst + outputRate*int(time.Since(begin)/time.Second+60); size == 0 || size > most {
		t.Errorf("%d bytes were logged, want some, and at most %d", size, most)
	}
}

// TestHugeResponse has a plugin that sends more than a message may have. The
// sdk would not.
func TestHugeResponse(t *testing.T) {
	t.Parallel()
	j := jobOf(t, newHost(t, map[string]string{"MODE": "huge"}).load(t))
	for range 3 {
		if _, err := execute(t.Context(), t, j, "anything"); codeOf(err) != spi.CodeLimit {
			t.Errorf("Execute = %v, want %v", err, spi.CodeLimit)
		}
	}
}

// TestEndWithAnHeir has a plugin that ends in a call, while something that it
// has started holds its output open.
func TestEndWithAnHeir(t *testing.T) {
	t.Parallel()
	j := jobOf(t, newHost(t, nil).load(t))
	r := &recorder{}
	begin := time.Now()
	_, err := execute(t.Context(), t, j, "child and exit", r)
	if err == nil || err.Code != spi.CodePluginGone || !strings.Contains(err.Message, "exit status 7") {
		t.Errorf("Execute = %v, want %v with exit status 7", err, spi.CodePluginGone)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("it took %v to notice the end", took)
	}
	heir := r.lines()
	if len(heir) != 1 {
		t.Fatalf("the plugin has logged %q", heir)
	}
	if waitFor(func() bool { return !isRunning(heir[0]) }) {
		t.Errorf("process %s outlives the plugin that has started it", heir[0])
	}
	if got, err := execute(t.Context(), t, j, "say:again"); err != nil || got != "again" {
		t.Errorf("Execute afterwards = %q, %v", got, err)
	}
}

// TestManyHostileCalls has plugins misbehave in every way, many times, while
// another one works. What is left behind is counted by TestMain.
func TestManyHostileCalls(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil, func(c *Config) { c.Grace = 10 * time.Millisecond })
	good := jobOf(t, h.load(t))
	done := make(chan struct{})
	for _, command := range []string{"panic", "exit", "crash", "child and exit", "hang", "huge:20000000", "log flood", "fail:12", "stderr:10"} {
		bad := jobOf(t, h.load(t, func(r *spi.LoadRequest) { r.Limits.Timeout = 5 * time.Second }))
		go func() {
			for range 30 {
				limited, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, spi.ErrTimeout)
				_, _ = execute(limited, t, bad, command) // whatever it is
				cancel()
			}
			done <- struct{}{}
		}()
	}
	for left := 9; left > 0; {
		select {
		case <-done:
			left--
		default:
			if got, err := execute(t.Context(), t, good, "say:well"); err != nil || got != "well" {
				t.Errorf("Execute beside hostile plugins = %q, %v, want well", got, err)
			}
		}
	}
}

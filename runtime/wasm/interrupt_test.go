package wasm

import (
	"context"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// runaways are all the ways of not returning.
func runaways(t *testing.T) map[string]struct{ path, parameter string } {
	t.Helper()
	guests := map[string]struct{ path, parameter string }{}
	for _, parameter := range []string{"loop", "fib", "tower", "sleep", "until stop"} {
		guests["C "+parameter] = struct{ path, parameter string }{prebuilt, parameter}
	}
	for _, parameter := range []string{"loop", "sleep"} {
		guests["Go command "+parameter] = struct{ path, parameter string }{goCommand(t), parameter}
	}
	log := reactor(endlessly(callOn(fnLog, 0, 0, 1)...))
	guests["log"] = struct{ path, parameter string }{writeFile(t, log.bytes()), ""}
	start := reactor(constant(0))
	start.functions = append(start.functions, function{typ: typeVoid, code: append(endlessly(), 0x1a)})
	start.start = fnFirst + 1
	guests["start section"] = struct{ path, parameter string }{writeFile(t, start.bytes()), ""}
	initialize := reactor(constant(0))
	initialize.functions = append(initialize.functions, function{export: "_initialize", typ: typeVoid, code: append(endlessly(), 0x1a)})
	guests["_initialize"] = struct{ path, parameter string }{writeFile(t, initialize.bytes()), ""}
	fill := reactor(endlessly(slices.Concat(constant(0), constant(7), constant(64<<20), []byte{0xfc, 0x0b, 0})...)) // memory.fill
	fill.memory = append([]byte{0}, leb(1024)...)
	guests["memory.fill"] = struct{ path, parameter string }{writeFile(t, fill.bytes()), ""}
	return guests
}

// TestRunawaysDie is not parallel: it measures how late they die.
func TestRunawaysDie(t *testing.T) {
	for name, guest := range runaways(t) {
		t.Run(name, func(t *testing.T) {
			j := newJob(t, guest.path, func(r *spi.LoadRequest) { r.Isolation = spi.IsolationPooled })
			soonest := time.Hour
			for _, c := range []struct {
				cause error
				want  spi.Code
			}{
				{spi.ErrTimeout, spi.CodeTimeout},
				{spi.ErrLeaseLost, spi.CodeLeaseLost},
				{spi.ErrStopping, spi.CodeCancelled},
				{spi.ErrDisabled, spi.CodeCancelled},
				{nil, spi.CodeCancelled},
			} {
				ctx, cancel := context.WithCancelCause(t.Context())
				var cancelled time.Time
				timer := time.AfterFunc(30*time.Millisecond, func() {
					cancelled = time.Now()
					cancel(c.cause)
				})
				got := execute(ctx, t, j, guest.parameter, &recorder{call: func(context.Context, string, []byte) ([]byte, error) {
					return []byte(`{"stop":false}`), nil
				}})
				timer.Stop()
				if got.code() != c.want {
					t.Errorf("Execute cancelled with %v = %v %v, want %v", c.cause, got.code(), got.err, c.want)
				}
				soonest = min(soonest, time.Since(cancelled))
			}
			// The soonest of them, because this machine may be busy otherwise.
			if soonest > lateness {
				t.Errorf("Execute returned %v after its context ended, want within %v", soonest, lateness)
			}
		})
	}
}

func TestTimeoutOfTheLoad(t *testing.T) {
	t.Parallel()
	j := newJob(t, prebuilt, func(r *spi.LoadRequest) { r.Limits.Timeout = 50 * time.Millisecond })
	if got := execute(t.Context(), t, j, "loop"); got.code() != spi.CodeTimeout {
		t.Errorf("Execute = %v, want %v", got.err, spi.CodeTimeout)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := execute(ctx, t, newJob(t, prebuilt), "loop"); got.code() != spi.CodeTimeout {
		t.Errorf("Execute with a deadline = %v, want %v", got.err, spi.CodeTimeout)
	}
	<-ctx.Done()
	if got := execute(ctx, t, newJob(t, prebuilt), "say:hello"); got.code() != spi.CodeTimeout {
		t.Errorf("Execute after the deadline = %v, want %v", got.err, spi.CodeTimeout)
	}
}

// TestRunawaysDoNotStallTheProcess runs more endless guests than there are
// cores: other calls must go on, and so must the garbage collector, which
// waits for code that cannot be preempted.
func TestRunawaysDoNotStallTheProcess(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	var group sync.WaitGroup
	for _, parameter := range []string{"loop", "fib", "tower", "loop"} {
		j := newJob(t, prebuilt)
		group.Go(func() {
			if got := execute(ctx, t, j, parameter); got.code() != spi.CodeCancelled {
				t.Errorf("Execute(%s) = %v, want %v", parameter, got.err, spi.CodeCancelled)
			}
		})
	}
	j := newJob(t, prebuilt)
	for range 20 {
		if got := execute(t.Context(), t, j, "say:alive"); got.message != "alive" {
			t.Errorf("Execute = %q, %v, want alive", got.message, got.err)
		}
	}
	debug.FreeOSMemory() // a whole collection, which stops the world
	cancel(spi.ErrStopping)
	group.Wait()
}

// TestStartingIsBounded has modules without any timeout that do not get as far
// as the call.
func TestStartingIsBounded(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	h.programs.startTimeout = 50 * time.Millisecond
	for name, guest := range runaways(t) {
		if name != "start section" && name != "_initialize" {
			continue
		}
		j := newJobOn(t, h, guest.path)
		got := execute(t.Context(), t, j, guest.parameter)
		if want := "starting the module takes longer than 50ms"; got.code() != spi.CodeTimeout || got.err.Message != want {
			t.Errorf("Execute with an endless %s = %v %v, want %v %q", name, got.code(), got.err, spi.CodeTimeout, want)
		}
	}
}

func TestStartingBoundsNoCall(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	h.programs.startTimeout = 5 * time.Second
	j := newJobOn(t, h, prebuilt)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, spi.ErrTimeout)
	defer cancel()
	if got := execute(ctx, t, j, "sleep"); got.code() != spi.CodeTimeout || got.err.Message != "the module was stopped: timeout exceeded" {
		t.Errorf("Execute(sleep) = %v %v, want a timeout of the call", got.code(), got.err)
	}
}

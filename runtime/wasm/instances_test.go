package wasm

import (
	"context"
	"fmt"
	goruntime "runtime"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/elasticjob-go/elasticjob/spi"
)

func TestFreshKeepsNothing(t *testing.T) {
	t.Parallel()
	j := newJob(t, prebuilt)
	for range 3 {
		if got := execute(t.Context(), t, j, "count"); got.message != "1" {
			t.Errorf("count = %q, want 1 in every instance", got.message)
		}
	}
}

func TestPooledIsUsedAgainUnlessSomethingWentWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		parameter string
		again     bool
	}{
		{"say:hello", true},
		{"error:1", true},
		{"error:1234", true},
		{"flood", true},
		{"error:6", false}, // a code that guests may not send
		{"bad error", false},
		{"raw:hello", false},
		{"return:2", false},
		{"trap", false},
		{"exit:0", false},
		{"dive", false},
		{"pointer:log", false},
		{"huge output", false},
		{"careful", false}, // keeps too much memory
	} {
		t.Run(c.parameter, func(t *testing.T) {
			t.Parallel()
			j := newJob(t, prebuilt, pooledIsolation)
			for i := range 2 {
				if got := execute(t.Context(), t, j, "count"); got.message != strconv.Itoa(i+1) {
					t.Fatalf("count = %q, want %d", got.message, i+1)
				}
			}
			execute(t.Context(), t, j, c.parameter)
			want := "1"
			if c.again {
				want = "4"
			}
			if got := execute(t.Context(), t, j, "count"); got.message != want {
				t.Errorf("count after %q = %q, want %s", c.parameter, got.message, want)
			}
		})
	}
}

func TestPooledIsDiscardedAfterAnInterruption(t *testing.T) {
	t.Parallel()
	j := newJob(t, prebuilt, pooledIsolation)
	ctx, cancel := context.WithCancel(t.Context())
	got := execute(ctx, t, j, "until stop", &recorder{call: func(context.Context, string, []byte) ([]byte, error) {
		cancel()
		return []byte(`{"stop":false}`), nil
	}})
	if got.code() != spi.CodeCancelled {
		t.Errorf("Execute = %v, want %v", got.err, spi.CodeCancelled)
	}
	if got := execute(t.Context(), t, j, "count"); got.message != "1" {
		t.Errorf("count = %q, want a new instance", got.message)
	}
}

// TestPooledIsDiscardedWhenTheContextEndedMeanwhile has guests that are faster
// than the interruption: they return in good order, but too late.
func TestPooledIsDiscardedWhenTheContextEndedMeanwhile(t *testing.T) {
	t.Parallel()
	j := newJob(t, prebuilt, pooledIsolation)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		execute(ctx, t, j, "host:x", &recorder{call: func(context.Context, string, []byte) ([]byte, error) {
			cancel()
			return nil, nil
		}})
		if got := execute(t.Context(), t, j, "count"); got.message != "1" {
			t.Fatalf("count = %q, %v, want a new instance", got.message, got.err)
		}
		if got := execute(t.Context(), t, j, "trap"); got.code() != spi.CodeTrap {
			t.Fatalf("Execute(trap) = %v, want %v", got.err, spi.CodeTrap)
		}
	}
}

func TestPooledForgetsTheRefusedGrow(t *testing.T) {
	t.Parallel()
	// memory.grow beyond the limit, dropped; traps on the second call, which
	// is told by a global... of memory: the byte at 0.
	grow := slices.Concat(constant(60000), []byte{0x40, 0, 0x1a})
	trapIfSet := slices.Concat(constant(0), []byte{0x2d, 0, 0, 0x04, emptyType, 0, opEnd}) // i32.load8_u
	set := slices.Concat(constant(0), constant(1), []byte{0x3a, 0, 0})                     // i32.store8
	j := newJob(t, writeFile(t, reactor(trapIfSet, grow, set, constant(0)).bytes()), pooledIsolation)
	if got := execute(t.Context(), t, j, ""); got.err != nil {
		t.Fatalf("Execute = %v, want success", got.err)
	}
	if got := execute(t.Context(), t, j, ""); got.code() != spi.CodeTrap {
		t.Errorf("Execute = %v, want %v: the refused grow was in another call", got.err, spi.CodeTrap)
	}
	trapAfter := reactor(grow, []byte{0})
	if got := execute(t.Context(), t, newJob(t, writeFile(t, trapAfter.bytes())), ""); got.code() != spi.CodeLimit {
		t.Errorf("Execute = %v, want %v after a refused grow", got.err, spi.CodeLimit)
	}
}

// TestHammer calls fresh and pooled jobs of both guests at once, good calls
// between bad ones, while loads come and go.
func TestHammer(t *testing.T) {
	t.Parallel()
	jobs := []spi.JobType{newJob(t, prebuilt), newJob(t, prebuilt, pooledIsolation)}
	bad := map[string]spi.Code{"trap": spi.CodeTrap, "exit:1": spi.CodeTrap, "error:13": spi.CodeUnavailable, "pointer:log": spi.CodeProtocol}
	names := []string{"trap", "exit:1", "error:13", "pointer:log"}
	var group sync.WaitGroup
	for p := range 4 * goruntime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := range 50 {
				j := jobs[(p+i)%len(jobs)]
				want := fmt.Sprintf("%d-%d", p, i)
				if got := execute(t.Context(), t, j, "say:"+want); got.message != want {
					t.Errorf("Execute = %q, %v, want %q", got.message, got.err, want)
				}
				name := names[i%len(names)]
				if got := execute(t.Context(), t, j, name); got.code() != bad[name] {
					t.Errorf("Execute(%s) = %v, want %v", name, got.err, bad[name])
				}
			}
		})
	}
	for range 4 {
		group.Go(func() {
			for range 10 {
				b, err := shared.host.Load(t.Context(), spi.LoadRequest{Path: prebuilt})
				if err != nil {
					t.Errorf("Load = %v", err)
					return
				}
				if err := b.Close(t.Context()); err != nil {
					t.Errorf("Close = %v", err)
				}
			}
		})
	}
	group.Wait()
}

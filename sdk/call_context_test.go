package sdk

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// stopAfter is a host that wants a stop from the n-th question on, and counts
// the questions.
func stopAfter(n int, reason string) (host *recorder, asked *int) {
	asked = new(int)
	return &recorder{call: func(op string, request []byte) ([]byte, error) {
		if op != spi.OpShouldStop || string(request) != "{}" {
			return nil, spi.NewError(spi.CodeUnsupported, op)
		}
		*asked++
		return wire.AppendShouldStopResponse(nil, *asked >= n, reason), nil
	}}, asked
}

func TestErrAsksTheHostNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		host, asked := stopAfter(3, "stopping")
		ctx, end := newCallContext(time.Time{}, host)
		defer end()
		for range 250 {
			if err := ctx.Err(); err != nil {
				t.Fatalf("Err() = %v after %d questions, want nil before the third", err, *asked)
			}
			time.Sleep(time.Millisecond)
		}
		if *asked != 2 {
			t.Errorf("asked %d times in 250 ms, want 2", *asked)
		}
		time.Sleep(askInterval)
		if err := ctx.Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("Err() = %v, want %v", err, context.Canceled)
		}
		if cause := context.Cause(ctx); !errors.Is(cause, spi.ErrStopping) {
			t.Errorf("Cause() = %v, want %v", cause, spi.ErrStopping)
		}
		time.Sleep(time.Second)
		if _ = ctx.Err(); *asked != 3 {
			t.Errorf("asked %d times, want no question after the stop", *asked)
		}
	})
}

func TestDoneAsksInTheBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		host, _ := stopAfter(5, "lease-lost")
		ctx, end := newCallContext(time.Time{}, host)
		defer end()
		began := time.Now()
		derived, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		<-derived.Done()
		if took := time.Since(began); took != 5*askInterval {
			t.Errorf("Done() after %v, want %v", took, 5*askInterval)
		}
		if cause := context.Cause(derived); !errors.Is(cause, spi.ErrLeaseLost) {
			t.Errorf("Cause() = %v, want %v", cause, spi.ErrLeaseLost)
		}
	})
}

func TestReasonsAreCauses(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]error{
		"stopping": spi.ErrStopping, "timeout": spi.ErrTimeout, "lease-lost": spi.ErrLeaseLost, "disabled": spi.ErrDisabled,
	} {
		host, _ := stopAfter(1, reason)
		if got := shouldStop(t.Context(), host); !errors.Is(got, want) {
			t.Errorf("shouldStop for %s = %v, want %v", reason, got, want)
		}
	}
	host, _ := stopAfter(1, "reshard")
	if got := shouldStop(t.Context(), host); got == nil || got.Error() != "stopping: reshard" {
		t.Errorf("shouldStop for reshard = %v, want it to name the reason", got)
	}
}

func TestAHostWithoutAnAnswerDoesNotStopTheCall(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(string, []byte) ([]byte, error){
		"error":    nil,
		"nonsense": func(string, []byte) ([]byte, error) { return []byte("yes"), nil },
	} {
		if got := shouldStop(t.Context(), &recorder{call: call}); got != nil {
			t.Errorf("shouldStop with %s = %v, want nil", name, got)
		}
	}
}

func TestTheDeadlineEndsTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deadline := time.Now().Add(time.Minute)
		ctx, end := newCallContext(deadline, &recorder{})
		defer end()
		if got, ok := ctx.Deadline(); !ok || !got.Equal(deadline) {
			t.Errorf("Deadline() = %v, %t, want %v", got, ok, deadline)
		}
		<-ctx.Done()
		if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Err() = %v, want %v", err, context.DeadlineExceeded)
		}
		if cause := context.Cause(ctx); !errors.Is(cause, spi.ErrTimeout) {
			t.Errorf("Cause() = %v, want %v", cause, spi.ErrTimeout)
		}
	})
}

// The bubble fails when the timer or its function outlives the call. The
// question in flight at the end is one of the interleavings.
func TestEndWaitsForTheBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var answering atomic.Bool
		ctx, end := newCallContext(time.Time{}, &recorder{call: func(string, []byte) ([]byte, error) {
			answering.Store(true)
			time.Sleep(time.Second)
			answering.Store(false)
			return wire.AppendShouldStopResponse(nil, false, ""), nil
		}})
		done := ctx.Done()
		time.Sleep(askInterval + time.Millisecond)
		if !answering.Load() {
			t.Fatal("no question is in flight")
		}
		end()
		if answering.Load() {
			t.Error("end returned while the host still answers")
		}
		<-done
	})
}

package execution

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestUsageIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var u usage
		if err := u.wait(t.Context()); err != nil {
			t.Errorf("wait() of nothing = %v, want nil", err)
		}
		u.add()
		u.add()
		bounded, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := u.wait(bounded); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("wait() of two = %v, want %v", err, context.DeadlineExceeded)
		}
		var waiters sync.WaitGroup
		for range 3 {
			waiters.Go(func() {
				if err := u.wait(t.Context()); err != nil {
					t.Errorf("wait() = %v, want nil", err)
				}
			})
		}
		u.done()
		synctest.Wait()
		u.done()
		waiters.Wait()
	})
}

// TestUsageHammer uses and waits from many goroutines: no waiter is forgotten.
func TestUsageHammer(t *testing.T) {
	t.Parallel()
	var u usage
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 2000 {
				u.add()
				u.done()
			}
		})
		all.Go(func() {
			for range 200 {
				if err := u.wait(t.Context()); err != nil {
					t.Errorf("wait() = %v, want nil", err)
				}
			}
		})
	}
	all.Wait()
}

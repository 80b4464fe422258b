package execution

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestFifoKeepsItsOrderAcrossReuse(t *testing.T) {
	t.Parallel()
	var f fifo
	var want, got []int
	next := 0
	for round := range 50 {
		for range 100 + round {
			f.push(task{item: next})
			want = append(want, next)
			next++
		}
		for range 99 + round/2 {
			if taken, ok := f.pop(); ok {
				got = append(got, taken.item)
			}
		}
	}
	for _, rest := range f.takeAll() {
		got = append(got, rest.item)
	}
	if !slices.Equal(got, want) {
		t.Errorf("took %d tasks of %d, or in another order", len(got), len(want))
	}
	if _, ok := f.pop(); ok {
		t.Error("pop() of an empty queue = true")
	}
}

func TestWorkersRunAsManyAsTheyMayInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most, tasks = 4, 20
		var mu sync.Mutex
		var begun []int
		running, peak := 0, 0
		release := make(chan struct{})
		w := newWorkers(most, func(one task) {
			mu.Lock()
			begun = append(begun, one.item)
			running++
			peak = max(peak, running)
			mu.Unlock()
			<-release
			mu.Lock()
			running--
			mu.Unlock()
		})
		var want []int
		for i := range tasks {
			w.submit(task{item: i})
			want = append(want, i)
		}
		synctest.Wait()
		mu.Lock()
		if running != most {
			t.Errorf("%d tasks run, want %d", running, most)
		}
		mu.Unlock()
		for range tasks {
			// One at a time: what begins next is the one that waited longest.
			release <- struct{}{}
			synctest.Wait()
		}
		if err := w.running.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		slices.Sort(begun[:most]) // these began together
		if !slices.Equal(begun, want) {
			t.Errorf("tasks began in the order %v, want %v", begun, want)
		}
		if peak != most {
			t.Errorf("%d tasks ran at once, want %d", peak, most)
		}
	})
}

func TestWorkersOutliveCodeThatEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var performed atomic.Int32
		w := newWorkers(2, func(one task) {
			performed.Add(1)
			if one.item%2 == 0 {
				runtime.Goexit()
			}
		})
		for i := range 50 {
			w.submit(task{item: i})
		}
		if err := w.running.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := performed.Load(); got != 50 {
			t.Errorf("%d tasks performed, want 50", got)
		}
	})
}

// TestWorkersHammer submits from many goroutines: nothing is left behind.
func TestWorkersHammer(t *testing.T) {
	t.Parallel()
	var performed atomic.Int32
	w := newWorkers(3, func(task) { performed.Add(1) })
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 2000 {
				w.submit(task{})
			}
		})
	}
	callers.Wait()
	if err := w.running.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := performed.Load(); got != 16_000 {
		t.Errorf("%d tasks performed, want 16000", got)
	}
}

func TestBatcherSendsTogetherWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		var goroutines sync.WaitGroup
		b := batcher[int, int]{
			send: func(_ context.Context, requests []int) ([]int, error) {
				sizes = append(sizes, len(requests))
				time.Sleep(time.Second)
				replies := make([]int, len(requests))
				for i, r := range requests {
					replies[i] = 10 * r
				}
				return replies, nil
			},
			spawn: goroutines.Go,
		}
		var callers sync.WaitGroup
		for i := range 20 {
			callers.Go(func() {
				if got, err := b.do(t.Context(), i); err != nil || got != 10*i {
					t.Errorf("do(%d) = %d, %v, want %d", i, got, err, 10*i)
				}
			})
			if i == 0 {
				synctest.Wait() // the first is on its way alone
			}
		}
		callers.Wait()
		goroutines.Wait()
		if want := []int{1, 19}; !slices.Equal(sizes, want) {
			t.Errorf("batches of %v, want %v", sizes, want)
		}
	})
}

func TestBatcherGivesTheErrorToWhatHasNoAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		errAway := errors.New("away")
		var goroutines, callers sync.WaitGroup
		var answered, failed atomic.Int32
		b := batcher[int, int]{
			send: func(_ context.Context, requests []int) ([]int, error) {
				time.Sleep(time.Second)
				return requests[:len(requests)/2], errAway
			},
			spawn: goroutines.Go,
		}
		for i := range 11 {
			callers.Go(func() {
				switch _, err := b.do(t.Context(), i); {
				case err == nil:
					answered.Add(1)
				case errors.Is(err, errAway):
					failed.Add(1)
				default:
					t.Errorf("do(%d) = %v, want %v", i, err, errAway)
				}
			})
			if i == 0 {
				synctest.Wait()
			}
		}
		callers.Wait()
		goroutines.Wait()
		if answered.Load() != 5 || failed.Load() != 6 {
			t.Errorf("%d answered and %d failed, want 5 and 6", answered.Load(), failed.Load())
		}
	})
}

// TestBatcherHammer sends from many goroutines at once.
func TestBatcherHammer(t *testing.T) {
	t.Parallel()
	var goroutines, callers sync.WaitGroup
	b := batcher[int, int]{
		send:  func(_ context.Context, requests []int) ([]int, error) { return requests, nil },
		spawn: goroutines.Go,
	}
	for caller := range 16 {
		callers.Go(func() {
			for i := range 500 {
				want := caller*1000 + i
				if got, err := b.do(t.Context(), want); err != nil || got != want {
					t.Errorf("do(%d) = %d, %v, want it back", want, got, err)
				}
			}
		})
	}
	callers.Wait()
	goroutines.Wait()
}

func TestGapsBecomeOneRecordEach(t *testing.T) {
	t.Parallel()
	at := func(second int) time.Time { return time.Unix(int64(second), 0).UTC() }
	open := make(gaps)
	for second := 1; second <= 3; second++ {
		if ended, ok := open.add("orders", 3, ReasonStillRunning, 1, at(second), at(second)); ok {
			t.Errorf("add() ended %+v, want the gap to grow", ended)
		}
	}
	want := ItemMisfired{Job: "orders", Item: 3, Reason: ReasonStillRunning, Count: 3, From: at(1), To: at(3)}
	if got, ok := open.add("orders", 3, ReasonDisabled, 2, at(4), at(5)); !ok || got != want {
		t.Errorf("add(another reason) ended %+v, %v, want %+v", got, ok, want)
	}
	want = ItemMisfired{Job: "orders", Item: 3, Reason: ReasonDisabled, Count: 2, From: at(4), To: at(5)}
	if got, ok := open.close("orders", 3); !ok || got != want {
		t.Errorf("close() = %+v, %v, want %+v", got, ok, want)
	}
	if _, ok := open.close("orders", 3); ok {
		t.Error("a gap was closed twice")
	}
}

func TestPoolSize(t *testing.T) {
	t.Parallel()
	for pool, want := range map[string]int{"SINGLE_THREAD": 1, "7": 7} {
		if got, err := PoolSize(pool); err != nil || got != want {
			t.Errorf("PoolSize(%s) = %d, %v, want %d", pool, got, err, want)
		}
	}
	if got, err := PoolSize("CPU"); err != nil || got < 2 || got%2 != 0 {
		t.Errorf("PoolSize(CPU) = %d, %v, want twice the cores", got, err)
	}
	for _, pool := range []string{"", "0", "-1", "cpu", "1.5"} {
		if got, err := PoolSize(pool); err == nil {
			t.Errorf("PoolSize(%q) = %d, want an error", pool, got)
		}
	}
}

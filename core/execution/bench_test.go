package execution

import (
	"context"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/schedule"
	"github.com/elasticjob-go/elasticjob/spi"
)

// TestAnItemTakesFewAllocations holds what running one item costs: its run and the
// name of its task.
//
// Not parallel: AllocsPerRun counts those of the whole process.
func TestAnItemTakesFewAllocations(t *testing.T) {
	r := newRig(t, slog.New(slog.DiscardHandler))
	j := r.host("orders", 1, &Spec{JobType: code(func(context.Context, spi.ExecuteRequest) error { return nil })})
	s, all, at := r.Partition(0).session.Load(), registry.AllItems(1), time.Now()
	got := testing.AllocsPerRun(200, func() {
		one := newRun(j, s, j.spec, at, spi.SourceNormal, 1, all, false)
		j.occupy(0, one)
		j.active++
		one.perform(0, 1)
	})
	if got > 3 {
		t.Errorf("running an item takes %v allocations, want at most 3", got)
	}
}

// BenchmarkFire is one firing of an unmonitored job, from the timer until its
// items are free again.
func BenchmarkFire(b *testing.B) {
	for name, items := range map[string]int{"1 item": 1, "3 items": 3} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, slog.New(slog.DiscardHandler))
			j := r.host("orders", items, &Spec{JobType: code(func(context.Context, spi.ExecuteRequest) error { return nil })})
			// Instants never repeat, and fires come far faster than the schedule.
			at := time.Now().Add(time.Hour)
			b.ReportAllocs()
			for b.Loop() {
				at = at.Add(time.Millisecond)
				j.Fire(schedule.Due{Instant: at, Now: at})
				for j.busyItems() > 0 {
					runtime.Gosched()
				}
			}
		})
	}
}

// busyItems is how many items run or wait for room.
func (j *Job) busyItems() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.busy
}

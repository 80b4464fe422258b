package process

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkCall is one call of a job that does nothing. Besides the mean it
// reports the middle and the 99th percentile.
func BenchmarkCall(b *testing.B) {
	j := jobOf(b, newHost(b, nil).load(b))
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		if _, err := execute(b.Context(), b, j, "say:x"); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkStart is a load: copying, starting, describing, and the end.
func BenchmarkStart(b *testing.B) {
	h := newHost(b, nil)
	for b.Loop() {
		if err := h.load(b).Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRestart is the end of a process in a call, and the next call.
func BenchmarkRestart(b *testing.B) {
	h := newHost(b, nil)
	j := jobOf(b, h.load(b))
	for b.Loop() {
		for p := range h.programs {
			p.mu.Lock()
			p.backoff = backoff{}
			p.mu.Unlock()
		}
		_, _ = execute(b.Context(), b, j, "exit")
		if _, err := execute(b.Context(), b, j, "say:x"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParallelCalls has many calls at once.
func BenchmarkParallelCalls(b *testing.B) {
	j := jobOf(b, newHost(b, nil).load(b))
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := execute(b.Context(), b, j, "say:x"); err != nil {
				b.Error(err)
			}
		}
	})
}

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

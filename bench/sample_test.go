package main

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for _, tt := range []struct {
		name string
		list []time.Duration
		q    float64
		want time.Duration
	}{
		{"median", hundred, 0.5, 50},
		{"p99", hundred, 0.99, 99},
		{"p999 of few is the greatest", hundred, 0.999, 100},
		{"greatest", hundred, 1, 100},
		{"least", hundred, 0, 1},
		{"one", hundred[:1], 0.5, 1},
		{"none", nil, 0.5, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := quantile(tt.list, tt.q); got != tt.want {
				t.Errorf("quantile(%d durations, %v) = %v, want %v", len(tt.list), tt.q, got, tt.want)
			}
		})
	}
}

func TestSamplesOfManyGoroutines(t *testing.T) {
	t.Parallel()
	s := newSamples(100)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 20 {
				s.add(time.Duration(20*worker + i))
			}
		})
	}
	wg.Wait()
	sorted := s.sorted()
	if len(sorted) != 100 || s.count() != 100 {
		t.Errorf("samples kept %d of 160 durations and counted %d, want the 100 that fit", len(sorted), s.count())
	}
	for i := 1; i < len(sorted); i++ {
		if sorted[i] <= sorted[i-1] {
			t.Fatalf("sample %d is %v after %v, want each kept once, in order", i, sorted[i], sorted[i-1])
		}
	}
}

func TestSortedIsEmptyAtFirst(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]time.Duration{}, newSamples(3).sorted()); diff != "" {
		t.Errorf("sorted() of nothing differs (-want +got):\n%s", diff)
	}
}

package main

import (
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// samples keeps durations of many goroutines up to a fixed number, so that
// taking one neither locks nor allocates. What comes after is dropped.
type samples struct {
	places atomic.Int64
	kept   atomic.Int64
	list   []atomic.Int64 // a duration and one, 0 while it is not written
}

func newSamples(most int) *samples { return &samples{list: make([]atomic.Int64, most)} }

// add keeps a duration; a negative one, as of a clock that was set back,
// counts as none.
func (s *samples) add(d time.Duration) {
	if i := s.places.Add(1) - 1; i < int64(len(s.list)) {
		s.list[i].Store(int64(max(d, 0)) + 1)
		s.kept.Add(1)
	}
}

// count returns how many are kept.
func (s *samples) count() int64 { return s.kept.Load() }

// sorted returns what is kept so far.
func (s *samples) sorted() []time.Duration {
	list := make([]time.Duration, 0, s.kept.Load())
	for i := range s.list {
		if d := s.list[i].Load(); d > 0 {
			list = append(list, time.Duration(d-1))
		}
	}
	slices.Sort(list)
	return list
}

// quantile returns the smallest duration that at least the share q of the
// sorted list does not exceed, 0 of an empty list.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

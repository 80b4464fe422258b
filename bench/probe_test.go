package main

import (
	"testing"
	"time"
)

// listed is a schedule of given instants.
type listed []time.Time

func (l listed) Next(after time.Time) time.Time {
	for _, at := range l {
		if at.After(after) {
			return at
		}
	}
	return time.Time{}
}

func TestProbeCountsEachSecondOfTheWindowOnce(t *testing.T) {
	t.Parallel()
	from := time.Now().Add(-10 * time.Second).Truncate(time.Second)
	w := &window{seconds: 3, late: newSamples(10)}
	p := &probe{window: w}
	second := func(n int) int64 { return from.Add(time.Duration(n) * time.Second).UnixNano() }

	p.fired(second(0)) // the window is not open yet
	w.from.Store(from.UnixNano())
	for _, n := range []int{-1, 0, 2, 2, 3} {
		p.fired(second(n))
	}
	if got := w.late.count(); got != 2 {
		t.Errorf("fires seen = %d, want those of seconds 0 and 2", got)
	}
	if got := w.twice.Load(); got != 1 {
		t.Errorf("fires seen twice = %d, want that of second 2", got)
	}
	if late := w.late.sorted()[0]; late < 8*time.Second {
		t.Errorf("least lateness = %v, want the 8 s since second 2 at least", late)
	}
}

func TestTrackedRunsBelongToTheirInstants(t *testing.T) {
	t.Parallel()
	past := time.Now().Add(-10 * time.Second).Truncate(time.Second)
	instants := listed{past, past.Add(time.Second), past.Add(2 * time.Second)}
	w := &window{seconds: 60, late: newSamples(10)}
	w.from.Store(past.UnixNano())
	tr := &tracked{schedule: instants, probe: &probe{window: w}}

	tr.Next(past.Add(-time.Second))
	tr.Next(past) // asked before the first run, as both libraries do
	tr.run()
	if got, want := tr.probe.seen.Load(), uint64(0b01); got != want {
		t.Errorf("seconds seen after the first run = %b, want %b", got, want)
	}
	tr.run()
	if got, want := tr.probe.seen.Load(), uint64(0b11); got != want {
		t.Errorf("seconds seen after the second run = %b, want %b", got, want)
	}
}

func TestTrackedLeavesOutWhatTheLibrarySkips(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	w := &window{seconds: 60, late: newSamples(10)}
	w.from.Store(now.Add(-5 * time.Second).UnixNano())
	coming := now.Add(2 * time.Second)
	tr := &tracked{schedule: listed{now.Add(-2 * time.Second), coming}, probe: &probe{window: w}, skipsPast: true}

	skipped := tr.Next(now.Add(-5 * time.Second))
	tr.Next(skipped)
	tr.run()
	if got, want := tr.probe.seen.Load(), uint64(1)<<7; got != want {
		t.Errorf("seconds seen = %b, want %b: the run is that of %v", got, want, coming)
	}
}

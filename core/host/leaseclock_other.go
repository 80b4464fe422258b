//go:build !linux

package host

// newLeaseClock returns the best clock that is at hand.
func newLeaseClock() leaseClock { return newSteadyClock() }

package host

import "time"

// leaseClock tells how long it is since some moment before the node was made.
type leaseClock func() time.Duration

// newSteadyClock returns a clock that follows the faster one of the monotonic
// clock, which may stand still while the machine is suspended, and the wall
// clock, which somebody may set back: by it a lease may end too early, and never
// too late.
func newSteadyClock() leaseClock {
	begin := time.Now()
	return func() time.Duration {
		now := time.Now()
		return max(now.Sub(begin), now.Round(0).Sub(begin.Round(0)))
	}
}

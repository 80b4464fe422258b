package host

import (
	"time"

	"golang.org/x/sys/unix"
)

// newLeaseClock returns a clock that counts the time in which the machine is
// suspended: Go's monotonic clock stands still meanwhile, and a lease does not.
func newLeaseClock() leaseClock {
	steady := newSteadyClock()
	return func() time.Duration {
		var t unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
			return steady()
		}
		return time.Duration(t.Nano())
	}
}

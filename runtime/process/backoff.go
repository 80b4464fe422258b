package process

import "time"

// When a program is started again. The first failure costs nothing, because it
// may have been the fault of one call.
const (
	firstDelay = 200 * time.Millisecond
	maxDelay   = time.Minute
	// breakAfter is how many failures in a row make calls fail at once instead
	// of waiting for a short delay.
	breakAfter = 5
	// stableAfter is how long a process must have run for its end to be the
	// first failure again.
	stableAfter = 30 * time.Second
	// healthMisses is how many health checks may fail in a row.
	healthMisses = 2
)

// backoff counts the failures of a program in a row.
type backoff struct {
	failures int
	retryAt  time.Time
	last     string // how it failed last
}

// fail counts an end of a process that had run for uptime.
func (b *backoff) fail(now time.Time, how string, uptime time.Duration) {
	if uptime >= stableAfter {
		b.failures = 0
	}
	b.failures++
	b.last = how
	delay := time.Duration(0)
	if b.failures > 1 {
		delay = maxDelay
		if doublings := b.failures - 2; doublings < 16 {
			delay = min(maxDelay, firstDelay<<doublings)
		}
	}
	b.retryAt = now.Add(delay)
}

// left is how long no start is made.
func (b *backoff) left(now time.Time) time.Duration { return max(0, b.retryAt.Sub(now)) }

// broken reports whether calls fail at once while no start is made.
func (b *backoff) broken() bool { return b.failures >= breakAfter }

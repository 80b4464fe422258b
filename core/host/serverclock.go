package host

import (
	"sync"
	"sync/atomic"
	"time"
)

// serverClock tells the time of the registry's server, so that all nodes name
// the same instants whatever their own clocks say. It runs by the clock of leases
// and not by the one that somebody may set: a step forward would make instants due
// that are still to come, and once begun they are decided for everybody. It is safe
// for concurrent use.
type serverClock struct {
	offset  atomic.Int64     // nanoseconds that the server is ahead of local
	wall    func() time.Time // the clock of this machine that may be set
	elapsed leaseClock
	origin  time.Time // what wall has shown when elapsed was zero

	mu      sync.Mutex
	samples [clockSamples]clockSample
	next    int
}

// clockSample is what one round trip told: the server's clock was read somewhere
// within it.
type clockSample struct {
	trip   time.Duration // zero: none yet
	offset time.Duration
}

// clockSamples is how many round trips are remembered. The shortest of them
// bounds the error by half of itself, as in Cristian's algorithm (1989).
const clockSamples = 16

// clockDrift is how far apart two clocks may drift while a sample is remembered,
// some minutes at most.
const clockDrift = 20 * time.Millisecond

// newServerClock returns a clock that has not observed the server yet. wall is the
// system's if it is nil.
func newServerClock(wall func() time.Time, elapsed leaseClock) *serverClock {
	if wall == nil {
		wall = time.Now
	}
	return &serverClock{wall: wall, elapsed: elapsed, origin: wall().Round(0).Add(-elapsed())}
}

// now returns the server's time.
func (c *serverClock) now() time.Time { return c.local().Add(time.Duration(c.offset.Load())) }

// local returns the time of this machine, whatever its clock was set to since.
func (c *serverClock) local() time.Time {
	if c == nil {
		return time.Now()
	}
	return c.origin.Add(c.elapsed())
}

// observe takes a reading of the server's clock, to the millisecond, that was
// made between sent and received.
func (c *serverClock) observe(server, sent, received time.Time) {
	trip := max(received.Sub(sent), 1)
	// A reading is cut to the millisecond: half of one is what is missing.
	offset := server.Add(500 * time.Microsecond).Sub(sent.Add(trip / 2).Round(0))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.samples[c.next] = clockSample{trip, offset}
	c.next = (c.next + 1) % clockSamples
	best := clockSample{trip, offset}
	for i, s := range c.samples {
		switch {
		case s.trip == 0:
		case (s.offset - offset).Abs() > (s.trip+trip)/2+clockDrift:
			// Both cannot be true: somebody has set a clock since.
			c.samples[i] = clockSample{}
		case s.trip < best.trip:
			best = s
		}
	}
	c.offset.Store(int64(best.offset))
}

// difference returns how far the server is ahead of what this machine's clock shows.
func (c *serverClock) difference() time.Duration { return c.now().Sub(c.wall().Round(0)) }

package cron

import (
	"math/bits"
	"time"

	"github.com/robfig/cron/v3"
)

const (
	secondsPerMinute = 60
	secondsPerHour   = 60 * secondsPerMinute
	secondsPerDay    = 24 * secondsPerHour
)

// An Expression is a parsed Quartz cron expression together with the time zone
// it is read in. It is immutable and safe for concurrent use. Only Parse makes
// useful ones: the zero value never fires.
type Expression struct {
	text string
	loc  *time.Location

	// Sets of values; bit n stands for the value n.
	seconds uint64
	minutes uint64
	hours   uint32
	months  uint16
	// Bit n stands for the year firstYear+n.
	years [(lastYear-firstYear)/64 + 1]uint64

	days days
}

var _ cron.Schedule = (*Expression)(nil)

// String returns the text that was parsed.
func (e *Expression) String() string { return e.text }

// Next returns the first instant after the given one at which e is due, in the
// zone of e, or the zero time if there is none up to the end of the year 2299.
// Instants are whole seconds; of after, the part below a second is dropped. Next
// allocates nothing, and its work is bounded also for dates that never come.
//
// Like Quartz, Next searches forward on the wall clock from the second after
// the given instant. Of wall times that the clock shows twice only the second
// pass fires. If after is itself in a first pass, fires that the wall clock has
// already left behind are not found: at 01:45 of the first pass, the 01:30 of
// the second. So the instants of an expression are those found by going from
// one to the next; a start from the wall clock should not fall in a first pass.
func (e *Expression) Next(after time.Time) time.Time {
	if e.loc == nil {
		return time.Time{}
	}
	if after.Unix() > lastWall+2*secondsPerDay { // past it in any zone
		return time.Time{}
	}
	from := after.Unix() + 1
	wall := max(from+offsetAt(e.loc, from), 0)
	for {
		next, ok := e.match(wall)
		if !ok {
			return time.Time{}
		}
		at, resume, ok := latest(e.loc, next)
		if ok {
			return time.Unix(at, 0).In(e.loc)
		}
		wall = resume
	}
}

// lastWall is the first wall time that is past the last year: 330 years with 80
// leap days.
const lastWall = (365*(lastYear-firstYear+1) + 80) * secondsPerDay

// match returns the first wall time from the given one on that matches all
// fields. Wall times are seconds since 1970-01-01 00:00:00 of the wall clock.
func (e *Expression) match(wall int64) (int64, bool) {
	if wall >= lastWall {
		return 0, false
	}
	day, second := wall/secondsPerDay, int(wall%secondsPerDay)
	date := time.Unix(day*secondsPerDay, 0).UTC()
	found, ok := e.nextDate(date)
	if !ok {
		return 0, false
	}
	if found.Equal(date) {
		if second, ok = e.nextSecond(second); ok {
			return date.Unix() + int64(second), true
		}
		if found, ok = e.nextDate(date.AddDate(0, 0, 1)); !ok {
			return 0, false
		}
	}
	second, ok = e.nextSecond(0)
	return found.Unix() + int64(second), ok
}

// nextDate returns the first matching date from the given one on. Both are
// midnights in UTC.
func (e *Expression) nextDate(date time.Time) (time.Time, bool) {
	y, m, d := date.Date()
	for ; y <= lastYear; y, m, d = y+1, time.January, 1 {
		if n := y - firstYear; e.years[n/64]>>(n%64)&1 == 0 {
			continue
		}
		for ; m <= time.December; m, d = m+1, 1 {
			if e.months>>m&1 == 0 {
				continue
			}
			if d := next(uint64(e.days.of(y, m)), d); d < 64 {
				return time.Date(y, m, d, 0, 0, 0, 0, time.UTC), true
			}
		}
	}
	return time.Time{}, false
}

// nextSecond returns the first matching second of a day from the given one on.
func (e *Expression) nextSecond(from int) (int, bool) {
	h := from / secondsPerHour
	m := from / secondsPerMinute % 60
	s := next(e.seconds, from%secondsPerMinute)
	if s == 64 {
		s, m = next(e.seconds, 0), m+1
	}
	if found := next(e.minutes, m); found != m {
		m, s = found, next(e.seconds, 0)
	}
	if m == 64 {
		m, h = next(e.minutes, 0), h+1
	}
	if found := next(uint64(e.hours), h); found != h {
		h, m, s = found, next(e.minutes, 0), next(e.seconds, 0)
	}
	return h*secondsPerHour + m*secondsPerMinute + s, h < 64
}

// next returns the least member of set that is not below from, 64 if none is.
func next(set uint64, from int) int {
	above := set >> from << from
	return bits.TrailingZeros64(above)
}

package cron

import "time"

// maxOffset is more than any zone has been away from UTC since firstYear, in
// seconds. No zone has changed its offset twice within twice that time.
const maxOffset = 15 * secondsPerHour

// latest returns the last instant at which the wall clock of loc shows the
// given wall time. If it never does because the clock jumps over it, ok is
// false and resume is the wall time at which the clock goes on. Instants and
// wall times are in seconds since 1970-01-01 00:00:00.
//
// Taking the last instant is what java.util.GregorianCalendar does, and with it
// Quartz: a transition counts from the wall time it leads to.
//
// Time.ZoneBounds would name the transition without a search, but at the end of
// leap years it answers with an end that is already over (go1.26).
func latest(loc *time.Location, wall int64) (at, resume int64, ok bool) {
	low, high := wall-maxOffset, wall+maxOffset
	before, after := offsetAt(loc, low), offsetAt(loc, high)
	if before == after {
		return wall - before, 0, true
	}
	// The transition is the first instant with the new offset.
	for high-low > 1 {
		middle := low + (high-low)/2
		if offsetAt(loc, middle) == after {
			high = middle
		} else {
			low = middle
		}
	}
	transition := high
	resume = transition + after
	if wall >= resume {
		return wall - after, 0, true
	}
	at = wall - before
	return at, resume, at < transition
}

// offsetAt returns how far the clock of loc is ahead of UTC at an instant, both
// in seconds.
func offsetAt(loc *time.Location, instant int64) int64 {
	_, offset := time.Unix(instant, 0).In(loc).Zone()
	return int64(offset)
}

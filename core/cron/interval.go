package cron

import (
	"fmt"
	"time"

	"github.com/robfig/cron/v3"
)

// An Interval is due at the multiples of a duration, counted from the Unix
// epoch, so that all nodes name the same instants whenever they start. It is
// immutable and safe for concurrent use; the zero value is never due.
type Interval struct {
	millis int64
}

var _ cron.Schedule = Interval{}

// Every returns the interval of length d. A run is named by its instant in
// milliseconds, so d must be a whole number of milliseconds and at least one.
func Every(d time.Duration) (Interval, error) {
	if d < time.Millisecond || d%time.Millisecond != 0 {
		return Interval{}, fmt.Errorf("the interval %s is not a whole, positive number of milliseconds", d)
	}
	return Interval{millis: d.Milliseconds()}, nil
}

// Next returns the first multiple after the given instant, in UTC.
func (i Interval) Next(after time.Time) time.Time {
	if i.millis == 0 {
		return time.Time{}
	}
	millis := after.UnixMilli()
	since := millis % i.millis
	if since < 0 {
		since += i.millis
	}
	return time.UnixMilli(millis - since + i.millis).UTC()
}

// Once is due at a single instant. It is immutable and safe for concurrent use;
// the zero value is never due.
type Once struct {
	at time.Time
}

var _ cron.Schedule = Once{}

// At returns the schedule that is due at t only. What t has below a millisecond
// is dropped, as a run is named by its instant in milliseconds. A zero t is
// never due.
func At(t time.Time) Once {
	if t.IsZero() {
		return Once{}
	}
	return Once{at: time.UnixMilli(t.UnixMilli()).In(t.Location())}
}

// Next returns the instant if it is after the given one, else the zero time.
func (o Once) Next(after time.Time) time.Time {
	if o.at.After(after) {
		return o.at
	}
	return time.Time{}
}

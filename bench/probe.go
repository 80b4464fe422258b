package main

import (
	"sync/atomic"
	"time"

	"github.com/robfig/cron/v3"
)

// maxWindow is how many seconds a probe can tell apart.
const maxWindow = 60 * time.Second

// window is the stretch of instants whose fires count.
type window struct {
	// from is its first instant in Unix nanoseconds, 0 before it is known.
	from    atomic.Int64
	seconds int64
	late    *samples
	twice   atomic.Int64
}

// probe watches the fires of one job.
type probe struct {
	window *window
	seen   atomic.Uint64 // one bit a second of the window
}

// fired notes that the code of the job begins to run for an instant.
func (p *probe) fired(instant int64) {
	now := time.Now().UnixNano()
	from := p.window.from.Load()
	if from == 0 || instant < from {
		return
	}
	second := (instant - from) / int64(time.Second)
	if second >= p.window.seconds {
		return
	}
	bit := uint64(1) << second
	if p.seen.Or(bit)&bit != 0 {
		p.window.twice.Add(1)
		return
	}
	p.window.late.add(time.Duration(now - instant))
}

// tracked is the schedule of one job of a library that does not tell the job's
// code which instant it runs for. Both libraries ask for the next instant once
// for each run, in order, so the n-th run belongs to the n-th answer.
type tracked struct {
	schedule cron.Schedule
	probe    *probe
	// skipsPast says that the library asks again at once when an answer is past.
	skipsPast bool

	planned  atomic.Uint32
	ran      atomic.Uint32
	instants [8]atomic.Int64 // a run later than this many fires is misread
	// locked is the instant of the run that has taken its lock.
	locked atomic.Int64
}

var _ cron.Schedule = (*tracked)(nil)

// Next returns the next instant and remembers it for its run.
func (t *tracked) Next(after time.Time) time.Time {
	next := t.schedule.Next(after)
	if t.skipsPast && next.Before(time.Now()) {
		return next
	}
	k := t.planned.Add(1) - 1
	t.instants[k%uint32(len(t.instants))].Store(next.UnixNano())
	return next
}

// turn returns the instant of the run that begins.
func (t *tracked) turn() int64 {
	k := t.ran.Add(1) - 1
	return t.instants[k%uint32(len(t.instants))].Load()
}

// run is the code of the job.
func (t *tracked) run() { t.probe.fired(t.turn()) }

// runLocked is the code of a job whose locker has taken the turn.
func (t *tracked) runLocked() { t.probe.fired(t.locked.Load()) }

// gocronSchedule lets gocron take a tracked schedule for a cron expression.
type gocronSchedule struct{ *tracked }

// IsValid accepts whatever the job says: the schedule is known already.
func (gocronSchedule) IsValid(string, *time.Location, time.Time) error { return nil }

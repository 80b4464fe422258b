// Package schedule decides when jobs fire: one timer serves all jobs of a
// node.
package schedule

import (
	"context"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/elasticjob-go/elasticjob/core/service"
)

// Due is what has come due for a job.
type Due struct {
	// Instant is the latest instant that is due, in UTC.
	Instant time.Time
	// Missed counts the earlier instants that are due as well and were passed
	// over, because the timer could not deliver them near their time; the
	// first of them is From, the last To.
	Missed   int
	From, To time.Time
	// Now is when the timer found it due.
	Now time.Time
}

// Target is told when its job is due. Fire is called from the timer's own
// goroutine and must hand over and return at once; calls for one target come
// in the order of their instants, but for those that come again because the clock
// was set back: a target knows which it has had.
type Target interface {
	// Fire tells that the job is due.
	Fire(due Due)
}

// Tolerance is how late an instant may be and still be delivered by itself.
// Older ones are passed over for the latest that is due, as after a suspend
// of the machine.
const Tolerance = 5 * time.Second

// Timer fires the jobs of a node. It sleeps until the next instant of any job
// and then calls the targets of all that are due. It is safe for concurrent
// use; adding, replacing and removing jobs costs O(log n) of the different
// instants that are next.
type Timer struct {
	now  func() time.Time
	wake chan struct{}
	loop *service.Background

	mu    sync.Mutex
	table timetable
	jobs  map[string]*entry

	// fired is the latest instant that targets were told of, Unix nanoseconds; of the
	// goroutine that fires.
	fired int64
}

var _ service.Service = (*Timer)(nil)

// NewTimer returns a timer that reads the instant from now, which is the time
// of the registry so that all nodes agree on what is due.
func NewTimer(now func() time.Time) *Timer {
	t := &Timer{now: now, wake: make(chan struct{}, 1), table: newTimetable(), jobs: make(map[string]*entry)}
	t.loop = service.NewBackground(t.run)
	return t
}

// Start starts firing.
func (t *Timer) Start(ctx context.Context) error { return t.loop.Start(ctx) }

// Stop stops firing. No target is called after it returned without error.
func (t *Timer) Stop(ctx context.Context) error { return t.loop.Stop(ctx) }

// Set adds a job, or replaces its schedule and target. Its first instant is
// the first of the schedule after the given one.
func (t *Timer) Set(job string, schedule cron.Schedule, after time.Time, target Target) {
	next := schedule.Next(after)
	t.mu.Lock()
	t.drop(job)
	if next.IsZero() {
		t.mu.Unlock()
		return
	}
	e := &entry{at: next.UnixNano(), schedule: schedule, target: target, name: job}
	t.jobs[job] = e
	isFirst := t.table.add(e)
	t.mu.Unlock()
	if isFirst {
		t.poke()
	}
}

// Remove removes a job. It is not fired any more, but for a call to its
// target that is under way.
func (t *Timer) Remove(job string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(job)
}

// drop forgets a job, with the lock held.
func (t *Timer) drop(job string) {
	if e, ok := t.jobs[job]; ok {
		e.gone.Store(true)
		t.table.remove(e)
		delete(t.jobs, job)
	}
}

// Next returns the next instant of the job; false when it has none.
func (t *Timer) Next(job string) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.jobs[job]
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(0, e.at).UTC(), true
}

// Len returns how many jobs have a next instant.
func (t *Timer) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.jobs)
}

func (t *Timer) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// longestSleep bounds a sleep, so that a step of the clock or a suspend of the
// machine, which timers do not see, is noticed.
const longestSleep = time.Second

func (t *Timer) run(ctx context.Context) {
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-alarm.C:
		}
		alarm.Reset(t.fireDue(ctx))
	}
}

// fireDue calls the targets of all that is due and returns how long to sleep.
func (t *Timer) fireDue(ctx context.Context) time.Duration {
	for ctx.Err() == nil {
		now := t.now()
		t.mu.Lock()
		if now.UnixNano() < t.fired {
			t.rewind(now)
		}
		first := t.table.first()
		if first == nil {
			t.mu.Unlock()
			return longestSleep
		}
		if wait := first.at - now.UnixNano(); wait > 0 {
			t.mu.Unlock()
			return min(time.Duration(wait), longestSleep)
		}
		t.table.take(first)
		t.mu.Unlock()
		t.fire(ctx, first, now)
		t.advance(first)
	}
	return longestSleep
}

// rewind gives all jobs the first instants after the time to which the clock was set
// back, a sleep before now at most: what a target could not take yet, when it was told
// of it, is due again.
func (t *Timer) rewind(now time.Time) {
	since := now.Add(-longestSleep)
	t.fired = since.UnixNano()
	for _, e := range t.jobs {
		if next := e.schedule.Next(since); !next.IsZero() && next.UnixNano() < e.at {
			t.table.remove(e)
			e.at = next.UnixNano()
			t.table.add(e)
		}
	}
}

// fire calls the targets of a moment that has come. Their next instants are
// found afterwards: nobody waits for those.
func (t *Timer) fire(ctx context.Context, m *moment, now time.Time) {
	due := Due{Instant: time.Unix(0, m.at).UTC(), Now: now}
	t.fired = m.at
	isLate := now.Sub(due.Instant) > Tolerance
	for _, e := range m.entries {
		switch {
		case ctx.Err() != nil:
			return
		case e.gone.Load():
		case isLate:
			t.fireLate(e, due)
		default:
			e.target.Fire(due)
		}
	}
}

// fireLate calls a target with the latest instant that is due, after which the
// next one is looked for.
func (t *Timer) fireLate(e *entry, due Due) {
	if gap := Missed(e.schedule, due.Instant.Add(-1), due.Now); gap.Count > 1 {
		due = Due{Instant: gap.Last, Missed: gap.Count - 1, From: gap.First, To: gap.BeforeLast, Now: due.Now}
		t.mu.Lock()
		e.at = gap.Last.UnixNano()
		t.mu.Unlock()
		t.fired = max(t.fired, e.at)
	}
	e.target.Fire(due)
}

// advanced is how many jobs get their next instant in one go.
const advanced = 256

// advance moves the jobs of a moment that was fired to their next instants.
func (t *Timer) advance(m *moment) {
	var next [advanced]time.Time
	for rest := m.entries; len(rest) > 0; {
		some := rest[:min(len(rest), advanced)]
		rest = rest[len(some):]
		// The schedules are asked without the lock. Only this goroutine changes
		// an instant.
		for i, e := range some {
			next[i] = e.schedule.Next(time.Unix(0, e.at).UTC())
		}
		t.mu.Lock()
		for i, e := range some {
			switch {
			case e.gone.Load():
			case next[i].IsZero():
				e.gone.Store(true)
				delete(t.jobs, e.name)
			default:
				e.at = next[i].UnixNano()
				t.table.add(e)
			}
		}
		t.mu.Unlock()
	}
	t.mu.Lock()
	t.table.recycle(m)
	t.mu.Unlock()
}

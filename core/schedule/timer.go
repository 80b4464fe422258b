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
}

// Target is told when its job is due. Fire is called from the timer's own
// goroutine and must hand over and return at once; calls for one target come
// in the order of their instants.
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
// use; adding, replacing and removing jobs costs O(log n).
type Timer struct {
	now  func() time.Time
	wake chan struct{}
	loop *service.Background

	mu    sync.Mutex
	queue queue
	jobs  map[string]*entry
}

var _ service.Service = (*Timer)(nil)

// NewTimer returns a timer that reads the instant from now, which is the time
// of the registry so that all nodes agree on what is due.
func NewTimer(now func() time.Time) *Timer {
	t := &Timer{now: now, wake: make(chan struct{}, 1), jobs: make(map[string]*entry)}
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
	if old, ok := t.jobs[job]; ok {
		t.queue.remove(old)
		delete(t.jobs, job)
	}
	if next.IsZero() {
		t.mu.Unlock()
		return
	}
	e := &entry{at: next.UnixNano(), schedule: schedule, target: target, name: job}
	t.jobs[job] = e
	t.queue.push(e)
	isFirst := e.index == 0
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
	if e, ok := t.jobs[job]; ok {
		t.queue.remove(e)
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
	now := t.now()
	for ctx.Err() == nil {
		t.mu.Lock()
		first := t.queue.first()
		if first == nil {
			t.mu.Unlock()
			return longestSleep
		}
		if wait := first.at - now.UnixNano(); wait > 0 {
			// What came due while targets were called is due now.
			if now = t.now(); first.at > now.UnixNano() {
				wait = first.at - now.UnixNano()
				t.mu.Unlock()
				return min(time.Duration(wait), longestSleep)
			}
		}
		instant := time.Unix(0, first.at).UTC()
		t.mu.Unlock()
		// The schedule is asked without the lock: counting takes its time.
		due, next := after(first.schedule, instant, now)
		target := t.advance(first, instant, next)
		if target != nil {
			target.Fire(due)
		}
	}
	return longestSleep
}

// after returns what is due of a schedule whose next instant has come, and the
// instant after that, zero if there is none.
func after(schedule cron.Schedule, instant, now time.Time) (Due, time.Time) {
	due := Due{Instant: instant}
	if now.Sub(instant) > Tolerance {
		if gap := Missed(schedule, instant.Add(-1), now); gap.Count > 1 {
			due = Due{Instant: gap.Last, Missed: gap.Count - 1, From: gap.First, To: gap.BeforeLast}
		}
	}
	return due, schedule.Next(due.Instant)
}

// advance moves the entry from its instant to the next one and returns its
// target, nil when the job was removed or replaced meanwhile.
func (t *Timer) advance(e *entry, instant, next time.Time) Target {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.jobs[e.name] != e || e.at != instant.UnixNano() {
		return nil
	}
	if next.IsZero() {
		t.queue.remove(e)
		delete(t.jobs, e.name)
		return e.target
	}
	e.at = next.UnixNano()
	t.queue.fix(e)
	return e.target
}

package execution

import (
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/schedule"
	"github.com/elasticjob-go/elasticjob/spi"
)

// A job that catches up all fires begins those that it has missed one by one, from
// the earliest on, each when nothing of the job runs here any more: the registry
// keeps one instant of an item that runs, and would forget the rest. What is left
// is found by the floors again, here or by the next owner, so that nothing but the
// fact that there is some is kept.

// catchesUpAll reports whether the job does so.
func (j *Job) catchesUpAll() bool { return j.spec.Config.CatchesUpAll() && j.isMonitored() }

// isBehind reports whether an instant that comes due now has to wait for others.
func (j *Job) isBehind() bool {
	return j.catchesUpAll() && (j.behind || len(j.waiting) > 0 || !j.begun.IsZero())
}

// owes reports whether missed instants wait for others.
func (j *Job) owes() bool { return j.behind || len(j.waiting) > 0 && j.waiting[0].waits }

// findBacklog looks for instants up to now that nobody has decided. The earliest is
// the next to begin; those over the limit of the job are missed.
func (j *Job) findBacklog(now time.Time) {
	owes := j.owes()
	j.waiting = nil
	if j.current.Disabled {
		if owes {
			j.missBacklog(now)
		}
		j.missDisabled(now)
		return
	}
	if !j.begun.IsZero() {
		j.behind = true
		return
	}
	known, oldest := later(j.decided, j.spec.Since), now
	for _, group := range j.current.Floors {
		if after := later(group.At, known); after.Before(oldest) {
			oldest = after
		}
	}
	owed := schedule.Latest(j.spec.Schedule, oldest, now, j.spec.Config.MostCaughtUp())
	if len(owed) == 0 {
		j.behind, j.orphans = false, registry.Items{}
		return
	}
	j.missBefore(known, owed[0])
	f := firing{instant: owed[0], source: spi.SourceMisfire, waits: owes || len(owed) > 1}
	if len(owed) == 1 {
		f.source = j.sourceOf(f.instant)
	}
	if f.waits && !j.left.IsZero() {
		return // the next owner finds them
	}
	j.behind = len(owed) > 1
	j.enqueue(f)
}

// missBefore records what is due after an instant that is decided and before one
// that is to begin.
func (j *Job) missBefore(known, next time.Time) {
	var last time.Time
	for _, group := range j.current.Floors {
		due := schedule.Missed(j.spec.Schedule, later(group.At, known), next.Add(-time.Millisecond))
		if due.Count == 0 {
			continue
		}
		last = later(last, due.Last)
		for item := range group.Items.All() {
			j.miss(item, j.absence(item), due.Count, due.First, due.Last)
		}
	}
	j.orphans = registry.Items{}
	j.decide(last)
}

// missBacklog records what is left up to an instant, because nobody will run it.
func (j *Job) missBacklog(until time.Time) {
	j.behind = false
	known := later(later(j.decided, j.begun), j.spec.Since)
	for _, group := range j.current.Floors {
		due := schedule.Missed(j.spec.Schedule, later(group.At, known), until)
		for item := range group.Items.All() {
			if due.Count > 0 {
				j.miss(item, j.absence(item), due.Count, due.First, due.Last)
			}
		}
	}
	j.waiting = nil
	j.decide(until)
}

// leaveBacklog leaves what is left to the next owner when the node stops; of a job
// that is removed there is none.
func (j *Job) leaveBacklog() {
	if j.executor.draining.Load() {
		j.waiting, j.behind = nil, false
		return
	}
	j.missBacklog(j.executor.now())
}

// catchUpNext begins the next missed instant, if there is one and nothing of the
// job runs here any more.
func (j *Job) catchUpNext() {
	if j.behind && j.busy == 0 && j.begun.IsZero() && j.mayBegin() {
		j.findDue(j.executor.now())
	}
}

// givesWay reports whether the instant that is next lets others go first. They may
// wait for long, and a job that is always behind would never let them have their
// turn.
func (j *Job) givesWay() bool { return j.waiting[0].waits && (j.claims || j.triggered) }

// postpone puts back an instant that waits for the end of what runs.
func (j *Job) postpone() {
	if len(j.waiting) > 0 && j.waiting[0].waits && j.busy > 0 {
		j.waiting, j.behind = nil, true
	}
}

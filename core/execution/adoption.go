package execution

import (
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/schedule"
)

// Adopt takes over an assignment unless the job has a newer one. Instants that
// came due for its items since their floor are begun as well. It returns the
// time up to which it has looked; later instants are the timer's.
func (j *Job) Adopt(a registry.Assignment) time.Time {
	adopted, isNew := j.takeOver(a)
	if isNew {
		j.executor.events.Assigned.Publish(ItemsAssigned{Job: j.name, Items: a.Items.String(), Generation: a.Generation})
	}
	j.mu.Lock()
	defer j.unlock()
	now := j.executor.now()
	if isNew {
		j.supersedeMoved(now)
	}
	if adopted && a.Generation == j.current.Generation && j.mayBegin() {
		j.findDue(now)
		if j.current.Items.Len() > 0 {
			j.askForHeld()
		}
	}
	if a.Generation == j.current.Generation && (a.Queued || j.queued) {
		j.askForTriggered()
	}
	if a.Generation == j.current.Generation && (a.Orphaned || j.orphaned) {
		j.askForOrphans()
	}
	return now
}

// takeOver makes the assignment the current one. It reports whether what is due
// is to be looked for, and whether the assignment is another than before.
func (j *Job) takeOver(a registry.Assignment) (adopted, isNew bool) {
	j.mu.Lock()
	defer j.unlock()
	if j.closed || a.Generation < j.current.Generation && !j.distrusts {
		return false, false
	}
	isNew = a.Generation != j.current.Generation
	if !isNew && !j.rejoined {
		// The same items, but somebody may have disabled or enabled some.
		enabled := j.current.Disabled && !a.Disabled || !a.DisabledItems.Equal(j.current.DisabledItems)
		j.current.Disabled, j.current.DisabledItems = a.Disabled, a.DisabledItems
		if a.Disabled && j.owes() {
			j.missBacklog(j.executor.now())
		}
		j.endPauses()
		return enabled, false
	}
	isOther, wasAway := j.distrusts && isNew, j.wasAway
	j.rejoined, j.distrusts, j.wasAway = false, false, false
	if wasAway {
		j.missGiven()
	}
	// What waits has no verdict yet and is found again.
	j.waiting = nil
	before := j.current
	j.current = a
	if !isNew && (j.isMonitored() || j.duties != nil) {
		j.endPauses()
		return true, false
	}
	for item := range without(without(a.Items, before.Items), j.unowned).All() {
		// It comes back: what it misses from now on is another gap than what it missed
		// before it went, or on its way.
		j.closeGap(item)
	}
	j.unowned = common(registry.NewItems(append(j.unowned.Slice(), before.Items.Slice()...)...), a.Unowned)
	// What this catches up of unmonitored items is decided below.
	defer j.endPauses()
	hasMissed := before.Generation != 0 && before.Generation < a.Previous
	j.orphans = j.orphansOf(a, before)
	if before.Generation != 0 && !hasMissed {
		// An item stays an orphan for a while, in case its new owner missed that.
		j.orphans = without(j.orphans, before.Items)
	}
	if isOther {
		j.missForgotten(a, before)
	}
	if j.isMonitored() {
		// What this node decided under the old assignment is in the floors.
		j.decided = time.Time{}
	} else {
		j.takeDuties(a, hasMissed, wasAway)
	}
	for item := range j.gaps {
		// Under an assignment that this node has never seen it may have been
		// another's.
		if hasMissed || wasAway || !a.Items.Contains(item) && !j.unowned.Contains(item) {
			j.closeGap(item)
		}
	}
	return true, isNew
}

// missForgotten records what this node would have decided of the items that it
// keeps, and the registry, whose data are others than before, has forgotten.
func (j *Job) missForgotten(a, before registry.Assignment) {
	if before.Generation == 0 {
		return
	}
	missed := func(items registry.Items, after, until time.Time) {
		due := schedule.Missed(j.spec.Schedule, after, until)
		for item := range items.All() {
			if due.Count > 0 {
				j.miss(item, j.absence(item), due.Count, due.First, due.Last)
			}
		}
	}
	if a.Generation == 0 && j.isMonitored() && !j.decided.IsZero() {
		missed(before.Items, j.decided, a.From.Add(-time.Millisecond))
	}
	for _, group := range a.Floors {
		if j.isMonitored() {
			if !j.decided.IsZero() {
				missed(common(group.Items, before.Items), j.decided, group.At)
			}
			continue
		}
		for _, d := range j.duties {
			missed(common(group.Items, d.items), d.after, group.At)
		}
	}
}

// distrust makes the job adopt the next assignment although it may be older: the
// registry has lost what it knew.
func (j *Job) distrust() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.distrusts = true
}

// orphansOf returns the items of an assignment whose former owner died. Those
// that this process itself lost with its session are none: it knows what it has
// decided.
func (j *Job) orphansOf(a, before registry.Assignment) registry.Items {
	var orphans []int
	for _, o := range a.Orphans {
		if o.Former != j.executor.instance || before.Generation == 0 {
			orphans = append(orphans, o.Items.Slice()...)
		}
	}
	return registry.NewItems(orphans...)
}

// common returns the items that are in both sets.
func common(a, b registry.Items) registry.Items {
	var both []int
	for item := range a.All() {
		if b.Contains(item) {
			both = append(both, item)
		}
	}
	return registry.NewItems(both...)
}

// without returns the items of a that are not in b.
func without(a, b registry.Items) registry.Items {
	var rest []int
	for item := range a.All() {
		if !b.Contains(item) {
			rest = append(rest, item)
		}
	}
	return registry.NewItems(rest...)
}

// findDue looks for instants up to now that nobody has decided. The latest of a
// monitored job is begun like any other, and the script leaves out items whose
// floor is not below it; earlier ones are missed.
func (j *Job) findDue(now time.Time) {
	if !j.isMonitored() {
		j.findDuties(now)
		return
	}
	if j.catchesUpAll() {
		j.findBacklog(now)
		return
	}
	j.behind = false
	// It is found again, so that nothing is there twice.
	j.waiting = nil
	j.missDisabled(now)
	if j.current.Disabled {
		return
	}
	var last, beforeLast time.Time
	for _, group := range j.current.Floors {
		due := schedule.Missed(j.spec.Schedule, later(later(group.At, j.decided), j.spec.Since), now)
		if due.Count == 0 {
			continue
		}
		missed, to := due.Count-1, due.BeforeLast
		if now.Sub(due.Last) > j.executor.handOver && !j.spec.Config.Misfire {
			missed, to = due.Count, due.Last
		} else {
			last = later(last, due.Last)
		}
		if missed > 0 {
			for item := range group.Items.All() {
				j.miss(item, j.absence(item), missed, due.First, to)
			}
			beforeLast = later(beforeLast, to)
		}
	}
	j.orphans = registry.Items{}
	j.decide(beforeLast)
	if last.After(later(j.decided, j.begun)) {
		j.enqueue(firing{instant: last, source: j.sourceOf(last)})
	}
}

// missDisabled records what is due and will not run because the job is disabled, or
// was: up to now, or up to when it was enabled, which the floors tell. Of items that
// are new here it does so only if their owner died, with what it had to record.
func (j *Job) missDisabled(now time.Time) {
	known := later(later(j.decided, j.begun), j.spec.Since)
	missed := func(items registry.Items, after, until time.Time) {
		due := schedule.Missed(j.spec.Schedule, after, until)
		for item := range items.All() {
			if due.Count > 0 {
				j.miss(item, ReasonDisabled, due.Count, due.First, due.Last)
			}
		}
	}
	for _, group := range j.current.Floors {
		switch {
		case !j.current.Disabled:
			if !j.decided.IsZero() {
				missed(group.Items, known, group.At)
			}
		case j.decided.IsZero():
			missed(common(group.Items, j.orphans), later(group.At, known), now)
		default:
			missed(group.Items, later(group.At, known), now)
		}
	}
	if j.current.Disabled {
		j.orphans = registry.Items{}
		j.decide(now)
	}
}

// absence says why an item missed what was due before this node looked.
func (j *Job) absence(item int) Reason {
	switch {
	case j.current.Disabled || j.current.DisabledItems.Contains(item):
		return ReasonDisabled
	case j.orphans.Contains(item):
		return ReasonOwnerLost
	default:
		return ReasonNotRunning
	}
}

// askForHeld begins what is held and may be free by now.
func (j *Job) askForHeld() {
	if j.isMonitored() && !j.closed && !j.leaving {
		j.catchUp = true
		j.step()
	}
}

// HasGaps reports whether items have missed fires that are not recorded yet, of
// which some may be caught up when the items are released.
func (j *Job) HasGaps() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.gaps) > 0
}

// Released says that items of the job are not held by others any more.
func (j *Job) Released() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.askForHeld()
	if j.queued {
		j.askForTriggered()
	}
}

package execution

import (
	"slices"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/schedule"
	"github.com/elasticjob-go/elasticjob/spi"
)

// duty is a stretch of time in which the fires of items of an unmonitored job
// are this node's: instants after the one bound and before the other. Instants
// up to after have their verdict.
type duty struct {
	items      registry.Items
	generation int64
	after      time.Time
	until      time.Time // zero: nobody follows
}

func (d *duty) isPast(now time.Time) bool { return !d.until.IsZero() && !now.Before(d.until) }

// last returns the latest instant of the duty that can be due by now.
func (d *duty) last(now time.Time) time.Time {
	if d.isPast(now) {
		return d.until.Add(-time.Millisecond)
	}
	return now
}

// duties are the stretches of a job. Most of the time there is one: all items of
// the instance. After a move there are more until the hand-over is past, because
// the former owner fires up to the agreed instant and the new one after it.
type duties []duty

// latest returns the latest instant with a verdict.
func (d duties) latest() time.Time {
	var latest time.Time
	for _, one := range d {
		latest = later(latest, one.after)
	}
	return latest
}

// isPlain reports whether an instant is simply the next one of all items.
func (d duties) isPlain(instant time.Time) bool {
	return len(d) == 1 && d[0].until.IsZero() && d[0].after.Before(instant)
}

// without drops the stretches that are past.
func (d duties) without(now time.Time) duties {
	return slices.DeleteFunc(d, func(one duty) bool { return one.isPast(now) })
}

// merged joins stretches that have become alike and drops empty ones.
func (d duties) merged() duties {
	kept := d[:0]
	for _, one := range d {
		if one.items.Len() == 0 {
			continue
		}
		i := slices.IndexFunc(kept, func(k duty) bool {
			return k.generation == one.generation && k.after.Equal(one.after) && k.until.Equal(one.until)
		})
		if i < 0 {
			kept = append(kept, one)
			continue
		}
		kept[i].items = registry.NewItems(append(kept[i].items.Slice(), one.items.Slice()...)...)
	}
	return kept
}

// takeDuties makes the stretches of a new assignment. What the node has already
// decided stays decided. Who has missed an assignment does not know when items
// that it lost changed hands: their new owners may have fired whatever this node
// has put off since. Who was away was counted as dead, and whatever it missed of
// such items has been recorded.
func (j *Job) takeDuties(a registry.Assignment, hasMissed, wasAway bool) {
	now := j.executor.now()
	var next, held duties
	exists := registry.AllItems(j.spec.Config.ShardingTotalCount)
	for _, d := range j.duties {
		if !d.until.IsZero() {
			next = append(next, duty{common(d.items, exists), d.generation, d.after, d.until})
			continue
		}
		held = append(held, d)
		// What was taken from a dead session has its verdicts by others.
		given := duty{without(common(without(d.items, a.Items), exists), a.Forfeited), d.generation, d.after, a.From}
		if !j.left.IsZero() && a.Departed {
			// The leader knew already which instant is this node's last.
			given.until = j.left.Add(time.Millisecond)
		}
		if wasAway && hasMissed {
			continue
		}
		if hasMissed || wasAway {
			// Whether others wait for a hand-over it cannot know either.
			j.missDuty(&given, now)
			continue
		}
		next = append(next, given)
	}
	floors := a.Floors
	if j.leaving {
		floors = nil
	}
	for _, group := range floors {
		rest := group.Items
		for _, d := range held {
			same := common(rest, d.items)
			if same.Len() == 0 {
				continue
			}
			next = append(next, duty{items: same, generation: a.Generation, after: later(group.At, d.after)})
			rest = without(rest, same)
			if !group.At.After(d.after) {
				continue
			}
			// These went away and came back.
			until := duty{same, d.generation, d.after, group.At.Add(time.Millisecond)}
			switch {
			case wasAway:
			case hasMissed:
				j.missDuty(&until, now)
			case group.At.After(now):
				next = append(next, until)
			}
		}
		if rest.Len() > 0 {
			// A job that was monitored until now has decided what it has decided.
			next = append(next, duty{items: rest, generation: a.Generation, after: later(later(group.At, j.decided), j.spec.Since)})
		}
	}
	j.decided = time.Time{}
	for i := range next {
		d := &next[i]
		dead := common(d.items, j.orphans)
		if dead.Len() == 0 || !d.until.IsZero() {
			continue
		}
		// What the dead owner started of these nobody knows: none is run again.
		if due := schedule.Missed(j.spec.Schedule, d.after, now); due.Count > 0 {
			for item := range dead.All() {
				j.miss(item, j.absence(item), due.Count, due.First, due.Last)
			}
		}
		next = append(next, duty{items: dead, generation: a.Generation, after: later(d.after, now)})
		next[i].items = without(next[i].items, dead)
	}
	j.orphans = registry.Items{}
	// What is past may still hold an instant that was put off, which this node
	// finds next; who was away owes nothing.
	if wasAway {
		next = next.without(now)
	}
	j.duties = next.merged()
}

// fireDuties gives an instant of an unmonitored job its verdict, without a round
// trip.
func (j *Job) fireDuties(due schedule.Due) {
	if j.unowned.Len() > 0 && !due.Instant.Before(j.current.From) {
		j.missUnowned(due.Instant)
	}
	if j.putOff || due.Missed > 0 || !j.duties.isPlain(due.Instant) {
		j.findDuties(j.executor.now())
		return
	}
	if !j.isFresh(due.Instant) {
		return
	}
	d := &j.duties[0]
	d.after = due.Instant
	j.start(due.Instant, d.items, d.generation, due.Now)
}

// isFresh reports whether the items are surely this node's at the instant. If
// not, it shows with the next renewal.
func (j *Job) isFresh(instant time.Time) bool {
	if j.partition.center.Fresh(instant) {
		return true
	}
	j.putOff = true
	j.partition.putOff.Store(true)
	// The renewal may have come between the two.
	return j.partition.center.Fresh(instant)
}

// findDuties gives everything that is due its verdict: the latest instant of
// each stretch is started, earlier ones are missed.
func (j *Job) findDuties(now time.Time) {
	j.putOff = false
	for i := range j.duties {
		d := &j.duties[i]
		due := schedule.Missed(j.spec.Schedule, d.after, d.last(now))
		if due.Count == 0 {
			continue
		}
		if !j.isFresh(due.Last) {
			return
		}
		d.after = due.Last
		if due.Count > 1 {
			for item := range d.items.All() {
				j.miss(item, j.absence(item), due.Count-1, due.First, due.BeforeLast)
			}
		}
		j.start(due.Last, d.items, d.generation, now)
		if d.isPast(now) {
			// From its end on the items were another's, also those that came back.
			for item := range d.items.All() {
				j.closeGap(item)
			}
		}
	}
	j.duties = j.duties.without(now).merged()
}

// missDuties records everything that is due as missed.
func (j *Job) missDuties(now time.Time) {
	for i := range j.duties {
		j.missDuty(&j.duties[i], now)
	}
}

// missDuty records what is due of one stretch as missed.
func (j *Job) missDuty(d *duty, now time.Time) {
	due := schedule.Missed(j.spec.Schedule, d.after, d.last(now))
	if due.Count == 0 {
		return
	}
	d.after = due.Last
	for item := range d.items.All() {
		j.miss(item, j.absence(item), due.Count, due.First, due.Last)
	}
}

// missGiven ends the stretches of items that the node has given away, and records what
// is due of them as missed: whoever was away was counted as dead, so that others may
// have had these items at once.
func (j *Job) missGiven() {
	now := j.executor.now()
	j.duties = slices.DeleteFunc(j.duties, func(d duty) bool {
		if d.until.IsZero() {
			return false
		}
		j.missDuty(&d, now)
		return true
	})
}

// missHandOver records what is lost because the node ends before items that it
// has given away are their new owner's.
func (j *Job) missHandOver() {
	for _, d := range j.duties {
		if d.until.IsZero() {
			continue
		}
		if due := schedule.Missed(j.spec.Schedule, d.after, d.until.Add(-time.Millisecond)); due.Count > 0 {
			for item := range d.items.All() {
				j.miss(item, ReasonNotRunning, due.Count, due.First, due.Last)
			}
		}
	}
}

// start runs items of an unmonitored job, but for those that are disabled or
// still run. Their fencing token is the generation that gave them to this node.
func (j *Job) start(instant time.Time, items registry.Items, generation int64, now time.Time) {
	source := sourceAt(now, instant)
	switch {
	case j.current.Disabled || source == spi.SourceMisfire && !j.spec.Config.Misfire:
		for item := range items.All() {
			j.miss(item, j.absence(item), 1, instant, instant)
		}
		return
	case j.busy > 0 || j.current.DisabledItems.Len() > 0:
		items = j.startable(items, instant)
	}
	if s := j.partition.session.Load(); items.Len() > 0 && s != nil {
		j.launch(newRun(j, s, j.spec, instant, source, generation, items, false), items)
	}
}

// startable notes which of the items miss an instant and returns the others.
func (j *Job) startable(items registry.Items, instant time.Time) registry.Items {
	var free []int
	for item := range items.All() {
		switch {
		case j.current.DisabledItems.Contains(item):
			j.miss(item, ReasonDisabled, 1, instant, instant)
		case j.isBusy(item):
			if open, isHeld := j.gaps[item]; isHeld && open.reason == ReasonStillRunning {
				j.coalesce(item, open.to, instant)
			}
			j.hold(item, instant)
		default:
			free = append(free, item)
		}
	}
	return registry.NewItems(free...)
}

// catchUpUnmonitored runs an item once that missed fires while it ran.
func (j *Job) catchUpUnmonitored(item int) {
	open, missed := j.gaps[item]
	s := j.partition.session.Load()
	if !missed || open.reason != ReasonStillRunning || !j.mayBegin() || s == nil || j.current.Disabled || j.current.DisabledItems.Contains(item) {
		return
	}
	generation, fires := j.firesNow(item)
	if !fires {
		return
	}
	items := registry.NewItems(item)
	j.launch(newRun(j, s, j.spec, open.to, j.catchUpSource(open.to), generation, items, false), items)
}

// firesNow reports whether an instant of an item that comes due now is this
// node's, and the generation that says so: the present one, or until the hand-over
// is past the one before it.
func (j *Job) firesNow(item int) (generation int64, fires bool) {
	if j.current.Items.Contains(item) {
		return j.current.Generation, true
	}
	now := j.executor.now()
	for _, d := range j.duties {
		if now.Before(d.until) && d.items.Contains(item) {
			return d.generation, true
		}
	}
	return 0, false
}

// lookAgain finds the instants that were put off.
func (j *Job) lookAgain() {
	j.mu.Lock()
	defer j.unlock()
	if j.putOff && j.mayBegin() {
		j.findDuties(j.executor.now())
	}
}

package execution

import (
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/schedule"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Spec is what a job is made of. It is not changed once a job has it.
type Spec struct {
	Config     job.Config
	Schedule   cron.Schedule
	Parameters map[int]string // sharding parameters by item
	Values     props.Values   // checked properties, with defaults
	Pool       int            // how many items run at once
	JobType    spi.JobType
	Handlers   []*Handler
}

// Job is a job that this instance hosts. Its methods are safe for concurrent
// use and never wait for job code or for the registry.
type Job struct {
	name     string
	executor *Executor
	spec     *Spec

	mu sync.Mutex

	current  registry.Assignment
	previous *registry.Assignment // of an unmonitored job, until current.From
	unowned  registry.Items       // items that were the instance's and are nobody's now
	running  []*run               // by item: the run in which its code runs here or waits for room
	busy     int                  // how many those are
	active   int                  // tasks handed to the workers
	queue    fifo                 // tasks that wait for room in the job's pool
	gaps     gaps
	misfired []ItemMisfired // to publish when the lock is released

	waiting  []firing  // instants without a verdict, in order
	begun    time.Time // the instant whose begin is under way
	decided  time.Time // instants up to this one have a verdict under the current assignment
	catchUp  bool      // held items may be free: ask for them
	reports  []*run    // marked runs with finished items to report
	stepping bool      // the step goroutine runs
	putOff   bool      // instants of an unmonitored job wait for the next renewal
	rejoined bool      // the session is another one, the assignment not adopted yet
	closed   bool      // nothing begins any more
}

var _ schedule.Target = (*Job)(nil)

// firing is an instant that waits for its verdict: to be begun or, with a
// reason, to be recorded as missed together with those before it.
type firing struct {
	instant time.Time
	source  spi.Source

	reason Reason
	count  int
	from   time.Time
}

// maxWaiting bounds the instants that wait for their begin while the registry
// does not answer. Later ones are recorded as missed.
const maxWaiting = 64

// Fire notes that the job is due. It is called by the timer. Without a session
// it does nothing: the instants are found again when the next one has adopted
// its assignment.
func (j *Job) Fire(due schedule.Due) {
	j.mu.Lock()
	defer j.unlock()
	if j.closed || j.rejoined || j.executor.session.Load() == nil {
		return
	}
	if due.Missed > 0 && due.To.After(j.latest()) {
		j.enqueue(firing{instant: due.To, reason: ReasonNotRunning, count: due.Missed, from: due.From})
	}
	if !due.Instant.After(j.latest()) {
		return
	}
	if j.spec.Config.MonitorExecution || !due.Instant.Before(j.current.From) {
		for item := range j.unowned.All() {
			j.miss(item, ReasonDisabled, 1, due.Instant, due.Instant)
		}
	}
	f := firing{instant: due.Instant, source: j.sourceOf(due.Instant)}
	if f.source == spi.SourceMisfire && !j.spec.Config.Misfire {
		f = firing{instant: due.Instant, reason: ReasonNotRunning, count: 1, from: due.Instant}
	}
	j.enqueue(f)
}

// latest returns the last instant that is decided or on its way to be.
func (j *Job) latest() time.Time {
	if n := len(j.waiting); n > 0 {
		return j.waiting[n-1].instant
	}
	return later(j.decided, j.begun)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sourceOf says whether an instant that is begun now is normal or so late that
// it is a catch-up.
func (j *Job) sourceOf(instant time.Time) spi.Source {
	if j.executor.now().Sub(instant) > lateWindow {
		return spi.SourceMisfire
	}
	return spi.SourceNormal
}

// enqueue takes an instant on its way to a verdict. Instants come in order. An
// unmonitored job needs no round trip and decides at once.
func (j *Job) enqueue(f firing) {
	if !j.spec.Config.MonitorExecution {
		j.startUnmonitored(f)
		return
	}
	if j.current.Items.Len() == 0 {
		j.decide(f.instant)
		return
	}
	if n := len(j.waiting); n >= maxWaiting {
		// The registry does not answer: the youngest waits for its record only.
		last := &j.waiting[n-1]
		if last.reason == "" {
			*last = firing{instant: last.instant, reason: ReasonNotRunning, count: 1, from: last.instant}
		}
		if f.reason == "" {
			f = firing{instant: f.instant, reason: ReasonNotRunning, count: 1, from: f.instant}
		}
		last.instant, last.count = f.instant, last.count+f.count
	} else {
		j.waiting = append(j.waiting, f)
	}
	j.step()
}

// missAll records fires missed by all items of this instance.
func (j *Job) missAll(f firing) {
	j.decide(f.instant)
	for item := range j.current.Items.All() {
		j.miss(item, f.reason, f.count, f.from, f.instant)
	}
}

// decide notes that the instant has a verdict.
func (j *Job) decide(instant time.Time) { j.decided = later(j.decided, instant) }

// miss adds missed fires to the item's gap.
func (j *Job) miss(item int, reason Reason, count int, from, to time.Time) {
	if j.gaps == nil {
		j.gaps = make(gaps)
	}
	if ended, ok := j.gaps.add(j.name, item, reason, count, from, to); ok {
		j.misfired = append(j.misfired, ended)
	}
}

// closeGap records the item's open gap, if there is one.
func (j *Job) closeGap(item int) {
	if ended, ok := j.gaps.close(j.name, item); ok {
		j.misfired = append(j.misfired, ended)
	}
}

// unlock releases the lock and publishes what happened under it.
func (j *Job) unlock() {
	misfired := j.misfired
	j.misfired = nil
	j.mu.Unlock()
	for _, m := range misfired {
		j.executor.events.Misfired.Publish(m)
	}
}

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
	switch {
	case !adopted || j.closed:
	case a.Generation == j.current.Generation && j.current.Items.Len() > 0:
		j.findDue(now)
		j.askForHeld()
	}
	return now
}

// takeOver makes the assignment the current one. It reports whether it did and
// whether it is another than before.
func (j *Job) takeOver(a registry.Assignment) (adopted, isNew bool) {
	j.mu.Lock()
	defer j.unlock()
	if j.closed || a.Generation < j.current.Generation || a.Generation == j.current.Generation && !j.rejoined {
		return false, false
	}
	j.rejoined = false
	// What waits has no verdict yet and is found again.
	j.waiting = nil
	if a.Generation == j.current.Generation {
		return true, false
	}
	first := j.current.Generation == 0
	before := j.current
	j.current = a
	j.unowned = common(registry.NewItems(append(j.unowned.Slice(), before.Items.Slice()...)...), a.Unowned)
	switch {
	case j.spec.Config.MonitorExecution:
		// What this node decided under the old assignment is in the floors.
		j.decided = time.Time{}
	case first:
		// Nobody but the timer that starts now owes an unmonitored firing.
		j.decided = j.executor.now()
	default:
		j.previous = &before
	}
	return true, true
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

// findDue looks for instants up to now that nobody has decided: those after
// the floors of the items and, of an unmonitored job, since its assignment came
// into force. The latest is begun like any other, and the script leaves out
// items whose floor is not below it; earlier ones are missed.
func (j *Job) findDue(now time.Time) {
	if j.spec.Config.Disabled {
		return
	}
	var last, beforeLast time.Time
	for _, group := range j.current.Floors {
		after := later(group.At, j.decided)
		if !j.spec.Config.MonitorExecution {
			after = later(after, j.current.From.Add(-time.Millisecond))
		}
		due := schedule.Missed(j.spec.Schedule, after, now)
		if due.Count == 0 {
			continue
		}
		missed, to := due.Count-1, due.BeforeLast
		if now.Sub(due.Last) > j.executor.handOver && !j.spec.Config.Misfire {
			missed, to = due.Count, due.Last
		} else {
			last = due.Last
		}
		if missed > 0 {
			for item := range group.Items.All() {
				j.miss(item, ReasonNotRunning, missed, due.First, to)
			}
			beforeLast = later(beforeLast, to)
		}
	}
	j.decide(beforeLast)
	if last.After(later(j.decided, j.begun)) {
		j.enqueue(firing{instant: last, source: j.sourceOf(last)})
	}
}

// askForHeld begins what is held and may be free by now.
func (j *Job) askForHeld() {
	if j.spec.Config.MonitorExecution && !j.closed {
		j.catchUp = true
		j.step()
	}
}

// Released says that items of the job are not held by others any more.
func (j *Job) Released() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.askForHeld()
}

// lookAgain finds the instants of an unmonitored job that were put off.
func (j *Job) lookAgain() {
	j.mu.Lock()
	defer j.unlock()
	if j.putOff && !j.closed && !j.rejoined {
		j.putOff = false
		j.findDue(j.executor.now())
	}
}

// Assignment returns the assignment in force.
func (j *Job) Assignment() registry.Assignment {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.current
}

// rejoin says that the node has a new session: nothing begins until the
// assignment is adopted again.
func (j *Job) rejoin() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rejoined = j.current.Generation != 0
}

// close ends the job: instants without a verdict are recorded as missed, open
// gaps are closed, and nothing is begun any more. Items that run go on.
func (j *Job) close() {
	j.mu.Lock()
	defer j.unlock()
	j.closed = true
	if undecided := j.rejoined || j.executor.session.Load() == nil; undecided && !j.decided.IsZero() {
		if due := schedule.Missed(j.spec.Schedule, j.decided, j.executor.now()); due.Count > 0 {
			j.missAll(firing{instant: due.Last, reason: ReasonNotRunning, count: due.Count, from: due.First})
		}
		j.waiting = nil
	}
	for _, f := range j.waiting {
		if f.reason == "" {
			f = firing{instant: f.instant, reason: ReasonNotRunning, count: 1, from: f.instant}
		}
		j.missAll(f)
	}
	j.waiting = nil
	j.catchUp = false
	for _, t := range j.queue.takeAll() {
		j.drop(t)
	}
	for item := range j.gaps {
		j.closeGap(item)
	}
}

// drop gives up a task that has not started: its fire counts as missed and its
// mark is completed.
func (j *Job) drop(t task) {
	j.release(t.item)
	j.miss(t.item, ReasonNotRunning, 1, t.run.instant, t.run.instant)
	j.closeGap(t.item)
	j.report(t.run, t.item, OutcomeCancelled)
}

// launch makes tasks of the items of a run.
func (j *Job) launch(r *run, items registry.Items) {
	for item := range items.All() {
		if j.isBusy(item) {
			// Code of an earlier lease ignored its cancellation and still
			// runs: keep the promise that runs of an item never overlap here.
			j.miss(item, ReasonStillRunning, 1, r.instant, r.instant)
			j.report(r, item, OutcomeCancelled)
			continue
		}
		j.occupy(item, r)
		t := task{r, item}
		switch {
		case j.closed:
			// The begin was under way when the node began to stop.
			j.drop(t)
			continue
		case j.active >= r.spec.Pool:
			j.queue.push(t)
		default:
			j.active++
			j.executor.workers.submit(t)
		}
		j.closeGap(item)
	}
}

// occupy notes that an item runs, or waits for room, in a run.
func (j *Job) occupy(item int, r *run) {
	if item >= len(j.running) {
		j.running = append(j.running, make([]*run, item+1-len(j.running))...)
	}
	j.running[item] = r
	j.busy++
}

// release notes that an item does not run any more.
func (j *Job) release(item int) {
	j.running[item] = nil
	j.busy--
}

// isBusy reports whether an item runs or waits for room.
func (j *Job) isBusy(item int) bool { return item < len(j.running) && j.running[item] != nil }

// itemDone takes note that the code of an item has returned.
func (j *Job) itemDone(r *run, item int, outcome Outcome) {
	j.mu.Lock()
	defer j.unlock()
	j.release(item)
	if next, ok := j.queue.pop(); ok {
		j.executor.workers.submit(next)
	} else {
		j.active--
	}
	j.report(r, item, outcome)
	if !r.marked {
		j.catchUpUnmonitored(item)
	}
}

// report notes a finished item for the next complete.
func (j *Job) report(r *run, item int, outcome Outcome) {
	r.unfinished--
	if !r.marked {
		return
	}
	if r.unreported == nil {
		r.unreported = make(map[int]Outcome, r.unfinished+1)
	}
	if len(r.unreported) == 0 {
		j.reports = append(j.reports, r)
	}
	r.unreported[item] = outcome
	if r.unfinished > 0 && r.timer == nil {
		r.timer = time.AfterFunc(reportDelay, func() {
			j.mu.Lock()
			defer j.mu.Unlock()
			r.overdue = true
			j.step()
		})
	}
	j.step()
}

// reportDelay is how long a finished item may wait for others of its run to
// be reported together. It bounds what a crash can make run again.
const reportDelay = 200 * time.Millisecond

package execution

import (
	"context"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/schedule"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Spec is what a job is made of. Its fields are not changed once a job has it; a
// job may get another one.
type Spec struct {
	Config     job.Config
	Schedule   cron.Schedule
	Parameters map[int]string // sharding parameters by item
	Values     props.Values   // checked properties, with defaults
	Pool       int            // how many items run at once
	JobType    spi.JobType
	// Dataflow is called instead of JobType; nil for a type without that
	// capability.
	Dataflow spi.Dataflow
	Door     hostcall.Caller // of the job type
	// OwnCode says that the job type is code of this program and not a host of
	// code of others: codes that only hosts may say are not its to say.
	OwnCode   bool
	Handlers  []*Handler
	Listeners []*Listener
	// OnceListeners are called by one instance for the whole run; they may be among
	// Listeners as well. The job must be monitored.
	OnceListeners []*Listener
	// Since is when the schedule came into force: instants up to it followed
	// another one. Zero means always.
	Since time.Time

	uses usage // runs, and failures on their way to the handlers
}

// WaitUnused returns when no run of the spec is under way and none of its
// failures is being handled, or with the cause when ctx ends. A job must not
// have it any more.
func (s *Spec) WaitUnused(ctx context.Context) error { return s.uses.wait(ctx) }

// Job is a job that this instance hosts. Its methods are safe for concurrent
// use and never wait for job code or for the registry.
type Job struct {
	name      string
	executor  *Executor
	partition *Partition

	mu sync.Mutex

	spec     *Spec
	current  registry.Assignment
	duties   duties         // of an unmonitored job: which instants of which items are this node's
	orphans  registry.Items // items whose dead owner missed what is due since their floor
	unowned  registry.Items // items that were the instance's and are nobody's now
	running  []*run         // by item: the run in which its code runs here or waits for room
	busy     int            // how many those are
	active   int            // tasks handed to the workers
	queue    fifo           // tasks that wait for room in the job's pool
	heralded []*run         // runs whose items wait for the listeners
	meetings []*run         // runs whose listeners are called once, and are not done
	kept     map[int]*kept  // what running items have left with the node
	retries  map[int]*retry // items with a failed attempt
	cancels  cancels        // of running items that their next fire ends
	// movedTimer ends those of them that are others' now.
	movedTimer *time.Timer
	gaps       gaps
	misfired   []ItemMisfired // to publish when the lock is released
	coalesced  []ItemCoalesced
	skipped    []ItemSkipped
	ended      []endedRetry // likewise

	waiting   []firing  // instants without a verdict, in order
	behind    bool      // missed instants are begun one by one, each when the one before it has ended
	begun     time.Time // the instant whose begin is under way
	decided   time.Time // of a monitored job: instants up to this one have a verdict under the current assignment
	catchUp   bool      // held items may be free: ask for them
	triggered bool      // items may wait for a manual run: ask for them
	queued    bool      // some were waiting when the node last knew
	claims    bool      // items of dead instances may wait: take them over
	orphaned  bool      // some did when the node last knew, and there was no room here
	reports   []*run    // marked runs with finished items to report
	unsure    bool      // the registry may have other marks than what runs here: tell it
	stepping  bool      // the step goroutine runs
	putOff    bool      // instants of an unmonitored job wait for the next renewal
	rejoined  bool      // the session or the spec is another one, the assignment not adopted since
	wasAway   bool      // the session is another than the assignment was adopted under: somebody may have filled in
	fence     int64     // the newest under which items were launched
	distrusts bool      // the registry has lost data: what it says now counts, however old
	left      time.Time // the last instant of this node, zero while it does not leave
	leaving   bool      // what is due after it is for other nodes
	closed    bool      // nothing begins any more

	// triggeredSince is the version of the feed that last told of items which wait for
	// a manual run, and askedSince the one that the last ask for them knew of; zero if
	// it is not known.
	triggeredSince, askedSince int64

	firstRunning [1]*run // where running begins: most jobs have no other item
}

var _ schedule.Target = (*Job)(nil)

// firing is an instant that waits for its verdict: to be begun or, with a
// reason, to be recorded as missed together with those before it.
type firing struct {
	instant time.Time
	source  spi.Source
	// waits says that it begins when nothing of the job runs here any more.
	waits bool

	reason Reason
	count  int
	from   time.Time
}

// maxWaiting bounds the instants that wait for their begin while the registry
// does not answer. Later ones are recorded as missed.
const maxWaiting = 64

// mayBegin reports whether what is due may be begun now. What is not is found
// again when the assignment is adopted or the partition resumes.
func (j *Job) mayBegin() bool {
	// A leaving job has its last monitored instants; unmonitored ones are told by
	// its duties.
	isOver := j.closed || j.leaving && j.isMonitored()
	return !isOver && !j.rejoined && !j.partition.held.Load() && j.partition.session.Load() != nil
}

func (j *Job) isMonitored() bool { return j.spec.Config.MonitorExecution }

// Fire notes that the job is due. It is called by the timer.
func (j *Job) Fire(due schedule.Due) {
	j.mu.Lock()
	defer j.unlock()
	if !j.mayBegin() {
		return
	}
	if !j.isMonitored() {
		j.fireDuties(due)
		return
	}
	if j.isBehind() || j.catchesUpAll() && due.Missed > 0 {
		if due.Instant.After(j.latest()) {
			j.missUnowned(due.Instant)
		}
		j.behind = true
		j.findDue(j.executor.now())
		return
	}
	if due.Missed > 0 && due.To.After(j.latest()) {
		j.enqueue(firing{instant: due.To, reason: ReasonNotRunning, count: due.Missed, from: due.From})
	}
	if !due.Instant.After(j.latest()) {
		return
	}
	j.missUnowned(due.Instant)
	f := firing{instant: due.Instant, source: j.sourceOf(due.Instant)}
	switch {
	case j.current.Disabled:
		f = firing{instant: due.Instant, reason: ReasonDisabled, count: 1, from: due.Instant}
	case f.source == spi.SourceMisfire && !j.spec.Config.Misfire:
		f = firing{instant: due.Instant, reason: ReasonNotRunning, count: 1, from: due.Instant}
	}
	j.enqueue(f)
}

// missUnowned records an instant of the items that nobody may run, unless it has come
// again because the clock was set back.
func (j *Job) missUnowned(instant time.Time) {
	for item := range j.unowned.All() {
		if open, ok := j.gaps[item]; !ok || instant.After(open.to) {
			j.miss(item, ReasonDisabled, 1, instant, instant)
		}
	}
}

// latest returns the last instant that is decided or on its way to be, or followed
// another schedule.
func (j *Job) latest() time.Time {
	if n := len(j.waiting); n > 0 {
		return j.waiting[n-1].instant
	}
	return later(later(j.decided, j.begun), j.spec.Since)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// lateWindow is how late a firing still counts as normal.
const lateWindow = 10 * time.Second

// sourceOf says whether an instant that is begun now is normal or so late that
// it is a catch-up.
func (j *Job) sourceOf(instant time.Time) spi.Source { return sourceAt(j.executor.now(), instant) }

func sourceAt(now, instant time.Time) spi.Source {
	if now.Sub(instant) > lateWindow {
		return spi.SourceMisfire
	}
	return spi.SourceNormal
}

// enqueue takes an instant of a monitored job on its way to a verdict. Instants
// come in order.
func (j *Job) enqueue(f firing) {
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
	if len(j.gaps) == 0 {
		j.gaps = nil
	}
}

// unlock releases the lock and publishes what happened under it.
func (j *Job) unlock() {
	misfired, coalesced, skipped, ended := j.misfired, j.coalesced, j.skipped, j.ended
	j.misfired, j.coalesced, j.skipped, j.ended = nil, nil, nil, nil
	j.mu.Unlock()
	for _, c := range coalesced {
		j.executor.events.Coalesced.Publish(c)
	}
	for _, s := range skipped {
		j.executor.events.ItemSkipped.Publish(s)
	}
	for _, m := range misfired {
		j.executor.events.Misfired.Publish(m)
	}
	for _, one := range ended {
		j.executor.publish(one)
	}
}

// Name returns the job's name.
func (j *Job) Name() string { return j.name }

// Spec returns what the job is made of at present.
func (j *Job) Spec() *Spec {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.spec
}

// Replace gives the job another spec, of which runs are made from now on.
// Nothing begins until the assignment is adopted again. It returns the old spec.
func (j *Job) Replace(spec *Spec) *Spec {
	j.mu.Lock()
	defer j.unlock()
	old := j.spec
	if old.Config.MonitorExecution != spec.Config.MonitorExecution {
		j.decide(j.duties.latest())
		j.duties = nil
	}
	if j.owes() && spec.Since.After(j.decided) {
		j.missBacklog(spec.Since)
	}
	j.decide(spec.Since)
	exists := registry.AllItems(spec.Config.ShardingTotalCount)
	for i := range j.duties {
		j.duties[i].after = later(j.duties[i].after, spec.Since)
		j.duties[i].items = common(j.duties[i].items, exists)
	}
	j.spec = spec
	j.rejoined = j.current.Generation != 0
	return old
}

// Swap makes the job go on with a spec of the same definition and schedule from
// its next run, and returns the former one.
func (j *Job) Swap(spec *Spec) *Spec {
	j.mu.Lock()
	defer j.mu.Unlock()
	old := j.spec
	j.spec = spec
	return old
}

// NeedsTimer reports whether there are instants to fire: the job has items here,
// or had some that nobody may run now.
func (j *Job) NeedsTimer() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return !j.closed && (j.current.Items.Len() > 0 || len(j.duties) > 0 || j.unowned.Len() > 0)
}

// Assignment returns the assignment in force.
func (j *Job) Assignment() registry.Assignment {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.current
}

func (j *Job) isLeaving() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.leaving
}

func (j *Job) isClosed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closed
}

// rejoin says that the node has a new session: nothing begins until the
// assignment is adopted again.
func (j *Job) rejoin() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rejoined = j.current.Generation != 0
	j.wasAway, j.unsure = true, false
}

// resume begins what was put off.
func (j *Job) resume() {
	j.mu.Lock()
	defer j.unlock()
	if j.mayBegin() {
		j.putOff = false
		j.findDue(j.executor.now())
		j.askForHeld()
		if j.queued {
			j.askForTriggered()
		}
		if j.orphaned {
			j.askForOrphans()
		}
	}
}

// leave says which instant is the last of this node. Until handOver nothing
// changes but what assignments mean.
func (j *Job) leave(stopped time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.left = stopped
}

// handOver begins what was due up to the last instant and leaves the rest to
// others, but for items that were given away before and are still this node's for
// a while.
func (j *Job) handOver() {
	j.mu.Lock()
	defer j.unlock()
	j.endPauses()
	if j.closed || j.leaving {
		return
	}
	if j.mayBegin() {
		j.findDue(j.left)
	}
	if j.putOff {
		// Too late to learn whether these were this node's.
		j.missDuties(j.left)
		j.putOff = false
	}
	for i := range j.duties {
		if d := &j.duties[i]; d.until.IsZero() {
			d.until = j.left.Add(time.Millisecond)
		}
	}
	j.leaving = true
	j.catchUp, j.triggered, j.claims = false, false, false
}

// handOverBound is the end of what the node fires of items that it has given
// away, zero if there is nothing of the kind.
func (j *Job) handOverBound() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	var bound time.Time
	for _, d := range j.duties {
		bound = later(bound, d.until)
	}
	return bound
}

// close ends the job: instants without a verdict are recorded as missed, open
// gaps are closed, and nothing is begun any more. Items that run go on.
func (j *Job) close() {
	j.mu.Lock()
	defer j.unlock()
	if j.closed {
		return
	}
	undecided := j.rejoined || j.putOff || j.partition.held.Load() || j.partition.session.Load() == nil
	switch {
	case j.leaving:
		j.missHandOver()
	case undecided:
		j.missUndecided(j.executor.now())
	}
	if j.owes() && !undecided {
		j.leaveBacklog()
	}
	j.closed = true
	for _, f := range j.waiting {
		if f.reason == "" {
			f = firing{instant: f.instant, reason: ReasonNotRunning, count: 1, from: f.instant}
		}
		j.missAll(f)
	}
	j.waiting = nil
	j.catchUp, j.triggered, j.claims = false, false, false
	for _, t := range j.queue.takeAll() {
		j.drop(t)
	}
	for _, r := range j.heralded {
		j.dropAll(r)
	}
	j.heralded = nil
	j.endPauses()
	j.supersedeMoved(time.Time{})
	for _, r := range j.meetings {
		r.meeting.tell()
	}
	for item := range j.gaps {
		j.closeGap(item)
	}
}

// missUndecided records what is due up to now and was never decided.
func (j *Job) missUndecided(now time.Time) {
	if !j.isMonitored() {
		j.missDuties(now)
		return
	}
	if j.decided.IsZero() {
		return
	}
	if due := schedule.Missed(j.spec.Schedule, j.decided, now); due.Count > 0 {
		j.missAll(firing{instant: due.Last, reason: ReasonNotRunning, count: due.Count, from: due.First})
		j.waiting = nil
	}
}

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
	Handlers   []Handler
}

// Handler is an error handler and the type name it goes by.
type Handler struct {
	Type    string
	Handler spi.ErrorHandler
}

// Job is a job that this instance hosts. Its methods are safe for concurrent
// use and never wait for job code or for the registry.
type Job struct {
	name     string
	executor *Executor

	mu sync.Mutex

	spec     *Spec
	current  registry.Assignment
	previous registry.Assignment // of an unmonitored job, until current.From
	decided  time.Time           // no later instant has a verdict here under the current assignment
	rejoined bool                // the session is another one: adopt the assignment again
	waiting  []firing            // instants to begin, in order
	catchUp  bool                // held items may be free: ask for them
	stepping bool                // the step goroutine runs
	closed   bool
	running  []*run // by item: the run in which its code runs here or waits for room
	busy     int    // how many those are
	reports  []*run // marked runs with finished items to report
	gaps     gaps
	active   int  // tasks handed to the workers
	queue    fifo // tasks that wait for room in the job's pool
	ended    bool // no step goroutine starts any more

	misfired []ItemMisfired // to publish when the lock is released
}

var _ schedule.Target = (*Job)(nil)

// firing is an instant that waits for its begin.
type firing struct {
	instant time.Time
	source  spi.Source
}

// maxWaiting bounds the instants that wait for their begin while the registry
// does not answer. Older ones are recorded as missed.
const maxWaiting = 64

// Fire notes that the job is due. It is called by the timer. Without a session
// it does nothing: the instants are found again when the next one has adopted
// its assignment.
func (j *Job) Fire(due schedule.Due) {
	j.mu.Lock()
	defer j.unlock()
	if j.closed || j.current.Items.Len() == 0 || j.executor.session.Load() == nil {
		return
	}
	if due.Missed > 0 && due.To.After(j.decided) {
		j.missAll(ReasonNotRunning, due.Missed, due.From, due.To)
	}
	j.awaitLate(due.Instant, j.executor.lateWindow)
}

// awaitLate queues an instant for its begin, which an unmonitored job does not
// need. One that is later than the window is a catch-up, if the job wants one,
// and missed otherwise.
func (j *Job) awaitLate(instant time.Time, window time.Duration) {
	if !instant.After(j.decided) {
		return
	}
	late := j.executor.now().Sub(instant)
	if late > window && !j.spec.Config.Misfire {
		j.missAll(ReasonNotRunning, 1, instant, instant)
		return
	}
	source := spi.SourceNormal
	if late > j.executor.lateWindow {
		source = spi.SourceMisfire
	}
	if !j.spec.Config.MonitorExecution {
		j.startUnmonitored(firing{instant, source})
		return
	}
	if len(j.waiting) == maxWaiting {
		oldest := j.waiting[0].instant
		j.missAll(ReasonNotRunning, 1, oldest, oldest)
		j.waiting = append(j.waiting[:0], j.waiting[1:]...)
	}
	j.waiting = append(j.waiting, firing{instant, source})
	j.step()
}

// missAll records fires missed by all items of this instance.
func (j *Job) missAll(reason Reason, count int, from, to time.Time) {
	j.decide(to)
	j.missItems(j.current.Items, reason, count, from, to)
}

// decide notes that the instant has a verdict.
func (j *Job) decide(instant time.Time) {
	if instant.After(j.decided) {
		j.decided = instant
	}
}

// missItems records fires missed by items.
func (j *Job) missItems(items registry.Items, reason Reason, count int, from, to time.Time) {
	for item := range items.All() {
		j.publishMisfired(ItemMisfired{Job: j.name, Item: item, Reason: reason, Count: count, From: from, To: to})
	}
}

// publishMisfired publishes the event when the lock is released.
func (j *Job) publishMisfired(m ItemMisfired) { j.misfired = append(j.misfired, m) }

// unlock releases the lock and publishes what happened under it.
func (j *Job) unlock() {
	misfired := j.misfired
	j.misfired = nil
	j.mu.Unlock()
	for _, m := range misfired {
		j.executor.events.Misfired.Publish(m)
	}
}

// closeGap records the item's open gap, if there is one.
func (j *Job) closeGap(item int) {
	if m, ok := j.gaps.close(j.name, item); ok {
		j.publishMisfired(m)
	}
}

// Adopt takes over an assignment unless the job has a newer one. Instants that
// came due for its items since their floor are begun as well.
func (j *Job) Adopt(a registry.Assignment) {
	if j.adopt(a) {
		j.executor.events.Assigned.Publish(ItemsAssigned{Job: j.name, Items: a.Items.String(), Generation: a.Generation})
	}
}

func (j *Job) adopt(a registry.Assignment) bool {
	j.mu.Lock()
	defer j.unlock()
	again := j.rejoined && a.Generation == j.current.Generation
	if j.closed || a.Generation <= j.current.Generation && !again {
		return false
	}
	j.rejoined = false
	if !again {
		j.previous, j.current = j.current, a
		if j.spec.Config.MonitorExecution {
			// What this node decided under the old assignment is in the floors.
			j.decided = time.Time{}
		}
	}
	if a.Items.Len() == 0 {
		return true
	}
	j.adoptDue()
	if j.spec.Config.MonitorExecution {
		j.catchUp = true
		j.step()
	}
	return true
}

// adoptDue looks for instants up to now that nobody has decided: those after
// the floors of the items and, of an unmonitored job, since its assignment came
// into force. The latest is begun like any other; the script leaves out items
// whose floor is not below it.
func (j *Job) adoptDue() {
	if j.spec.Config.Disabled {
		return
	}
	now := j.executor.now()
	var last time.Time
	for _, group := range j.current.Floors {
		after := latest(group.At, j.decided)
		if !j.spec.Config.MonitorExecution {
			after = latest(after, j.current.From.Add(-time.Millisecond))
		}
		due := schedule.Missed(j.spec.Schedule, after, now)
		if due.Count > 1 {
			j.missItems(group.Items, ReasonNotRunning, due.Count-1, due.First, due.BeforeLast)
		}
		if due.Last.After(last) {
			last = due.Last
		}
	}
	if !last.IsZero() {
		j.awaitLate(last, j.executor.handOver)
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Reconfigure gives the job another spec, from its next run on.
func (j *Job) Reconfigure(spec *Spec) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.spec = spec
}

// Assignment returns the assignment in force.
func (j *Job) Assignment() registry.Assignment {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.current
}

// Running returns how many items run or wait for room.
func (j *Job) Running() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.busy
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

// rejoin says that the node has a new session.
func (j *Job) rejoin() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rejoined = true
}

// close ends the job: instants without a verdict are recorded as missed, open
// gaps are closed, and nothing is begun any more. Items that run go on.
func (j *Job) close() {
	j.mu.Lock()
	defer j.unlock()
	j.closed = true
	if j.executor.session.Load() == nil && !j.decided.IsZero() {
		if due := schedule.Missed(j.spec.Schedule, j.decided, j.executor.now()); due.Count > 0 {
			j.missAll(ReasonNotRunning, due.Count, due.First, due.Last)
			j.waiting = nil
		}
	}
	for _, f := range j.waiting {
		j.missAll(ReasonNotRunning, 1, f.instant, f.instant)
	}
	j.waiting = nil
	j.catchUp = false
	for _, task := range j.queue.takeAll() {
		j.drop(task)
	}
	for item := range j.gaps {
		j.closeGap(item)
	}
}

// end lets no step goroutine start any more.
func (j *Job) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
}

// drop gives up a task that has not started: its fire counts as missed and its
// mark is completed.
func (j *Job) drop(t task) {
	j.publishMisfired(ItemMisfired{
		Job: j.name, Item: t.item, Reason: ReasonNotRunning, Count: 1, From: t.run.instant, To: t.run.instant,
	})
	j.release(t.item)
	j.report(t.run, t.item, false)
}

// launch makes tasks of the items of a run. The caller holds the lock.
func (j *Job) launch(r *run, items registry.Items) {
	for item := range items.All() {
		if j.isBusy(item) {
			// Code of an earlier lease ignored its cancellation and still
			// runs: keep the promise that runs of an item never overlap here.
			j.gaps.add(item, ReasonStillRunning, 1, r.instant, r.instant)
			j.report(r, item, false)
			continue
		}
		j.closeGap(item)
		j.occupy(item, r)
		t := task{r, item}
		if j.active >= r.spec.Pool {
			j.queue.push(t)
			continue
		}
		j.active++
		j.executor.workers.submit(t)
	}
}

// itemDone takes note that the code of an item has returned.
func (j *Job) itemDone(r *run, item int, success bool) {
	j.mu.Lock()
	defer j.unlock()
	j.release(item)
	if next, ok := j.queue.pop(); ok {
		j.executor.workers.submit(next)
	} else {
		j.active--
	}
	j.report(r, item, success)
	if !r.marked {
		j.catchUpUnmonitored(item)
	}
}

// report notes a finished item for the next complete. The caller holds the
// lock.
func (j *Job) report(r *run, item int, success bool) {
	r.unfinished--
	if !r.marked {
		return
	}
	if r.unreported == nil {
		r.unreported = make(map[int]bool, r.unfinished+1)
	}
	if len(r.unreported) == 0 {
		j.reports = append(j.reports, r)
	}
	r.unreported[item] = success
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

package execution

import (
	"cmp"
	"time"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// drop gives up a task that has not started: its fire counts as missed and its
// mark is completed. A retry ends as its last attempt did, an item of a manual run
// has another turn elsewhere, and one that was taken over another taker.
func (j *Job) drop(t task) {
	if t.attempt > 1 {
		j.giveUp(j.retries[t.item], cmp.Or(j.retryEnd(t.item), hostcall.ReasonStopping))
		return
	}
	j.release(t.item)
	j.abandon(t, ReasonNotRunning)
	if !t.run.givesBack() {
		j.closeGap(t.item)
	}
}

// abandon ends an item of a run before it starts.
func (j *Job) abandon(t task, reason Reason) {
	if t.run.givesBack() {
		j.report(t.run, t.item, outcomeReturned, nil)
		return
	}
	j.miss(t.item, reason, 1, t.run.instant, t.run.instant)
	j.report(t.run, t.item, OutcomeCancelled, nil)
}

// admit lets a task run when there is room.
func (j *Job) admit(t task) {
	if j.active >= t.run.spec.Pool {
		j.queue.push(t)
		return
	}
	j.active++
	j.executor.workers.submit(t)
}

// launch makes tasks of the items of a run.
func (j *Job) launch(r *run, items registry.Items) {
	for item := range items.All() {
		if j.isBusy(item) {
			// Code of an earlier lease ignored its cancellation and still
			// runs: keep the promise that runs of an item never overlap here.
			j.abandon(task{r, item, 1}, ReasonStillRunning)
			continue
		}
		j.occupy(item, r)
		t := task{r, item, 1}
		switch {
		case j.closed:
			// The begin was under way when the node began to stop.
			j.drop(t)
			continue
		case len(r.spec.Listeners) > 0 || r.meeting != nil:
			r.accompany(item)
		default:
			j.admit(t)
		}
		if !r.givesBack() {
			if r.source == spi.SourceNormal {
				j.gaps.take(item, r.instant)
			}
			j.closeGap(item)
		}
	}
	if r.company != nil {
		j.herald(r)
	}
}

// occupy notes that an item runs, or waits for room, in a run.
func (j *Job) occupy(item int, r *run) {
	if j.running == nil {
		j.running = j.firstRunning[:]
	}
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
	if j.kept != nil {
		delete(j.kept, item)
	}
	if j.retries != nil {
		delete(j.retries, item)
	}
}

// isBusy reports whether an item runs or waits for room.
func (j *Job) isBusy(item int) bool { return item < len(j.running) && j.running[item] != nil }

// itemDone takes note that the code of an item has returned.
func (j *Job) itemDone(r *run, item int, outcome Outcome, err *spi.Error) {
	j.mu.Lock()
	defer j.unlock()
	j.release(item)
	j.freePlace()
	j.report(r, item, outcome, err)
	j.followUp(r, item)
}

// noticeLoss is called before code begins that had to wait: a process that was stopped
// meanwhile notices first whether its lease is over, which ends the session.
func (j *Job) noticeLoss() { j.partition.center.Alive() }

// freePlace lets the next task run in the place of one that has ended.
func (j *Job) freePlace() {
	if next, ok := j.queue.pop(); ok {
		j.noticeLoss()
		j.executor.workers.submit(next)
	} else {
		j.active--
	}
	if j.orphaned {
		j.askForOrphans()
	}
}

// report notes a finished item for the listeners and for the next complete.
func (j *Job) report(r *run, item int, outcome Outcome, err *spi.Error) {
	r.unfinished--
	if r.company != nil {
		told := outcome
		if told == outcomeReturned || told == OutcomeFenced {
			told = OutcomeCancelled
		}
		r.company.note(item, told, err, r.unfinished == 0)
	}
	if r.unfinished == 0 {
		r.spec.uses.done()
	}
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

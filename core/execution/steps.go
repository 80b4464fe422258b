package execution

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// step starts the job's step goroutine unless it runs. One goroutine a job
// keeps begins in the order of their instants and a complete before the begin
// that follows it. The caller holds the lock.
func (j *Job) step() {
	if j.stepping || j.ended || !j.hasStep() {
		return
	}
	j.stepping = true
	j.executor.steps.Go(func() {
		for {
			do := j.nextStep()
			if do == nil {
				return
			}
			do()
		}
	})
}

// hasStep reports whether there is something to do. The caller holds the lock.
func (j *Job) hasStep() bool {
	return len(j.waiting) > 0 || j.catchUp || j.isReportDue()
}

// isReportDue reports whether finished items are to be reported now: their
// run is over, the first of them has waited long enough, a begin follows, or
// the job is closed.
func (j *Job) isReportDue() bool {
	if len(j.waiting) > 0 || j.closed {
		return len(j.reports) > 0
	}
	for _, r := range j.reports {
		if r.unfinished == 0 || r.overdue {
			return true
		}
	}
	return false
}

// nextStep takes the next thing to do, or ends the step goroutine.
func (j *Job) nextStep() func() {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.isReportDue():
		reports := j.reports
		j.reports = nil
		var keep []*run
		var due []report
		for _, r := range reports {
			if r.unfinished > 0 && !r.overdue && len(j.waiting) == 0 && !j.closed {
				keep = append(keep, r)
				continue
			}
			due = append(due, r.takeReport())
		}
		j.reports = keep
		return func() { j.complete(due) }
	case len(j.waiting) > 0:
		f := j.waiting[0]
		j.waiting = append(j.waiting[:0], j.waiting[1:]...)
		return func() { j.begin(f) }
	case j.catchUp:
		j.catchUp = false
		return j.beginMisfired
	}
	j.stepping = false
	return nil
}

// report is a set of finished items of one run, by success.
type report struct {
	run               *run
	succeeded, failed registry.Items
}

// takeReport takes what the run has to report. The caller holds the job's
// lock.
func (r *run) takeReport() report {
	var succeeded, failed []int
	for item, success := range r.unreported {
		if success {
			succeeded = append(succeeded, item)
		} else {
			failed = append(failed, item)
		}
	}
	clear(r.unreported)
	r.overdue = false
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	return report{run: r, succeeded: registry.NewItems(succeeded...), failed: registry.NewItems(failed...)}
}

// complete tells the registry of finished items.
func (j *Job) complete(reports []report) {
	for _, r := range reports {
		for _, part := range []struct {
			items   registry.Items
			outcome registry.Outcome
		}{{r.succeeded, registry.OutcomeSuccess}, {r.failed, registry.OutcomeFailure}} {
			if part.items.Len() == 0 {
				continue
			}
			reply, err := untilAnswered(j, r.run.session, &r.run.session.completes, registry.CompleteRequest{
				Lease: r.run.session.lease, Job: j.name, Fence: r.run.fence, Items: part.items, Outcome: part.outcome,
			})
			if err != nil {
				// The lease is gone and its marks with it.
				j.executor.logger.Warn("completion not recorded", "job", j.name, "items", part.items.String(), "run", r.run.id, "err", err)
				continue
			}
			if reply.HasMisfire {
				j.mu.Lock()
				j.catchUp = !j.closed
				j.mu.Unlock()
			}
		}
	}
}

// begin asks the registry to begin a normal firing and launches what may go.
// An instant that stays undecided, because the lease is lost or the assignment
// stale, is found again when the next assignment is adopted.
func (j *Job) begin(f firing) {
	s := j.executor.session.Load()
	j.mu.Lock()
	generation, done := j.current.Generation, !f.instant.After(j.decided)
	j.mu.Unlock()
	if s == nil || done {
		return
	}
	reply, err := untilAnswered(j, s, &s.begins, registry.BeginRequest{
		Lease: s.lease, Job: j.name, Generation: generation, Kind: registry.KindNormal, Instant: f.instant,
	})
	if err != nil {
		return
	}
	switch reply.Code {
	case registry.CodeOK, registry.CodeNone:
		j.apply(s, f, reply)
	case registry.CodeStale:
		j.executor.refresh(s.ctx, j.name)
	case registry.CodeDisabled:
		j.mu.Lock()
		defer j.unlock()
		j.missAll(ReasonDisabled, 1, f.instant, f.instant)
	case registry.CodeDuplicate:
		// Decided before, as after a step of the clock back.
		j.mu.Lock()
		defer j.unlock()
		j.decide(f.instant)
	case registry.CodeUnknownJob:
		j.executor.logger.Warn("job is gone from the registry", "job", j.name)
	}
}

// heldReason is why an item that still runs misses an instant.
func (j *Job) heldReason() Reason {
	if j.spec.Config.Misfire {
		return ReasonStillRunning
	}
	return ReasonMisfireOff
}

// apply launches the items that the registry lets go and notes those it holds.
func (j *Job) apply(s *session, f firing, reply registry.BeginReply) {
	j.mu.Lock()
	defer j.unlock()
	j.decide(f.instant)
	for item := range reply.Held.All() {
		if j.gaps.add(item, j.heldReason(), 1, f.instant, f.instant) {
			j.executor.logger.Debug("item is still running", "job", j.name, "item", item, "run", registry.FormatRunID(f.instant))
		}
	}
	if reply.Items.Len() == 0 {
		return
	}
	j.launch(newRun(j, s, j.spec, f.instant, f.source, reply.Fence, reply.Items, true), reply.Items)
}

// beginMisfired catches up items that were held, until none is left that is
// free.
func (j *Job) beginMisfired() {
	for {
		s := j.executor.session.Load()
		generation := j.Assignment().Generation
		if s == nil {
			return
		}
		reply, err := untilAnswered(j, s, &s.begins, registry.BeginRequest{
			Lease: s.lease, Job: j.name, Generation: generation, Kind: registry.KindMisfire, Request: "m" + uuid.NewString(),
		})
		switch {
		case err != nil:
			return
		case reply.Code == registry.CodeStale:
			j.executor.refresh(s.ctx, j.name)
			return
		case reply.Code != registry.CodeOK:
			return
		}
		j.apply(s, firing{reply.Instant, spi.SourceMisfire}, reply)
	}
}

// startUnmonitored starts a firing that asks the registry nothing. The caller
// holds the lock.
func (j *Job) startUnmonitored(f firing) {
	s := j.executor.session.Load()
	if s == nil {
		return
	}
	if !j.executor.fresh(f.instant) {
		j.missAll(ReasonNotRunning, 1, f.instant, f.instant)
		return
	}
	j.decide(f.instant)
	owned := &j.current
	if f.instant.Before(owned.From) {
		owned = &j.previous
	}
	items := owned.Items
	if j.busy > 0 {
		items = j.holdBusy(items, f.instant)
	}
	if items.Len() == 0 {
		return
	}
	j.launch(newRun(j, s, j.spec, f.instant, f.source, owned.Generation, items, false), items)
}

// holdBusy notes that the busy ones of the items miss an instant and returns
// the others. The caller holds the lock.
func (j *Job) holdBusy(items registry.Items, instant time.Time) registry.Items {
	var free []int
	for item := range items.All() {
		if j.isBusy(item) {
			j.gaps.add(item, j.heldReason(), 1, instant, instant)
			continue
		}
		free = append(free, item)
	}
	return registry.NewItems(free...)
}

// catchUpUnmonitored runs an item once that missed fires while it ran. The
// caller holds the lock.
func (j *Job) catchUpUnmonitored(item int) {
	open, missed := j.gaps[item]
	s := j.executor.session.Load()
	if !missed || j.closed || s == nil || !j.current.Items.Contains(item) || open.reason == ReasonMisfireOff {
		return
	}
	items := registry.NewItems(item)
	j.launch(newRun(j, s, j.spec, open.to, spi.SourceMisfire, j.current.Generation, items, false), items)
}

// Bounds of the pause between two tries to get an answer from the registry.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
)

// untilAnswered repeats a request, which must be idempotent, until it is
// answered or the session ends: an answer that is never read leaves a mark
// that blocks its items.
func untilAnswered[Request, Reply any](j *Job, s *session, line *batcher[Request, Reply], request Request) (Reply, error) {
	var none Reply
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		reply, err := line.do(s.marksCtx, request)
		if err == nil {
			return reply, nil
		}
		if errors.Is(err, registry.ErrLeaseLost) {
			j.executor.leaseLost(s.lease)
			return none, err
		}
		if cause := context.Cause(s.marksCtx); cause != nil {
			return none, fmt.Errorf("%w (%w)", cause, err)
		}
		j.executor.logger.Warn("registry did not answer, trying again", "job", j.name, "err", err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-s.marksCtx.Done():
			timer.Stop()
			return none, context.Cause(s.marksCtx)
		}
	}
}

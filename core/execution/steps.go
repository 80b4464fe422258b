package execution

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/service"
)

// step starts the job's step goroutine unless it runs. One goroutine a job
// keeps begins in the order of their instants and a complete before the begin
// that follows it. The caller holds the lock, as of all methods here that do
// not take it.
func (j *Job) step() {
	if j.stepping || !j.hasStep() || !j.executor.steps.add() {
		return
	}
	j.stepping = true
	go func() {
		defer j.executor.steps.done()
		for do := j.nextStep(); do != nil; do = j.nextStep() {
			do()
		}
	}()
}

// hasStep reports whether there is something to do. Until the assignment is
// adopted under a new session, that is reports and reassertions only.
func (j *Job) hasStep() bool {
	return j.unsure || !j.rejoined && (len(j.waiting) > 0 || j.claims || j.catchUp || j.triggered) || j.isReportDue()
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
	j.postpone()
	switch {
	case j.unsure:
		// Before anything else begins, and while nothing else is asked.
		j.unsure = false
		return j.reassert
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
	case j.rejoined:
	case len(j.waiting) > 0 && !j.givesWay():
		f := j.waiting[0]
		j.waiting = append(j.waiting[:0], j.waiting[1:]...)
		j.begun = f.instant
		return func() { j.begin(f) }
	case j.claims:
		j.claims = false
		return j.claimOrphans
	case j.triggered:
		// Before what is caught up: a job that is always behind would never let a
		// manual run have its turn.
		j.triggered = false
		return j.beginTriggered
	case j.catchUp:
		j.catchUp = false
		return j.beginMisfired
	}
	j.stepping = false
	return nil
}

// report is a set of finished items of one run, by outcome.
type report struct {
	run   *run
	items map[registry.Outcome][]int
}

// takeReport takes what the run has to report.
func (r *run) takeReport() report {
	items := make(map[registry.Outcome][]int, 1)
	for item, outcome := range r.unreported {
		o := registry.OutcomeFailure
		switch outcome {
		case OutcomeSuccess:
			o = registry.OutcomeSuccess
		case OutcomeCancelled, OutcomeFenced:
			o = registry.OutcomeCancelled
		case outcomeReturned:
			o = registry.OutcomeReturned
		case OutcomeFailure:
		}
		items[o] = append(items[o], item)
	}
	clear(r.unreported)
	r.overdue = false
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	return report{run: r, items: items}
}

// complete tells the registry of finished items.
func (j *Job) complete(reports []report) {
	for _, r := range reports {
		for outcome, list := range r.items {
			items := registry.NewItems(list...)
			request := registry.CompleteRequest{Lease: r.run.session.lease, Job: j.name, Fence: r.run.fence, Items: items, Outcome: outcome, Manual: r.run.isManual, Claimed: r.run.isClaimed()}
			if r.run.meeting != nil {
				request.Run = r.run.meeting.run
			}
			reply, err := untilAnswered(j, r.run.session, &r.run.session.completes, request)
			r.run.hasReported(items.Len(), reply.Gathering)
			if err != nil {
				// The lease is gone and its marks with it.
				j.executor.logger.Warn("completion not recorded", "job", j.name, "items", items.String(), "run", r.run.id, "err", err)
				for item := range items.All() {
					if outcome == registry.OutcomeReturned {
						break // it has not run
					}
					j.executor.events.Fenced.Publish(ItemFenced{Job: j.name, Item: item, Run: r.run.id})
				}
				continue
			}
			if reply.HasMisfire || reply.HasQueued || reply.HasFailover {
				j.mu.Lock()
				canBegin := !j.closed && !j.leaving
				j.catchUp = j.catchUp || reply.HasMisfire && canBegin
				j.triggered = j.triggered || reply.HasQueued && canBegin
				j.claims = j.claims || reply.HasFailover && canBegin
				j.mu.Unlock()
			}
		}
	}
}

// begin gives an instant its verdict: it asks the registry which items may go
// and launches them. An instant that stays undecided, because the lease is lost
// or the assignment stale, is found again when the next one is adopted.
func (j *Job) begin(f firing) {
	j.mu.Lock()
	generation, total, owns, gathers := j.current.Generation, j.current.Total, j.current.Items.Len() > 0, len(j.spec.OnceListeners) > 0
	if f.reason != "" || !owns {
		j.begun = time.Time{}
		j.missAll(f)
		j.unlock()
		return
	}
	j.mu.Unlock()
	s := j.partition.session.Load()
	if s == nil {
		j.undecided(f)
		return
	}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		reply, err := untilAnswered(j, s, &s.begins, registry.BeginRequest{
			Lease: s.lease, Job: j.name, Generation: generation, Kind: registry.KindNormal, Instant: f.instant, Gathers: gathers,
		})
		if err != nil {
			j.undecided(f)
			return
		}
		switch reply.Code {
		case registry.CodeEarly:
			// This node's notion of the server's time is wrong. It is mended by the
			// next renewal; the instant waits.
			j.executor.tooEarly(j.name, f.instant)
		case registry.CodeStale:
			if reply.Generation < generation {
				// Generations rise: the registry has lost this one.
				j.distrust()
			}
			if j.partition.center.Refresh(s.ctx, j.name); j.Assignment().Generation != generation {
				j.undecided(f)
				return
			}
		default:
			j.apply(s, f, asked{generation, total}, reply)
			return
		}
		if j.isClosed() || !service.Sleep(s.marksCtx, pause) {
			j.undecided(f)
			return
		}
	}
}

// undecided puts an instant back to be found again, or, when the job is
// closed, records it as missed.
func (j *Job) undecided(f firing) {
	j.mu.Lock()
	defer j.unlock()
	j.begun = time.Time{}
	switch {
	case j.closed:
		j.missAll(firing{instant: f.instant, reason: ReasonNotRunning, count: 1, from: f.instant})
		for item := range j.gaps {
			j.closeGap(item)
		}
	case j.mayBegin():
		j.findDue(j.executor.now())
	}
}

// hold notes that an item which still runs misses an instant.
func (j *Job) hold(item int, instant time.Time) {
	reason := ReasonMisfireOff
	if j.spec.Config.CatchesUpHeld() {
		reason = ReasonStillRunning
	} else {
		j.skipped = append(j.skipped, ItemSkipped{Job: j.name, Item: item, Run: registry.FormatRunID(instant)})
	}
	j.miss(item, reason, 1, instant, instant)
	j.supersede(item, instant)
}

// coalesce notes that a fire of an item has a later one that stands for it. Who
// had the item before may have died, and with it what it was to tell of that fire.
func (j *Job) coalesce(item int, instant, into time.Time) {
	j.coalesced = append(j.coalesced, ItemCoalesced{Job: j.name, Item: item, Run: registry.FormatRunID(instant), Into: registry.FormatRunID(into)})
}

// asked is what of the assignment counts for the answer to a begin.
type asked struct {
	generation int64
	total      int // see registry.Assignment
}

// apply carries out the answer to a begin under an assignment.
func (j *Job) apply(s *session, f firing, under asked, reply registry.BeginReply) {
	j.mu.Lock()
	defer j.unlock()
	switch reply.Code {
	case registry.CodeOK, registry.CodeNone:
		for _, group := range reply.Coalesced {
			for item := range group.Items.All() {
				j.coalesce(item, group.At, f.instant)
			}
		}
		for item := range reply.Held.All() {
			j.hold(item, f.instant)
		}
		if j.current.Generation == under.generation {
			for item := range common(j.current.Items, j.current.DisabledItems).All() {
				j.miss(item, ReasonDisabled, 1, f.instant, f.instant)
			}
		}
		// An answer that was long on its way may come after the lease's end, and a
		// repeated request has the answer of the first.
		if reply.Items.Len() > 0 && reply.Fence > j.fence && j.partition.center.Alive() {
			j.fence = reply.Fence
			r := newRun(j, s, j.spec, reply.Instant, f.source, reply.Fence, reply.Items, true)
			r.gather(reply.Gathering)
			r.of(under.total)
			j.launch(r, reply.Items)
		}
	case registry.CodeDisabled:
		j.missAll(firing{instant: f.instant, reason: ReasonDisabled, count: 1, from: f.instant})
	case registry.CodeOver:
		for item := range reply.Held.All() {
			j.miss(item, j.absence(item), 1, f.instant, f.instant)
		}
	case registry.CodeDuplicate:
		// Decided before, as after a step of the clock back.
	default:
		j.behind = false
		j.executor.logger.Warn("firing refused", "job", j.name, "run", registry.FormatRunID(f.instant), "code", reply.Code.String())
	}
	j.begun = time.Time{}
	if j.current.Generation == under.generation {
		j.decide(f.instant)
		j.catchUpNext()
		return
	}
	// The assignment changed meanwhile: items that are new here may owe the
	// same instant.
	if j.mayBegin() {
		j.findDue(j.executor.now())
	}
}

// beginMisfired catches up items that were held, until none is left that is
// free.
func (j *Job) beginMisfired() {
	for {
		s := j.partition.session.Load()
		j.mu.Lock()
		generation, total, mayBegin := j.current.Generation, j.current.Total, j.mayBegin()
		j.mu.Unlock()
		if s == nil || !mayBegin {
			return
		}
		reply, err := untilAnswered(j, s, &s.begins, registry.BeginRequest{
			Lease: s.lease, Job: j.name, Generation: generation, Kind: registry.KindMisfire, Request: s.request("m"),
		})
		switch {
		case err != nil:
			return
		case reply.Code == registry.CodeStale:
			j.partition.center.Refresh(s.ctx, j.name)
			return
		case reply.Code != registry.CodeOK:
			return
		}
		if !j.partition.center.Alive() {
			return
		}
		j.mu.Lock()
		j.fence = max(j.fence, reply.Fence)
		r := newRun(j, s, j.spec, reply.Instant, j.catchUpSource(reply.Instant), reply.Fence, reply.Items, true)
		r.of(total)
		j.launch(r, reply.Items)
		j.unlock()
	}
}

const (
	// firstPause is the one before something is asked of the registry again, the
	// next ones are longer.
	firstPause = 20 * time.Millisecond
	// longestPause is that before a begin which was refused as stale or early.
	longestPause = time.Second
)

// untilAnswered repeats a request, which must be idempotent, until it is
// answered or the session ends: an answer that is never read leaves a mark
// that blocks its items.
func untilAnswered[Request, Reply any](j *Job, s *session, line *batcher[Request, Reply], request Request) (Reply, error) {
	var none Reply
	for {
		reply, err := line.do(s.marksCtx, request)
		if err == nil {
			return reply, nil
		}
		if isRefusal(err) {
			if errors.Is(err, registry.ErrQuarantined) {
				j.partition.held.Store(true)
			}
			j.partition.center.Refused(s.lease, err)
			return none, err
		}
		if cause := context.Cause(s.marksCtx); cause != nil {
			return none, fmt.Errorf("%w (%w)", cause, err)
		}
		j.executor.noAnswer(j.name, err)
	}
}

package execution

import (
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Triggered says that items of the job wait for a manual run since the given version
// of the feed, zero if that is not known. Said twice, by the doorbell and the feed,
// it is asked for once.
func (j *Job) Triggered(version int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if version != 0 && version == j.askedSince {
		return
	}
	j.triggeredSince = version
	j.askForTriggered()
}

// askForTriggered begins what waits for a manual run. It reports false when
// nothing is begun here any more: the items are left to others. The caller holds
// the lock, as of all methods here that do not take it.
func (j *Job) askForTriggered() bool {
	if j.closed || j.leaving {
		return false
	}
	j.triggered = true
	j.step()
	return true
}

// beginTriggered runs items that wait for manual triggers, one trigger after the
// other, until none is left that is free.
func (j *Job) beginTriggered() {
	defer j.catchUpAfterTriggers()
	for {
		s := j.partition.session.Load()
		j.mu.Lock()
		generation, canBegin := j.current.Generation, s != nil && j.mayBegin() && !j.leaving
		// Until the answer says otherwise; whatever keeps it from coming ends with
		// another ask.
		j.queued = j.current.Items.Len() > 0
		gathers := len(j.spec.OnceListeners) > 0
		var busy registry.Items
		if canBegin = canBegin && j.queued; canBegin {
			busy = j.unfree()
			j.askedSince = j.triggeredSince
		}
		j.mu.Unlock()
		if !canBegin {
			return
		}
		reply, err := untilAnswered(j, s, &s.begins, registry.BeginRequest{
			Lease: s.lease, Job: j.name, Generation: generation, Kind: registry.KindOneOff, Busy: busy, Request: s.request("o"), Gathers: gathers,
		})
		switch {
		case err != nil:
			return
		case reply.Code == registry.CodeStale:
			j.partition.center.Refresh(s.ctx, j.name)
			return
		case reply.Code != registry.CodeOK && reply.Code != registry.CodeNone:
			return
		}
		if !j.partition.center.Alive() {
			return
		}
		j.mu.Lock()
		j.queued = reply.Held.Len() > 0 || reply.More
		if reply.Code == registry.CodeOK {
			j.fence = max(j.fence, reply.Fence)
			j.launch(newManualRun(j, s, generation, reply), reply.Items)
		}
		j.unlock()
		if !reply.More {
			return
		}
	}
}

// unfree are the items that the registry may think free and that are not to run
// now: those that run here or wait for room, as it does not know of runs of an
// unmonitored job and of code that has outlived its lease, and those that a former
// owner may still fire, for which it asks again when that is over.
func (j *Job) unfree() registry.Items {
	items := j.inHand().Slice()
	var wait time.Duration
	for _, d := range j.duties {
		// Generations are microseconds: nobody has fired a one-off job since.
		isIdle := j.spec.Config.IsOneOff() && j.spec.Since.Before(time.UnixMicro(d.generation))
		if left := d.after.Sub(j.executor.now()); left >= 0 && d.until.IsZero() && !isIdle {
			items = append(items, d.items.Slice()...)
			wait = max(wait, left+time.Millisecond)
		}
	}
	if wait > 0 {
		time.AfterFunc(wait, func() { j.Triggered(0) })
	}
	return registry.NewItems(items...)
}

// newManualRun returns the run of a trigger.
func newManualRun(j *Job, s *session, generation int64, reply registry.BeginReply) *run {
	r := newRun(j, s, j.spec, reply.Instant, spi.SourceOneOff, reply.Fence, reply.Items, true)
	r.id, r.parameter, r.isManual = reply.Trigger, reply.Parameter, true
	if !j.isMonitored() {
		r.token = generation
	}
	r.gather(reply.Gathering)
	return r
}

// jobParameter is the parameter of the job in this run.
func (r *run) jobParameter() string {
	if r.parameter != nil {
		return *r.parameter
	}
	return r.spec.Config.JobParameter
}

// followUp begins what an item that has ended has held up and no reply of the
// registry tells of.
func (j *Job) followUp(r *run, item int) {
	isUnknown := !r.marked || r.session != j.partition.session.Load()
	if j.queued && isUnknown && j.askForTriggered() {
		return // what is to be caught up comes after it
	}
	if !r.marked || !j.isMonitored() {
		j.catchUpUnmonitored(item)
	}
	j.catchUpNext()
}

// catchUpAfterTriggers runs items of an unmonitored job that missed fires and did
// not get a manual run.
func (j *Job) catchUpAfterTriggers() {
	j.mu.Lock()
	defer j.unlock()
	if j.isMonitored() {
		return
	}
	for item, open := range j.gaps {
		if open.reason == ReasonStillRunning && !j.isBusy(item) {
			j.catchUpUnmonitored(item)
		}
	}
}

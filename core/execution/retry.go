package execution

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// retry is an item of a run of which an attempt has failed and another one is
// to follow. It exists from the first failure until the item is done. All of it is
// guarded by the lock of the job.
type retry struct {
	run  *run
	item int
	task string // the id of the run's task here, which all attempts share

	// attempt is the last one that has failed, from 1, context what it was called
	// with and err what became of it.
	attempt int
	context spi.ShardingContext
	err     *spi.Error

	// pause is the timer of the pause after it, nil when that is over. While it
	// lasts, unwatch ends watching the session of the run.
	pause   *time.Timer
	unwatch func() bool
}

// endedRetry is an item that had retries left and is not run again.
type endedRetry struct {
	failure failure
	attempt int
	reason  string
}

// isRetried reports whether the engine runs an item again after a failure of this
// code. Only those are left out which can but be refused again until somebody has
// changed the job, its grants or its plugin. The hint of an error does not count:
// it is absent from every plain error.
func isRetried(code spi.Code) bool {
	switch code {
	case spi.CodeInvalidProperties, spi.CodeUnsupported, spi.CodeDenied:
		return false
	default:
		return true
	}
}

// retry takes an item whose attempt has failed for another one, unless none is
// left or the item is to end. The item stays in its run and keeps its mark; its
// place among the workers is free during the pause.
func (j *Job) retry(c *itemCall, err *spi.Error) bool {
	config := &c.run.spec.Config
	if c.attempt > config.MaxRetries || !isRetried(err.Code) {
		return false
	}
	j.mu.Lock()
	defer j.unlock()
	if j.retryEnd(c.item) != "" {
		return false
	}
	one := j.retries[c.item]
	if one == nil {
		one = &retry{run: c.run, item: c.item, task: c.task}
		if j.retries == nil {
			j.retries = make(map[int]*retry)
		}
		j.retries[c.item] = one
	}
	one.attempt, one.context, one.err = c.attempt, c.sharding, err
	one.pause = time.AfterFunc(config.RetryPause(c.attempt), func() { j.again(one) })
	// It may have ended by now, then this comes at once.
	session := c.run.session.ctx
	one.unwatch = context.AfterFunc(session, func() { j.endPause(one, contextReason(session)) })
	j.freePlace()
	return true
}

// again lets the next attempt wait for room when the pause is over.
func (j *Job) again(one *retry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if one.pause == nil {
		return // it was ended when the timer had fired
	}
	one.endPause()
	j.noticeLoss()
	j.admit(task{one.run, one.item, one.attempt + 1})
}

// endPause notes that the pause is over.
func (one *retry) endPause() {
	one.pause.Stop()
	one.unwatch()
	one.pause, one.unwatch = nil, nil
}

// endPause ends an item in its pause, if that still lasts.
func (j *Job) endPause(one *retry, reason string) {
	j.mu.Lock()
	defer j.unlock()
	if one.pause != nil {
		j.giveUp(one, reason)
	}
}

// retryEnd is why an item gets no other attempt, "" if it may. A strategy that is
// asked after every run moves items all the time: those keep their attempts, and
// their new owners wait for the end of the run.
func (j *Job) retryEnd(item int) string {
	reason := j.endReason(item)
	if reason == hostcall.ReasonReshard && j.current.How == registry.HowEveryRun && item < j.spec.Config.ShardingTotalCount {
		return ""
	}
	return reason
}

// endPauses ends the items in their pause that are to end now. An item is told to
// end for the same reasons while its code runs.
func (j *Job) endPauses() {
	if len(j.retries) == 0 {
		return
	}
	var paused []int
	for item, one := range j.retries {
		if one.pause != nil {
			paused = append(paused, item)
		}
	}
	slices.Sort(paused)
	for _, item := range paused {
		if reason := j.retryEnd(item); reason != "" {
			j.giveUp(j.retries[item], reason)
		}
	}
}

// giveUp ends an item whose next attempt has not begun: its last failure is how it
// ended.
func (j *Job) giveUp(one *retry, reason string) {
	if one.pause != nil {
		one.endPause()
	}
	r := one.run
	j.ended = append(j.ended, endedRetry{
		failure: failure{run: r, item: one.item, context: one.context, err: one.err}, attempt: one.attempt, reason: reason,
	})
	r.spec.uses.add() // until the failure is with the handlers
	j.release(one.item)
	j.report(r, one.item, OutcomeFailure, one.err)
	j.followUp(r, one.item)
}

// publish hands the last failure to the error handlers.
func (e *Executor) publish(ended endedRetry) {
	r := ended.failure.run
	e.logger.LogAttrs(context.Background(), slog.LevelWarn, "item not run again",
		slog.String("job", r.job.name), slog.Int("item", ended.failure.item), slog.String("run", r.id),
		slog.Int("attempt", ended.attempt), slog.Int("retries", r.spec.Config.MaxRetries), slog.String("reason", ended.reason))
	e.handlers.submit(ended.failure)
	r.spec.uses.done()
}

// attemptOf is the attempt of an item that runs here, 0 when none does because the
// item is in its pause.
func (j *Job) attemptOf(item int) int {
	switch one := j.retries[item]; {
	case one == nil:
		return 1
	case one.pause != nil:
		return 0
	default:
		return one.attempt + 1
	}
}

// earlier is what the earlier attempts of an item have left for its next one.
func (j *Job) earlier(item int) (task string, checkpoint []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if one := j.retries[item]; one != nil {
		task = one.task
	}
	if k := j.kept[item]; k != nil {
		checkpoint = slices.Clone(k.checkpoint)
	}
	return task, checkpoint
}

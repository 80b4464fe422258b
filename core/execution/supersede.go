package execution

import (
	"context"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// cancels end the contexts of running items.
type cancels map[int]context.CancelCauseFunc

// cancellable makes the context of an item's code one that the item's next fire
// ends. forget is to be called when the code has returned.
func (j *Job) cancellable(ctx context.Context, item int) (cancellable context.Context, forget func()) {
	cancellable, cancel := context.WithCancelCause(ctx)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.cancels == nil {
		j.cancels = make(cancels)
	}
	j.cancels[item] = cancel
	return cancellable, func() {
		j.mu.Lock()
		delete(j.cancels, item)
		j.mu.Unlock()
		cancel(nil)
	}
}

// supersede ends an item that is held at an instant, if the job wants that and its
// code runs here. The fire is caught up when the item has ended. An item that
// waits for room, or for the listeners of its run, is not ended: it would never
// come to its turn when the pool is too small.
func (j *Job) supersede(item int, instant time.Time) {
	if !j.spec.Config.CancelsRunning() || !j.isBusy(item) || !j.running[item].instant.Before(instant) {
		return
	}
	if one := j.retries[item]; one != nil && one.pause != nil {
		j.giveUp(one, reasonSuperseded)
		return
	}
	if cancel := j.cancels[item]; cancel != nil {
		cancel(spi.ErrSuperseded)
	}
}

// supersedeMoved ends at the next fire what still runs here of items that others
// have now, if the job wants that: their owners cannot. It looks after now, and as
// long as there are such items.
func (j *Job) supersedeMoved(now time.Time) {
	if j.movedTimer != nil {
		j.movedTimer.Stop()
		j.movedTimer = nil
	}
	if j.closed || !j.spec.Config.CancelsRunning() || len(j.moved()) == 0 {
		return
	}
	next := j.spec.Schedule.Next(now)
	if next.IsZero() {
		return
	}
	j.movedTimer = time.AfterFunc(next.Sub(j.executor.now()), func() {
		j.mu.Lock()
		defer j.unlock()
		for _, item := range j.moved() {
			j.supersede(item, next)
		}
		j.supersedeMoved(next)
	})
}

// moved are the items that run here and are fired by others.
func (j *Job) moved() []int {
	var items []int
	for item, r := range j.running {
		isOthers := !j.current.Items.Contains(item) && !j.unowned.Contains(item) && !j.current.DisabledItems.Contains(item)
		if r != nil && isOthers {
			items = append(items, item)
		}
	}
	return items
}

// catchUpSource is the source of a run that makes up for an instant. One that has
// waited for the end of what it has cancelled is no catch-up, unless that took
// long.
func (j *Job) catchUpSource(instant time.Time) spi.Source {
	if j.spec.Config.CancelsRunning() {
		return j.sourceOf(instant)
	}
	return spi.SourceMisfire
}

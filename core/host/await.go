package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
)

// ErrStopped is the error of a wait that the end of this node has cut short.
var ErrStopped = errors.New("the node has stopped")

// awaitInterval is how often a wait looks although nothing has called it: the node
// may have no session, and then nobody reads the feed here.
const awaitInterval = 5 * time.Second

// AwaitTrigger waits until the last item of a trigger has ended and returns what
// became of it. The feed tells when that may be so; a registry that does not answer
// is waited for. It ends earlier, with what it knows by then, with the cause of ctx,
// with registry.ErrUnknownTrigger when nothing is known of the trigger, perhaps any
// more, and with ErrStopped when the node has stopped.
func (h *Host) AwaitTrigger(ctx context.Context, job, id string) (TriggerInfo, error) {
	called, forget := h.waits.add(job)
	defer forget()
	look := time.NewTicker(awaitInterval)
	defer look.Stop()
	last := TriggerInfo{Job: job, ID: id}
	for {
		info, err := h.lookAt(ctx, job, id)
		switch {
		case err == nil:
			last = info
			if !info.Ended.IsZero() {
				return info, nil
			}
		case errors.Is(err, registry.ErrUnknownTrigger):
			return last, err
		}
		select {
		case <-called:
		case <-look.C:
		case <-h.waits.over:
			return last, awaitError(job, id, ErrStopped, nil)
		case <-ctx.Done():
			return last, awaitError(job, id, context.Cause(ctx), err)
		}
	}
}

// lookAt reads what became of a trigger, unless the node has stopped.
func (h *Host) lookAt(ctx context.Context, job, id string) (TriggerInfo, error) {
	select {
	case <-h.waits.over:
		return TriggerInfo{}, ErrStopped
	default:
		return h.TriggerState(ctx, job, id)
	}
}

// awaitError says why a wait has ended, and what was wrong with the last look if
// that is another thing.
func awaitError(job, id string, cause, last error) error {
	if last == nil || errors.Is(last, cause) {
		return fmt.Errorf("waiting for trigger %s of job %s: %w", id, job, cause)
	}
	return fmt.Errorf("waiting for trigger %s of job %s: %w (%w)", id, job, cause, last)
}

// waits are those who wait for triggers, by job. It is safe for concurrent use.
type waits struct {
	// over is closed when the node has stopped.
	over     chan struct{}
	overOnce sync.Once

	mu    sync.Mutex
	byJob map[string]map[chan struct{}]struct{}
}

func newWaits() *waits {
	return &waits{over: make(chan struct{}), byJob: make(map[string]map[chan struct{}]struct{})}
}

// add returns a channel that has a value after a trigger of the job may have ended,
// and what is to be called when nobody waits for it any more.
func (w *waits) add(job string) (called <-chan struct{}, forget func()) {
	one := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byJob[job] == nil {
		w.byJob[job] = make(map[chan struct{}]struct{})
	}
	w.byJob[job][one] = struct{}{}
	return one, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.byJob[job], one); len(w.byJob[job]) == 0 {
			delete(w.byJob, job)
		}
	}
}

// call lets those who wait for triggers of the jobs look.
func (w *waits) call(jobs ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, job := range jobs {
		callAll(w.byJob[job])
	}
}

// callEveryone lets all look.
func (w *waits) callEveryone() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, of := range w.byJob {
		callAll(of)
	}
}

func callAll(of map[chan struct{}]struct{}) {
	for one := range of {
		select {
		case one <- struct{}{}:
		default: // it looks anyway
		}
	}
}

// end says that the node has stopped.
func (w *waits) end() { w.overOnce.Do(func() { close(w.over) }) }

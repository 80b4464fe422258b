package coordinator

import (
	"context"
	"errors"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
)

// reconciler knows when each job is to be reconciled.
type reconciler struct {
	interval func(state registry.JobState) time.Duration
	due      map[string]time.Time // zero: never
	look     time.Time            // when to look for new jobs
}

// reset forgets what was known, as a new leader does.
func (r *reconciler) reset() {
	clear(r.due)
	r.look = time.Time{}
}

// reconcileLook is how often the leader looks for jobs whose interval it does
// not know.
const reconcileLook = time.Minute

// reconcile mends the jobs whose interval has passed, logs every repair, and
// returns when to come back. A repair says that something else went wrong
// before.
func (c *Coordinator) reconcile(ctx context.Context, leader registry.Leadership) (time.Time, error) {
	r, now := &c.reconciler, c.now()
	if now.Before(r.look) {
		return r.look, nil
	}
	r.look = now.Add(reconcileLook)
	names, err := c.registry.JobNames(ctx)
	if err != nil {
		return r.look, err
	}
	exists := make(map[string]bool, len(names))
	var unknown, due []string
	for _, name := range names {
		exists[name] = true
		at, known := r.due[name]
		switch {
		case !known:
			unknown = append(unknown, name)
		case !at.IsZero() && !now.Before(at):
			due = append(due, name)
			unknown = append(unknown, name) // its interval may be another one by now
		}
	}
	for name := range r.due {
		if !exists[name] {
			delete(r.due, name)
		}
	}
	states, err := c.registry.Jobs(ctx, unknown...)
	var bad *registry.JobsError
	if err != nil && !errors.As(err, &bad) {
		return r.look, err
	}
	for _, s := range states {
		at := time.Time{}
		if interval := r.interval(s); interval > 0 {
			at = now.Add(interval)
		}
		r.due[s.Definition.Name] = at
	}
	c.link(ctx, states)
	repairs, err := c.registry.Reconcile(ctx, leader, due)
	for _, one := range repairs {
		c.logger.Warn("registry repaired", "job", one.Job, "repair", one.Kind, "count", one.Count)
	}
	return r.look, err
}

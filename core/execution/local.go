package execution

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Local runs items of a job here and now: once, without a registry, a timer, a
// lease, retries, error handlers and listeners. To the job type it is as a
// one-off run of a node: the same context, time-out, services and judgement.
type Local struct {
	Spec *Spec
	// RunID names the run.
	RunID string
	// Items run, each once.
	Items registry.Items
	// IP is the address in task ids.
	IP string
	// MaxRunningItems bounds the items that run at once, as does the pool.
	MaxRunningItems int
	Logger          *slog.Logger
	Events          *Events
}

// LocalItem is what became of one item.
type LocalItem struct {
	ItemFinished

	// Parameter is the item's.
	Parameter string
	// Progress is what it has reported last, and Checkpoint what it has saved last,
	// nil if nothing.
	Progress   Progress
	Checkpoint []byte
}

// Run runs the items and returns, when the last one has ended, what became of
// them in their order. When ctx ends, those that run are cancelled with its cause,
// and the others do not begin: they count as cancelled.
func (l Local) Run(ctx context.Context) []LocalItem {
	j := &Job{
		name: l.Spec.Config.Name, spec: l.Spec, current: registry.Assignment{Items: l.Items},
		executor: &Executor{ip: l.IP, now: time.Now, logger: l.Logger, events: l.Events},
	}
	lease := &session{}
	lease.ctx, lease.cancel = context.WithCancelCause(ctx)
	lease.lifetime = lease.ctx
	defer lease.cancel(nil)
	now := time.Now().UTC()
	r := newRun(j, lease, l.Spec, now, spi.SourceOneOff, now.UnixMicro(), l.Items, false)
	r.id = l.RunID
	defer l.Spec.uses.done()

	results := make([]LocalItem, l.Items.Len())
	index := make(map[int]int, len(results))
	for item := range l.Items.All() {
		results[len(index)].Parameter = l.Spec.Parameters[item]
		index[item] = len(index)
		j.occupy(item, r)
	}

	places := make(chan struct{}, max(1, min(l.Spec.Pool, l.MaxRunningItems)))
	var running sync.WaitGroup
	for item := range l.Items.All() {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			r.performLocally(item, &results[index[item]])
		})
	}
	running.Wait()
	return results
}

// performLocally runs the code of one item in the calling goroutine, unless the
// run is over.
func (r *run) performLocally(item int, result *LocalItem) {
	e := r.job.executor
	c := &itemCall{run: r, item: item, attempt: 1, source: r.source, task: r.task(), started: time.Now()}
	if c.cause = cause(r.session.ctx); c.cause != nil {
		c.err = spi.AsError(c.cause)
		result.ItemFinished = c.finished()
		return
	}
	e.events.Started.Publish(ItemStarted{Job: r.job.name, Item: item, Run: r.id, Task: c.task, Items: r.items, Source: r.source, Attempt: 1})
	// Code can end its goroutine.
	defer func() {
		result.ItemFinished = c.finished()
		r.job.releaseLocally(item, result)
		e.events.Finished.Publish(result.ItemFinished)
	}()
	c.call()
}

// releaseLocally notes that an item does not run any more, and what it has left.
func (j *Job) releaseLocally(item int, result *LocalItem) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if k := j.kept[item]; k != nil {
		result.Progress, result.Checkpoint = k.progress, k.checkpoint
	}
	j.release(item)
}

// NewRunID returns an id as runs have that no instant names: a UUID of version 7,
// or of version 4 if the clock or the random source is out of order.
func NewRunID() string {
	if id, err := uuid.NewV7(); err == nil {
		return id.String()
	}
	return uuid.NewString()
}

package execution

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/service"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Config is what an executor is made of. All fields are mandatory.
type Config struct {
	// Instance is the id of this node, and IP its address as task ids name it.
	Instance, IP string
	// Partitions are the parts of the registry center, by index.
	Partitions []Center
	// MaxRunningItems bounds the items that run at once on this node.
	MaxRunningItems int
	// Grace is how long a stop waits for running items before it cancels them.
	Grace time.Duration
	// HandOver is how long after an instant its new owner still runs it when
	// the job does not catch up: session timeout, grace of the registry and a
	// little.
	HandOver time.Duration
	// Margin is how long code may take to return when its lease was lost. Zombie is
	// called when some has not.
	Margin time.Duration
	Zombie func()
	// Now is the time of the registry.
	Now    func() time.Time
	Logger *slog.Logger
	Events *Events
	// StopJob is told that an error handler wants the job stopped on this
	// instance.
	StopJob func(ctx context.Context, job, handler string)
}

// Executor runs the firings of the jobs of one node. Add, Remove and Job are
// safe for concurrent use.
type Executor struct {
	instance   string
	ip         string
	grace      time.Duration
	handOver   time.Duration
	margin     time.Duration
	zombie     func()
	now        func() time.Time
	logger     *slog.Logger
	events     *Events
	partitions []*Partition

	workers   *workers
	handlers  *handlers
	listeners *listeners
	draining  atomic.Bool // the node is about to stop
	runID     atomic.Pointer[namedInstant]
	warned    atomic.Int64   // when a registry that does not answer was last logged
	steps     tracker        // step goroutines of the jobs
	calls     sync.WaitGroup // sending goroutines, which steps and listeners wait for
	zombies   atomic.Int64   // items whose code has outlived its lease
	// lifetime is the context of code that a lost lease does not cancel.
	lifetime context.Context //nolint:containedctx // the node's own
	end      context.CancelCauseFunc

	mu   sync.Mutex
	jobs map[string]*Job
}

var _ service.Service = (*Executor)(nil)

// namedInstant is an instant and its run id.
type namedInstant struct {
	at time.Time
	id string
}

// runIDOf returns the run id of an instant. The latest is kept: jobs tend to be
// due at the same instants.
func (e *Executor) runIDOf(at time.Time) string {
	if latest := e.runID.Load(); latest != nil && latest.at.Equal(at) {
		return latest.id
	}
	named := &namedInstant{at, registry.FormatRunID(at)}
	e.runID.Store(named)
	return named.id
}

const (
	// callTimeout bounds one try of a registry call.
	callTimeout = 5 * time.Second
	// cancelMargin is how long cancelled code has to return before a stop
	// leaves it behind.
	cancelMargin = 2 * time.Second
)

// New returns an executor.
func New(c Config) *Executor {
	e := &Executor{
		instance: c.Instance, ip: c.IP, grace: c.Grace, handOver: c.HandOver, margin: c.Margin, zombie: c.Zombie, now: c.Now, logger: c.Logger, events: c.Events,
		workers: newWorkers(c.MaxRunningItems, func(t task) { t.run.perform(t.item, t.attempt) }), handlers: newHandlers(c.Logger, c.StopJob),
		listeners: newListeners(c.Logger), jobs: make(map[string]*Job),
	}
	e.lifetime, e.end = context.WithCancelCause(context.Background())
	for _, center := range c.Partitions {
		e.partitions = append(e.partitions, &Partition{executor: e, center: center, jobs: make(map[string]*Job)})
	}
	return e
}

// Partition returns the node's part in a partition of the registry center.
func (e *Executor) Partition(index int) *Partition { return e.partitions[index] }

// Add hosts a job of a partition, which must not be hosted yet.
func (e *Executor) Add(name string, spec *Spec, partition int) *Job {
	p := e.partitions[partition]
	j := &Job{name: name, executor: e, partition: p, spec: spec}
	e.mu.Lock()
	e.jobs[name] = j
	e.mu.Unlock()
	p.mu.Lock()
	p.jobs[name] = j
	p.mu.Unlock()
	return j
}

// Remove ends a job: it begins nothing any more, and its open gaps are
// recorded. Items that run go on and are reported.
func (e *Executor) Remove(name string) {
	e.mu.Lock()
	j := e.jobs[name]
	delete(e.jobs, name)
	e.mu.Unlock()
	if j == nil {
		return
	}
	j.partition.mu.Lock()
	delete(j.partition.jobs, name)
	j.partition.mu.Unlock()
	j.close()
}

// Job returns a hosted job, nil when there is none of the name.
func (e *Executor) Job(name string) *Job {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.jobs[name]
}

// Jobs returns the hosted jobs in no order.
func (e *Executor) Jobs() []*Job {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Values(e.jobs))
}

// HandOver begins what is due up to the last instant, and nothing later but items
// that were given away before and are this node's up to HandOverBound.
func (e *Executor) HandOver() {
	e.draining.Store(true)
	for _, j := range e.Jobs() {
		j.handOver()
	}
}

// HandOverBound returns the latest instant at which items of an unmonitored job
// change hands that this node still fires, zero if there are none: until then
// nobody else can fire them.
func (e *Executor) HandOverBound() time.Time {
	var bound time.Time
	for _, j := range e.Jobs() {
		bound = later(bound, j.handOverBound())
	}
	return bound
}

// WaitIdle returns when no item runs or waits for that, or with the cause when ctx ends.
func (e *Executor) WaitIdle(ctx context.Context) error {
	// Items are handed to the workers before their run stops waiting.
	if err := e.listeners.before.wait(ctx); err != nil {
		return err
	}
	return e.workers.running.wait(ctx)
}

// Owns reports whether any item of any job is this node's.
func (e *Executor) Owns() bool {
	return slices.ContainsFunc(e.Jobs(), func(j *Job) bool { return j.Assignment().Items.Len() > 0 })
}

// noAnswer logs that the registry did not answer, at most once a second.
func (e *Executor) noAnswer(name string, err error) {
	if e.mayWarn() {
		e.logger.Warn("registry did not answer, trying again", "job", name, "err", err)
	}
}

// tooEarly logs that an instant has not come by the server's clock, at most once a
// second.
func (e *Executor) tooEarly(name string, instant time.Time) {
	if e.mayWarn() {
		e.logger.Warn("the registry's clock says that an instant has not come; waiting for it", "job", name, "run", registry.FormatRunID(instant))
	}
}

// mayWarn is true once a second.
func (e *Executor) mayWarn() bool {
	now, last := time.Now().Unix(), e.warned.Load()
	return now != last && e.warned.CompareAndSwap(last, now)
}

// Start makes the executor ready.
func (e *Executor) Start(ctx context.Context) error { return e.handlers.Start(ctx) }

// Stop drains: nothing begins any more, running items have the grace to end
// and are then cancelled with [spi.ErrStopping], and what ended is reported.
// When ctx ends first, they are cancelled at once. Code that ignores its
// cancellation is left behind, with a record in the log.
func (e *Executor) Stop(ctx context.Context) error {
	e.draining.Store(true)
	begin := time.Now()
	grace, cancel := context.WithTimeout(ctx, e.grace)
	defer cancel()
	for _, j := range e.Jobs() {
		j.close()
	}
	e.giveUp(e.workers.takeQueued())
	// A begin that is under way marks items that will not run: they are given
	// back by the same goroutine.
	_ = e.steps.wait(grace)
	e.drain(ctx, grace)

	// What ended is reported unless the registry is away.
	reports, cancelReports := context.WithTimeout(context.WithoutCancel(ctx), cancelMargin)
	defer cancelReports()
	_ = e.steps.wait(reports)
	calls, cancelCalls := context.WithTimeout(context.WithoutCancel(ctx), max(cancelMargin, e.grace-time.Since(begin)))
	defer cancelCalls()
	e.listeners.close(calls)
	e.steps.close()
	for _, p := range e.partitions {
		if s := p.session.Swap(nil); s != nil {
			s.end(spi.ErrStopping)
		}
	}
	e.end(spi.ErrStopping)
	_ = e.steps.wait(context.WithoutCancel(ctx))

	left := max(cancelMargin, e.grace-time.Since(begin))
	handling, cancelHandling := context.WithTimeout(context.WithoutCancel(ctx), left)
	defer cancelHandling()
	e.listeners.stop(handling)
	e.calls.Wait()
	return e.handlers.Stop(handling)
}

// giveUp drops tasks that were handed to the workers and have not started.
func (e *Executor) giveUp(tasks []task) {
	for _, t := range tasks {
		j := t.run.job
		j.mu.Lock()
		j.active--
		j.drop(t)
		j.unlock()
	}
}

// drain waits for running items: for the grace, then for what it takes
// cancelled code to return.
func (e *Executor) drain(ctx, grace context.Context) {
	if e.workers.running.wait(grace) == nil {
		return
	}
	for _, p := range e.partitions {
		if s := p.session.Load(); s != nil {
			s.cancel(spi.ErrStopping)
		}
	}
	e.end(spi.ErrStopping)
	margin, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelMargin)
	defer cancel()
	if e.workers.running.wait(margin) == nil {
		return
	}
	for _, j := range e.Jobs() {
		for item, one := range j.Running() {
			e.logger.Error("item ignores its cancellation and is left behind", "job", j.name, "item", item, "run", one.Run)
		}
	}
}

package execution

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/service"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Marks is what an executor needs of the registry center. The requests of one
// call belong to one lease; the replies may be those of a part when an error
// comes with them.
type Marks interface {
	// BeginAll asks which items of each job run now.
	BeginAll(ctx context.Context, requests []registry.BeginRequest) ([]registry.BeginReply, error)
	// CompleteAll ends items of marks.
	CompleteAll(ctx context.Context, requests []registry.CompleteRequest) ([]registry.CompleteReply, error)
}

// Config is what an executor is made of. All fields are mandatory.
type Config struct {
	// Instance is the id of this node; its IP stands before the first "@-@".
	Instance string
	Marks    Marks
	// MaxRunningItems bounds the items that run at once on this node.
	MaxRunningItems int
	// Grace is how long a stop waits for running items before it cancels them.
	Grace time.Duration
	// HandOver is how long after an instant its new owner still runs it when
	// the job does not catch up: session timeout, grace of the registry and a
	// little.
	HandOver time.Duration
	// Now is the time of the registry.
	Now    func() time.Time
	Logger *slog.Logger
	Events *Events
	// Fresh reports whether this node may start an unmonitored firing of the
	// instant: it has renewed its lease lately and knows all reassignments.
	Fresh func(instant time.Time) bool
	// Refresh reads the job's assignment from the registry and adopts it.
	Refresh func(ctx context.Context, job string)
	// LeaseLost is told that the registry has refused the lease.
	LeaseLost func(lease registry.Lease)
	// StopJob is told that an error handler wants the job stopped on this
	// instance.
	StopJob func(ctx context.Context, job, handler string)
}

// Executor runs the firings of the jobs of one node. Add, Remove, Attach and
// Detach are safe for concurrent use.
type Executor struct {
	ip         string
	marks      Marks
	grace      time.Duration
	handOver   time.Duration
	lateWindow time.Duration
	now        func() time.Time
	logger     *slog.Logger
	events     *Events
	fresh      func(time.Time) bool
	refresh    func(context.Context, string)
	leaseLost  func(registry.Lease)

	workers  *workers
	handlers *handlers
	session  atomic.Pointer[session]
	runID    atomic.Pointer[namedInstant]
	draining atomic.Bool
	putOff   atomic.Bool    // unmonitored jobs wait for a renewal
	warned   atomic.Int64   // when a registry that does not answer was last logged
	steps    tracker        // step goroutines of the jobs
	calls    sync.WaitGroup // sending goroutines, which steps wait for

	mu   sync.Mutex
	jobs map[string]*Job
}

var _ service.Service = (*Executor)(nil)

// session is one lease of the node and the context of everything that runs
// under it.
type session struct {
	lease registry.Lease
	// ctx is the context of job code.
	ctx    context.Context //nolint:containedctx // the lifetime of a lease is what this type is
	cancel context.CancelCauseFunc
	// marksCtx bounds calls to the registry: it outlives ctx when the node
	// stops, so that what ended can be reported.
	marksCtx    context.Context //nolint:containedctx // as above
	cancelMarks context.CancelCauseFunc

	begins    batcher[registry.BeginRequest, registry.BeginReply]
	completes batcher[registry.CompleteRequest, registry.CompleteReply]
}

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
	// lateWindow is how late a firing still counts as normal.
	lateWindow = 10 * time.Second
	// callTimeout bounds one try of a registry call.
	callTimeout = 5 * time.Second
	// cancelMargin is how long cancelled code has to return before a stop
	// leaves it behind.
	cancelMargin = 2 * time.Second
)

// New returns an executor.
func New(c Config) *Executor {
	ip, _, _ := strings.Cut(c.Instance, "@-@")
	return &Executor{
		ip: ip, marks: c.Marks, grace: c.Grace, handOver: c.HandOver, lateWindow: lateWindow,
		now: c.Now, logger: c.Logger, events: c.Events, fresh: c.Fresh, refresh: c.Refresh, leaseLost: c.LeaseLost,
		workers: newWorkers(c.MaxRunningItems), handlers: newHandlers(c.Logger, c.StopJob), jobs: make(map[string]*Job),
	}
}

// Attach makes the lease the one under which items begin.
func (e *Executor) Attach(lease registry.Lease) {
	s := &session{lease: lease}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.marksCtx, s.cancelMarks = context.WithCancelCause(context.Background())
	s.begins.send, s.begins.spawn = e.marks.BeginAll, e.calls.Go
	s.completes.send, s.completes.spawn = e.marks.CompleteAll, e.calls.Go
	for _, j := range e.Jobs() {
		j.rejoin()
	}
	if old := e.session.Swap(s); old != nil {
		old.end(spi.ErrLeaseLost)
	}
}

// Detach ends the lease: items that run under it are cancelled with
// [spi.ErrLeaseLost] before Detach returns, and nothing begins until the next
// Attach.
func (e *Executor) Detach(lease registry.Lease) {
	s := e.session.Load()
	if s != nil && s.lease == lease && e.session.CompareAndSwap(s, nil) {
		s.end(spi.ErrLeaseLost)
	}
}

func (s *session) end(cause error) {
	s.cancel(cause)
	s.cancelMarks(cause)
}

// Add hosts a job.
func (e *Executor) Add(name string, spec *Spec) *Job {
	j := &Job{name: name, executor: e, spec: spec}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.jobs[name] = j
	return j
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
	jobs := make([]*Job, 0, len(e.jobs))
	for _, j := range e.jobs {
		jobs = append(jobs, j)
	}
	return jobs
}

// Renewed says that the lease was renewed: unmonitored firings that waited for
// that start now.
func (e *Executor) Renewed() {
	if !e.putOff.Swap(false) {
		return
	}
	for _, j := range e.Jobs() {
		j.lookAgain()
	}
}

// noAnswer logs that the registry did not answer, at most once a second.
func (e *Executor) noAnswer(name string, err error) {
	now, last := time.Now().Unix(), e.warned.Load()
	if now != last && e.warned.CompareAndSwap(last, now) {
		e.logger.Warn("registry did not answer, trying again", "job", name, "err", err)
	}
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
	e.steps.close()
	if s := e.session.Swap(nil); s != nil {
		s.end(spi.ErrStopping)
	}
	_ = e.steps.wait(context.WithoutCancel(ctx))
	e.calls.Wait()

	left := max(cancelMargin, e.grace-time.Since(begin))
	handling, cancelHandling := context.WithTimeout(context.WithoutCancel(ctx), left)
	defer cancelHandling()
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
	if s := e.session.Load(); s != nil {
		s.cancel(spi.ErrStopping)
	}
	margin, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelMargin)
	defer cancel()
	if e.workers.running.wait(margin) != nil {
		e.logger.Error("items ignore their cancellation and are left behind", "items", e.workers.running.count())
	}
}

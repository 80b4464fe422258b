package execution

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Listener is a job listener, the type name it goes by and the door that its calls
// have.
type Listener struct {
	Type     string
	Listener spi.JobListener
	Door     hostcall.Caller

	calls aside
}

// company is what the listeners of a run go by.
type company struct {
	items []spi.RunItem // guarded by the job's lock
	ended chan struct{} // closed when the last item has ended
}

func newCompany() *company { return &company{ended: make(chan struct{})} }

// accompany adds an item that the listeners are told of. Items come in order.
func (r *run) accompany(item int) {
	if r.company == nil {
		r.company = newCompany()
	}
	r.company.items = append(r.company.items, spi.RunItem{Item: item, Parameter: r.spec.Parameters[item]})
}

// note takes how an item has ended, and whether it is the last of its run.
func (c *company) note(item int, outcome Outcome, err *spi.Error, last bool) {
	i, told := slices.BinarySearchFunc(c.items, item, func(one spi.RunItem, item int) int { return cmp.Compare(one.Item, item) })
	if told {
		c.items[i].Outcome, c.items[i].Error = spi.Outcome(outcome), err
	}
	if last {
		close(c.ended)
	}
}

// listeners calls the job listeners of a node. Each run of a job that has some
// has a goroutine for them, so that a slow listener holds up nothing but its own
// run: its items until BeforeJob has returned, and nobody in AfterJob. Listeners
// of one run are called one after the other in the order of the list, before and
// after alike; calls for different runs of a job may overlap.
type listeners struct {
	logger *slog.Logger
	// lifetime ends when what is left at a stop is given up.
	lifetime context.Context //nolint:containedctx // it bounds what outlives the session of its run
	giveUp   context.CancelCauseFunc
	before   tracker // runs whose items wait
	runs     tracker // runs whose listeners are not done
	called   tracker // calls made once for a run of which the registry does not know yet
	// closing is closed when nobody is to watch over other instances any more.
	closing   chan struct{}
	closeOnce sync.Once
}

func newListeners(logger *slog.Logger) *listeners {
	l := &listeners{logger: logger, closing: make(chan struct{})}
	l.lifetime, l.giveUp = context.WithCancelCause(context.Background())
	return l
}

// close ends the watch over other instances, and waits as long as ctx lasts until
// the registry knows of the calls that this instance makes for whole runs. The
// session must not have ended.
func (l *listeners) close(ctx context.Context) {
	l.closeOnce.Do(func() { close(l.closing) })
	_ = l.called.wait(ctx)
}

// stop waits for the listeners of runs that have ended as long as ctx lasts, and
// cancels what is left. It returns soon after that: a listener that ignores its
// context is left behind.
func (l *listeners) stop(ctx context.Context) {
	l.runs.close()
	if l.runs.wait(ctx) != nil {
		l.logger.Error("runs not handed on to the job listeners", "count", l.runs.count())
	}
	l.giveUp(spi.ErrStopping)
	_ = l.runs.wait(context.WithoutCancel(ctx))
}

// herald has the listeners called for a run whose items wait for that. The
// caller holds the lock.
func (j *Job) herald(r *run) {
	l := j.executor.listeners
	if !l.runs.add() {
		// What the instance was to call is known to be lost when its session ends.
		j.dropAll(r)
		return
	}
	l.before.add()
	r.spec.uses.add()
	j.heralded = append(j.heralded, r)
	go func() {
		defer l.runs.done()
		defer r.spec.uses.done()
		l.attend(r)
	}()
}

// moment is when listeners are called.
type moment string

const (
	before moment = "before"
	after  moment = "after"
)

// attend calls the listeners of a run before its first item and after its last.
// Those that are called once for all instances enclose those that each calls.
func (l *listeners) attend(r *run) {
	if r.meeting != nil {
		defer r.job.leaveMeeting(r)
		reported := l.open(r)
		defer func() { <-reported }()
	}
	l.tell(r.session.ctx, r, before, false, r.companions)
	r.job.admitAll(r)
	l.before.done()
	select {
	case <-r.company.ended:
		l.tell(l.lifetime, r, after, false, r.companions)
	case <-l.lifetime.Done():
		return
	}
	if r.meeting != nil {
		l.conclude(r)
	}
}

// tell calls listeners in the order of the list. One that fails keeps nobody from
// anything.
func (l *listeners) tell(ctx context.Context, r *run, when moment, once bool, items func() []spi.RunItem) {
	list := r.spec.Listeners
	if once {
		list = r.spec.OnceListeners
	}
	for _, listener := range list {
		_, err := callAside(ctx, &listener.calls, func(ctx context.Context) (spi.JobListenerResponse, error) {
			request := spi.JobListenerRequest{
				Once: once, Run: r.describe(items()), Props: r.spec.Values,
				Services: &asideServices{run: r, plugin: listener.Type, door: listener.Door},
			}
			if when == before {
				return listener.Listener.BeforeJob(ctx, request)
			}
			return listener.Listener.AfterJob(ctx, request)
		})
		if err != nil {
			l.logger.Error("job listener failed", "job", r.job.name, "run", r.id, "plugin", listener.Type, "when", string(when), "err", err)
		}
	}
}

// companions are the items of this instance that the listeners are told of.
func (r *run) companions() []spi.RunItem {
	r.job.mu.Lock()
	defer r.job.mu.Unlock()
	return slices.Clone(r.company.items)
}

// describe is the run as listeners see it.
func (r *run) describe(items []spi.RunItem) spi.JobRun {
	return spi.JobRun{
		JobName: r.job.name, TaskID: r.task(), RunID: r.id, FireTime: r.instant, ExecutionSource: r.source,
		ShardingTotalCount: r.total, JobParameter: r.jobParameter(), Items: items,
	}
}

// admitAll lets the items of a run go that have waited for its listeners, unless
// the job was closed meanwhile.
func (j *Job) admitAll(r *run) {
	j.mu.Lock()
	defer j.unlock()
	i := slices.Index(j.heralded, r)
	if i < 0 {
		return
	}
	j.heralded = slices.Delete(j.heralded, i, i+1)
	j.noticeLoss()
	for _, one := range r.company.items {
		j.admit(task{r, one.Item, 1})
	}
}

// dropAll gives up the items of a run that wait for its listeners.
func (j *Job) dropAll(r *run) {
	for _, one := range r.company.items {
		j.drop(task{r, one.Item, 1})
	}
}

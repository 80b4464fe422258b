// Package tracing hands the history of a node's executions to a tracing sink.
//
// What happens is noted where it happens and handed over in batches from another
// goroutine, so that a sink that is slow or away holds up no job. A batch that the
// sink refuses is tried again, or in parts if it is too much for the sink, and then
// given up. What comes while the queue is full is dropped. The log says how many
// events were lost.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/service"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Bounds of what waits for the sink.
const (
	// maxQueue is how many events wait at most.
	maxQueue = 20_000
	// maxQueueSize is how many bytes they have at most, as messages, before no
	// more are taken: several times what as many common events have.
	maxQueueSize = 64 << 20
	// maxBatch is how many are handed over in one call.
	maxBatch = 500
	// maxBatchSize is how many bytes they have at most, far below the 16 MiB that a
	// sink in a module or a program takes. One event has less than 256 KiB: a
	// message of 4 KiB, a stack of 16 KiB and 10000 items, escaped.
	maxBatchSize = 4 << 20
	// maxDelay is how long an event waits for others of its batch.
	maxDelay = 200 * time.Millisecond
	// callTimeout bounds one call of the sink.
	callTimeout = 10 * time.Second
	// callMargin is how long a call has to return when its time is over.
	callMargin = 100 * time.Millisecond
	// releaseTimeout is how long a stop waits for a call to end and for its sink to
	// be closed.
	releaseTimeout = 2*callTimeout + 5*time.Second
	// tries is how often a batch is handed over before it is given up.
	tries = 3
	// maxSplits is how often batches that are too much for the sink are halved
	// before it takes anything. It suffices to come down to one event.
	maxSplits = 16
	// firstPause is the pause after the first try that failed; it doubles.
	firstPause = time.Second
	// maxTasks bounds the runs of several items whose end is awaited.
	maxTasks = 10_000
)

// Sink is a tracing sink and what belongs to it.
type Sink struct {
	// Type is the name it goes by.
	Type   string
	Sink   spi.TracingSink
	Values props.Values
	Door   hostcall.Caller
	// Close closes the sink when it is called no more.
	Close func(ctx context.Context)

	hangs atomic.Bool // a call has not returned
}

// Tracer follows the events of a node. Start and Stop keep the contract of
// package service.
type Tracer struct {
	instance spi.Instance
	now      func() time.Time
	logger   *slog.Logger
	loop     *service.Background

	// calling is full during a call of the sink.
	calling chan struct{}
	// splits are left until the sink takes something. They are the loop's.
	splits int

	mu      sync.Mutex
	sink    *Sink // nil drops what comes
	queue   queue
	dropped int
	tasks   map[string]*task // runs of several items
	full    chan struct{}    // has a value when a batch is full
	// releasing are the sinks that are called no more; one that is closed closes
	// its channel.
	releasing []<-chan struct{}
	stopped   bool
}

var _ service.Service = (*Tracer)(nil)

// task is a run of several items on this instance.
type task struct {
	left   int
	failed bool
}

// New returns a tracer of what an instance does. Its clock is that of the jobs.
func New(instance spi.Instance, sink *Sink, now func() time.Time, logger *slog.Logger) *Tracer {
	t := &Tracer{
		instance: instance, now: now, logger: logger, sink: sink, tasks: make(map[string]*task),
		full: make(chan struct{}, 1), calling: make(chan struct{}, 1), splits: maxSplits,
	}
	t.loop = service.NewBackground(t.run)
	return t
}

// Follow subscribes to the events, which must not be published yet.
func (t *Tracer) Follow(events *execution.Events) {
	events.Started.Subscribe(t.started)
	events.Finished.Subscribe(t.finished)
}

// Replace hands what follows to another sink; with nil it is dropped. The former
// one is closed after its last call. Replace waits for that as long as ctx lasts,
// and Stop for the rest. After Stop the other sink is closed, too.
func (t *Tracer) Replace(ctx context.Context, sink *Sink) {
	t.mu.Lock()
	former := t.sink
	t.sink = sink
	if t.stopped {
		former, t.sink = sink, nil
	}
	released := t.release(ctx, former)
	t.mu.Unlock()
	select {
	case <-released:
	case <-ctx.Done():
	}
}

// release closes a sink when it is called no more, and then the channel. It is
// called with mu held, and not before another sink has taken the place.
func (t *Tracer) release(ctx context.Context, sink *Sink) <-chan struct{} {
	released := make(chan struct{})
	if sink == nil {
		close(released)
		return released
	}
	ctx = context.WithoutCancel(ctx)
	t.releasing = append(slices.DeleteFunc(t.releasing, isClosed), released)
	go func() {
		defer close(released)
		t.calling <- struct{}{}
		<-t.calling // a call that begins now is one of another sink
		ctx, cancel := context.WithTimeoutCause(ctx, callTimeout, spi.ErrTimeout)
		defer cancel()
		sink.Close(ctx)
	}()
	return released
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Start begins to hand events over.
func (t *Tracer) Start(ctx context.Context) error { return t.loop.Start(ctx) }

// Stop hands over what waits, as long as ctx lasts, and closes the sink. Its
// error is also that of sinks which do not end in time.
func (t *Tracer) Stop(ctx context.Context) error {
	err := t.loop.Stop(ctx)
	t.mu.Lock()
	t.stopped = true
	last := t.sink
	t.sink = nil
	t.release(ctx, last)
	releasing := t.releasing
	t.mu.Unlock()
	late := time.NewTimer(releaseTimeout)
	defer late.Stop()
	for _, released := range releasing {
		select {
		case <-released:
		case <-late.C:
			return errors.Join(err, errNotClosed)
		}
	}
	return err
}

// errNotClosed is the error of a stop that has left a sink behind.
var errNotClosed = fmt.Errorf("a tracing sink is not closed after %v", releaseTimeout)

func (t *Tracer) started(e execution.ItemStarted) {
	now := t.now().UTC()
	events := make([]spi.TraceEvent, 0, 3)
	if t.begins(e) {
		staged := t.event(spi.TraceStatus, now, e.Job, e.Task, e.Run, e.Source)
		staged.State, staged.Items = spi.StateStaging, itemsOf(e.Items)
		running := staged
		running.ID, running.State = uuid.NewString(), spi.StateRunning
		events = append(events, staged, running)
	}
	began := t.event(spi.TraceExecution, now, e.Job, e.Task, e.Run, e.Source)
	began.ID, began.Item, began.Attempt, began.Start = executionID(e.Task, e.Item, e.Attempt), e.Item, e.Attempt, now
	t.add(append(events, began)...)
}

func (t *Tracer) finished(e execution.ItemFinished) {
	now := t.now().UTC()
	ended := t.event(spi.TraceExecution, now, e.Job, e.Task, e.Run, e.Source)
	ended.ID, ended.Item, ended.Attempt = executionID(e.Task, e.Item, e.Attempt), e.Item, e.Attempt
	ended.Start, ended.End = now.Add(-e.Took), now
	ended.Success, ended.Error = e.Outcome == execution.OutcomeSuccess, e.Error
	events := append(make([]spi.TraceEvent, 0, 2), ended)
	if last, failed := t.ends(e); last {
		status := t.event(spi.TraceStatus, now, e.Job, e.Task, e.Run, e.Source)
		status.State, status.Items = spi.StateFinished, itemsOf(e.Items)
		if failed {
			status.State = spi.StateError
			if e.Error != nil {
				status.Message = e.Error.Error()
			}
		}
		events = append(events, status)
	}
	t.add(events...)
}

func (t *Tracer) event(kind spi.TraceKind, at time.Time, job, task, run string, source spi.Source) spi.TraceEvent {
	return spi.TraceEvent{
		ID: uuid.NewString(), Kind: kind, Time: at, JobName: job, TaskID: task, RunID: run, Instance: t.instance, ExecutionSource: source,
	}
}

// executionID names an execution by what it is of, so that its start and its end
// have one name without anything to remember.
func executionID(task string, item, attempt int) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%s#%d#%d", task, item, attempt)).String()
}

// begins says whether an item is the first of its run here.
func (t *Tracer) begins(e execution.ItemStarted) bool {
	if e.Items.Len() == 1 {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tasks[e.Task] != nil {
		return false
	}
	if len(t.tasks) >= maxTasks {
		// Items of a run that was cut off never end; the oldest cannot be told.
		for id := range t.tasks {
			delete(t.tasks, id)
			break
		}
	}
	t.tasks[e.Task] = &task{left: e.Items.Len()}
	return true
}

// ends says whether an item is the last of its run here, and whether one of them
// has failed.
func (t *Tracer) ends(e execution.ItemFinished) (last, failed bool) {
	failed = e.Outcome == execution.OutcomeFailure
	if e.Items.Len() == 1 {
		return true, failed
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	run := t.tasks[e.Task]
	if run == nil {
		return false, failed
	}
	run.left--
	run.failed = run.failed || failed
	if run.left > 0 {
		return false, run.failed
	}
	delete(t.tasks, e.Task)
	return true, run.failed
}

// add queues events in their order.
func (t *Tracer) add(events ...spi.TraceEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sink == nil {
		return
	}
	if !t.queue.add(events) {
		t.dropped += len(events)
		return
	}
	if t.queue.hasBatch() {
		select {
		case t.full <- struct{}{}:
		default: // it is told already
		}
	}
}

// itemsOf lists the items of a run.
func itemsOf(items registry.Items) []int {
	list := make([]int, 0, items.Len())
	for item := range items.All() {
		list = append(list, item)
	}
	return list
}

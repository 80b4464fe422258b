package execution

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// run is one firing on this instance: the items that go together under one
// fencing token.
type run struct {
	job     *Job
	spec    *Spec
	session *session
	id      string
	items   registry.Items
	total   int // of the items of the job, as of the assignment
	instant time.Time
	source  spi.Source
	fence   int64
	// token is what the code gets to fence with: the fence, but for a manual run of
	// an unmonitored job, whose other runs have the generation.
	token int64
	// parameter replaces that of the job if it is not nil.
	parameter *string
	// marked says that the registry holds a mark that must be completed.
	marked bool
	// isManual says that it is a run for a trigger, which one without a registry is
	// not.
	isManual bool

	nameTask sync.Once // not for a run of one item without listeners
	taskID   string
	services itemServices // of the first attempt of a run of one item

	// The rest is guarded by the job's lock.

	company    *company        // nil without listeners
	meeting    *meeting        // nil without listeners that are called once; it stays
	unfinished int             // items whose code has not returned
	unreported map[int]Outcome // finished items and how they ended
	overdue    bool            // the first unreported item waited long enough
	timer      *time.Timer     // makes it overdue
}

// newRun returns a run of the items.
func newRun(j *Job, s *session, spec *Spec, instant time.Time, source spi.Source, fence int64, items registry.Items, marked bool) *run {
	spec.uses.add()
	r := &run{
		job: j, spec: spec, session: s, id: j.executor.runIDOf(instant), items: items, instant: instant, source: source, fence: fence, token: fence,
		marked: marked, unfinished: items.Len(), total: spec.Config.ShardingTotalCount,
	}
	r.of(j.current.Total)
	if items.Len() == 1 {
		for item := range items.All() {
			r.services = itemServices{run: r, item: item, attempt: 1}
		}
	}
	return r
}

// of says how many items the job has if it broadcasts, zero if it does not: as of
// the assignment under which the run begins.
func (r *run) of(total int) {
	if total > 0 {
		r.total = total
	}
}

// task returns the id that the items of the run and its listeners share. It is
// made for the first of them, off the timer's goroutine.
func (r *run) task() string {
	if r.items.Len() == 1 && r.company == nil {
		return r.newTask()
	}
	r.nameTask.Do(func() { r.taskID = r.newTask() })
	return r.taskID
}

func (r *run) newTask() string {
	executionType := "@-@READY@-@"
	if r.source == spi.SourceFailover {
		executionType = "@-@FAILOVER@-@"
	}
	var space [160]byte
	id := append(append(space[:0], r.job.name...), "@-@"...)
	id = append(append(id, r.items.String()...), executionType...)
	id = append(append(id, r.job.executor.ip...), "@-@"...)
	return string(appendUUID(id))
}

// appendUUID appends a version 4 UUID. It tells tasks apart and keeps no
// secret, so the generator of the runtime, which needs no system call, will do.
func appendUUID(to []byte) []byte {
	var id uuid.UUID
	binary.LittleEndian.PutUint64(id[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(id[8:], rand.Uint64())
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	for i, octets := range [][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			to = append(to, '-')
		}
		to = hex.AppendEncode(to, octets)
	}
	return to
}

// servicesOf are the services of an attempt of an item.
func (r *run) servicesOf(item, attempt int) *itemServices {
	if r.items.Len() == 1 && attempt == 1 {
		return &r.services
	}
	return &itemServices{run: r, item: item, attempt: attempt}
}

// perform runs the code of one item in the calling goroutine.
func (r *run) perform(item, attempt int) {
	e := r.job.executor
	c := &itemCall{run: r, item: item, attempt: attempt, source: r.source, started: time.Now()}
	switch {
	case attempt > 1:
		c.source = spi.SourceRetry
		c.task, c.sharding.Checkpoint = r.job.earlier(item)
	case r.isClaimed():
		_, c.sharding.Checkpoint = r.job.earlier(item)
		fallthrough
	default:
		c.task = r.task()
	}
	e.events.Started.Publish(ItemStarted{
		Job: r.job.name, Item: item, Run: r.id, Task: c.task, Items: r.items, Source: c.source, Attempt: attempt,
		Late: max(0, e.now().Sub(r.instant)),
	})
	// The rest is deferred because code can end its goroutine.
	defer c.finish()
	// What had to wait for room may be for others to run by now.
	if c.cause = cause(r.session.ctx); c.cause != nil {
		c.err = spi.AsError(c.cause)
		return
	}
	c.call()
}

// itemCall is one call of the job type for one item.
type itemCall struct {
	run      *run
	item     int
	attempt  int
	source   spi.Source
	task     string
	started  time.Time
	sharding spi.ShardingContext
	response spi.ExecuteResponse
	// err is nil after a success; cause is why the context ended, if it did.
	err   *spi.Error
	cause error
	// returned says that the code has; else it ended its goroutine.
	returned bool
}

// finish tells how the attempt ended, and how the item did unless it is run again.
func (c *itemCall) finish() {
	r, e := c.run, c.run.job.executor
	finished := c.finished()
	e.events.Finished.Publish(finished)
	if finished.Outcome == OutcomeFailure {
		if r.job.retry(c, finished.Error) {
			return
		}
		e.handlers.submit(failure{run: r, item: c.item, context: c.sharding, err: finished.Error})
	}
	r.job.itemDone(r, c.item, finished.Outcome, finished.Error)
}

// finished says how the attempt ended.
func (c *itemCall) finished() ItemFinished {
	r := c.run
	if !c.returned && c.err == nil {
		c.err = spi.NewError(spi.CodeFailed, "the code ended its goroutine")
	}
	finished := ItemFinished{
		Job: r.job.name, Item: c.item, Run: r.id, Task: c.task, Items: r.items, Source: c.source, Attempt: c.attempt, Took: time.Since(c.started),
	}
	finished.Outcome, finished.Error = c.judge()
	if finished.Outcome == OutcomeSuccess {
		finished.Result = clip(valid(c.response.Message), maxResult)
	}
	return finished
}

// call calls the job type and turns its panic into an error.
func (c *itemCall) call() {
	r, ctx := c.run, c.run.codeContext()
	config := &r.spec.Config
	c.sharding = spi.ShardingContext{
		JobName:            r.job.name,
		TaskID:             c.task,
		ShardingTotalCount: r.total,
		JobParameter:       r.jobParameter(),
		ShardingItem:       c.item,
		ShardingParameter:  r.spec.Parameters[c.item],
		RunID:              r.id,
		FireTime:           r.instant,
		ExecutionSource:    c.source,
		Attempt:            c.attempt,
		FencingToken:       r.token,
		Checkpoint:         c.sharding.Checkpoint,
		Props:              r.spec.Values,
	}
	if config.CancelsRunning() {
		cancellable, forget := r.job.cancellable(ctx, c.item)
		defer forget()
		ctx = cancellable
	}
	if config.Timeout > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, config.Timeout, spi.ErrTimeout)
		defer cancel()
		ctx = limited
		c.sharding.Deadline, _ = ctx.Deadline()
	}
	if config.CancelsRunning() || config.Timeout > 0 {
		defer r.watch(ctx, c.item, c.attempt)()
	}
	// The cause counts as it is when the code returns, before the deferred
	// cancel.
	defer func() { c.cause = cause(ctx) }()
	defer func() {
		if p := recover(); p != nil {
			c.err = panicError(p)
		}
	}()
	response, err := c.execute(ctx)
	// AsError calls methods of the author's error, which may panic too.
	c.response, c.err = response, spi.AsError(err)
	c.returned = true
}

// execute calls the code of the item.
func (c *itemCall) execute(ctx context.Context) (spi.ExecuteResponse, error) {
	spec := c.run.spec
	if spec.Dataflow != nil {
		return c.flow(ctx, spec.Dataflow)
	}
	return spec.JobType.Execute(ctx, spi.ExecuteRequest{Context: c.sharding, Services: c.run.servicesOf(c.item, c.attempt)})
}

// cause is why ctx ended, nil if it has not. Unlike [context.Cause] it takes no
// lock then, which all items of the node would meet at.
func cause(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

func panicError(p any) *spi.Error {
	e := spi.NewError(spi.CodeFailed, clip(fmt.Sprintf("panic: %v", p), maxMessage))
	e.Stack = clip(string(debug.Stack()), maxStack)
	return e
}

// Bounds of texts that come from plugins, in bytes.
const (
	maxResult  = 4 << 10
	maxMessage = 4 << 10
	maxStack   = 16 << 10
)

// judge says how the item ended. A timeout is the item's own failure; whatever
// else cancelled it is not. Code that succeeds in spite of a timeout or of the
// node's stop has succeeded; after a lost lease judgeLost counts.
func (c *itemCall) judge() (Outcome, *spi.Error) {
	if c.run.session.isLost() {
		return c.judgeLost()
	}
	if c.err == nil {
		return OutcomeSuccess, nil
	}
	e := *c.err
	e.Message = clip(valid(e.Error()), maxMessage)
	e.Stack = clip(e.Stack, maxStack)
	switch {
	case c.cause == nil:
		if c.run.spec.OwnCode {
			e.Code = e.Code.FromAuthor()
		}
		return OutcomeFailure, &e
	case errors.Is(c.cause, spi.ErrTimeout):
		e.Code, e.Retryable = spi.CodeTimeout, spi.CodeTimeout.Retryable()
		e.Message = c.run.reason(c.cause)
		return OutcomeFailure, &e
	default:
		return OutcomeCancelled, spi.NewError(spi.CodeCancelled, c.run.reason(c.cause))
	}
}

// reason says for people why the context of the code has ended.
func (r *run) reason(cause error) string {
	if errors.Is(cause, spi.ErrTimeout) {
		return fmt.Sprintf("timeout of %s exceeded", r.spec.Config.Timeout)
	}
	return cause.Error()
}

// valid makes text valid UTF-8, as it is when it has crossed a border.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
}

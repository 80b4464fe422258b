package execution

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"

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
	taskID  string
	instant time.Time
	source  spi.Source
	fence   int64
	// marked says that the registry holds a mark that must be completed.
	marked bool

	// The rest is guarded by the job's lock.

	unfinished int          // items whose code has not returned
	unreported map[int]bool // finished items, and whether they succeeded
	overdue    bool         // the first unreported item waited long enough
	timer      *time.Timer  // makes it overdue
}

// newRun returns a run of the items.
func newRun(j *Job, s *session, spec *Spec, instant time.Time, source spi.Source, fence int64, items registry.Items, marked bool) *run {
	executionType := "@-@READY@-@"
	if source == spi.SourceFailover {
		executionType = "@-@FAILOVER@-@"
	}
	return &run{
		job: j, spec: spec, session: s, id: j.executor.runIDOf(instant), instant: instant, source: source, fence: fence, marked: marked,
		taskID:     j.name + "@-@" + items.String() + executionType + j.executor.ip + "@-@" + randomUUID(),
		unfinished: items.Len(),
	}
}

// randomUUID returns a version 4 UUID. It tells tasks apart and keeps no
// secret, so the generator of the runtime, which needs no system call, will do.
func randomUUID() string {
	var id uuid.UUID
	binary.LittleEndian.PutUint64(id[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(id[8:], rand.Uint64())
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

// perform runs the code of one item in the calling goroutine.
func (r *run) perform(item int) {
	e := r.job.executor
	started := e.now()
	e.events.Started.Publish(ItemStarted{
		Job: r.job.name, Item: item, Run: r.id, Source: r.source, Attempt: 1, Late: max(0, started.Sub(r.instant)),
	})
	finished := ItemFinished{Job: r.job.name, Item: item, Run: r.id, Source: r.source, Attempt: 1}
	response, sharding, err := r.call(item)
	finished.Took = e.now().Sub(started)
	finished.Outcome, finished.Error = r.judge(err)
	if finished.Outcome == OutcomeSuccess {
		finished.Result = clip(response.Message, maxResult)
	}
	e.events.Finished.Publish(finished)
	if finished.Outcome == OutcomeFailure {
		e.handlers.submit(failure{run: r, item: item, context: sharding, err: finished.Error})
	}
	r.job.itemDone(r, item, finished.Outcome == OutcomeSuccess)
}

// call calls the job type and turns its panic into an error.
func (r *run) call(item int) (response spi.ExecuteResponse, sharding spi.ShardingContext, err error) {
	ctx := r.session.ctx
	config := &r.spec.Config
	sharding = spi.ShardingContext{
		JobName:            r.job.name,
		TaskID:             r.taskID,
		ShardingTotalCount: config.ShardingTotalCount,
		JobParameter:       config.JobParameter,
		ShardingItem:       item,
		ShardingParameter:  r.spec.Parameters[item],
		RunID:              r.id,
		FireTime:           r.instant,
		ExecutionSource:    r.source,
		Attempt:            1,
		FencingToken:       r.fence,
		Props:              r.spec.Values,
	}
	if config.Timeout > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, config.Timeout, spi.ErrTimeout)
		defer cancel()
		ctx = limited
		sharding.Deadline, _ = ctx.Deadline()
	}
	defer func() {
		if p := recover(); p != nil {
			err = panicError(p)
		}
		// Whatever the code returns after its context was cancelled, the
		// cause tells why it ended.
		if cause := context.Cause(ctx); cause != nil && err != nil {
			err = &interrupted{cause: cause, err: err}
		}
	}()
	response, err = r.spec.JobType.Execute(ctx, spi.ExecuteRequest{
		Context:  sharding,
		Services: &itemServices{run: r, item: item, plugin: config.Type},
	})
	return response, sharding, err
}

// interrupted is the error of an item whose context was cancelled.
type interrupted struct{ cause, err error }

func (i *interrupted) Error() string   { return i.err.Error() }
func (i *interrupted) Unwrap() []error { return []error{i.cause, i.err} }

func panicError(p any) error {
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

// judge turns the error of an item into its outcome. A timeout is the item's
// own failure; whatever else cancelled it is not.
func (r *run) judge(err error) (Outcome, *spi.Error) {
	if err == nil {
		return OutcomeSuccess, nil
	}
	if stop, ok := errors.AsType[*interrupted](err); ok {
		switch {
		case errors.Is(stop.cause, spi.ErrLeaseLost):
			return OutcomeCancelled, spi.NewError(spi.CodeLeaseLost, spi.ErrLeaseLost.Error())
		case errors.Is(stop.cause, spi.ErrTimeout):
			e := *spi.AsError(stop.err)
			e.Code, e.Retryable = spi.CodeTimeout, spi.CodeTimeout.Retryable()
			e.Message = fmt.Sprintf("timeout of %s exceeded", r.spec.Config.Timeout)
			return OutcomeFailure, &e
		default:
			return OutcomeCancelled, spi.NewError(spi.CodeCancelled, stop.cause.Error())
		}
	}
	e := *spi.AsError(err)
	e.Message = clip(e.Error(), maxMessage)
	e.Stack = clip(e.Stack, maxStack)
	return OutcomeFailure, &e
}

func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
}

package execution

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/service"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Bounds of error handling. They make no job with slow handlers, and no few of
// them, hold up the handlers of other jobs.
const (
	// handlerQueue is how many failures of all jobs wait for their handlers.
	handlerQueue = 4096
	// handlerQueueOfJob is how many of those are of one job.
	handlerQueueOfJob = 256
	// handlerCalls is how many failures of all jobs are handled at once.
	handlerCalls = 64
	// handlerCallsOfJob is how many of those are of one job.
	handlerCallsOfJob = 2
)

// Handler is an error handler, the type name it goes by and the door that its
// calls have.
type Handler struct {
	Type    string
	Handler spi.ErrorHandler
	Door    hostcall.Caller

	calls aside
}

// failure is one failed item on its way to the job's error handlers.
type failure struct {
	run     *run
	item    int
	context spi.ShardingContext
	err     *spi.Error
}

// handlers calls error handlers off the workers. Failures of one job wait in a
// line of its own, and the lines are served in turn. A failure for which there is
// no room is not handed on, and the log says so. There are goroutines only while
// there are failures.
type handlers struct {
	logger *slog.Logger
	// stop is told when a handler wants its job stopped on this instance.
	stop    func(ctx context.Context, job, handler string)
	pending tracker // failures that wait or are being handled
	loops   sync.WaitGroup

	mu       sync.Mutex
	lifetime context.Context //nolint:containedctx // of the calls; nil before the start
	giveUp   context.CancelFunc
	stopped  bool           // no loop begins any more
	busy     int            // loops
	waiting  int            // failures in all lines
	lines    map[*Job]*line // of the jobs with failures
	ready    []*line        // those whose next failure may be handled, in turn
}

var _ service.Service = (*handlers)(nil)

// line is the failures of one job.
type line struct {
	job     *Job
	waiting []failure
	calls   int  // failures being handled
	isReady bool // it is among those that are
}

func newHandlers(logger *slog.Logger, stop func(ctx context.Context, job, handler string)) *handlers {
	return &handlers{logger: logger, stop: stop, lines: make(map[*Job]*line)}
}

// submit takes a failure and never blocks.
func (h *handlers) submit(f failure) {
	if lost, isLost := h.accept(f); isLost {
		h.logger.Error("failure not handed on to the error handlers", "job", lost.run.job.name, "item", lost.item, "run", lost.run.id)
	}
}

// accept puts a failure into its line. It returns the failure for which there is
// no room, if that is so: this one or another.
func (h *handlers) accept(f failure) (lost failure, isLost bool) {
	if !h.pending.add() {
		return f, true
	}
	f.run.spec.uses.add()
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.lines[f.run.job]
	if l == nil {
		l = &line{job: f.run.job}
		h.lines[l.job] = l
	}
	from := h.roomFor(l)
	if from == nil {
		h.forget(f)
		h.leave(l)
		return f, true
	}
	l.waiting = append(l.waiting, f)
	h.waiting++
	if from != l {
		lost, isLost = from.dropLast(), true
		h.forget(lost)
		h.waiting--
	}
	if h.lineUp(l) {
		h.hire()
	}
	return lost, isLost
}

// roomFor returns the line that makes room for one more failure of a line: that
// line itself if there is room, nil if there will be none. When all lines
// together are full, a line with less than its share takes from one with more,
// so that a job with few failures loses none to jobs with many.
func (h *handlers) roomFor(l *line) *line {
	switch {
	case h.stopped || len(l.waiting) >= handlerQueueOfJob:
		return nil
	case h.waiting < handlerQueue:
		return l
	}
	share := handlerQueue / len(h.lines)
	if len(l.waiting) >= share {
		return nil
	}
	for _, other := range h.lines {
		if len(other.waiting) > share {
			return other
		}
	}
	return nil
}

// forget ends what a failure holds.
func (h *handlers) forget(f failure) {
	f.run.spec.uses.done()
	h.pending.done()
}

// leave drops a line that is over.
func (h *handlers) leave(l *line) {
	if l.calls == 0 && len(l.waiting) == 0 {
		delete(h.lines, l.job)
	}
}

// dropLast takes the youngest failure out of a line.
func (l *line) dropLast() failure {
	last := len(l.waiting) - 1
	f := l.waiting[last]
	l.waiting[last] = failure{}
	l.waiting = l.waiting[:last]
	return f
}

// dropFirst takes the oldest failure out of a line.
func (l *line) dropFirst() failure {
	f := l.waiting[0]
	l.waiting[0] = failure{}
	l.waiting = l.waiting[1:]
	return f
}

// lineUp gives a line its turn after all others. It reports false when it has one
// already or may not have one now.
func (h *handlers) lineUp(l *line) bool {
	if l.isReady || len(l.waiting) == 0 || l.calls >= handlerCallsOfJob {
		return false
	}
	l.isReady = true
	h.ready = append(h.ready, l)
	return true
}

// hire starts a loop for a line that has got its turn. Without room for one more,
// a loop that is there comes to it.
func (h *handlers) hire() {
	if h.lifetime == nil || h.stopped || h.busy >= handlerCalls {
		return
	}
	h.busy++
	ctx := h.lifetime
	h.loops.Go(func() { h.loop(ctx) })
}

// loop handles failures until no line has one that may be handled.
func (h *handlers) loop(ctx context.Context) {
	for l, f := h.next(nil); l != nil; l, f = h.next(l) {
		h.handle(ctx, f)
		h.forget(f)
	}
}

// next ends the handling of a failure of a line, if there was one, and begins
// that of the line whose turn it is. Without one the loop is over.
func (h *handlers) next(handled *line) (*line, failure) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if handled != nil {
		handled.calls--
		h.lineUp(handled)
		h.leave(handled)
	}
	if len(h.ready) == 0 {
		h.busy--
		return nil, failure{}
	}
	l := h.ready[0]
	h.ready[0] = nil
	h.ready = h.ready[1:]
	l.isReady = false
	f := l.dropFirst()
	l.calls++
	h.waiting--
	if h.lineUp(l) {
		h.hire()
	}
	return l, f
}

// Start lets failures be handled.
func (h *handlers) Start(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.stopped:
		return service.ErrStopped
	case h.lifetime != nil:
		return nil
	}
	h.lifetime, h.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	for range h.ready {
		h.hire()
	}
	return nil
}

// Stop takes no more failures, handles those that wait as long as ctx lasts,
// and cancels what is left. It returns soon after that: a handler that ignores
// its context is left behind.
func (h *handlers) Stop(ctx context.Context) error {
	h.pending.close()
	if h.pending.wait(ctx) != nil {
		h.logger.Error("failures not handed on to the error handlers", "count", h.pending.count())
	}
	h.dropAll()
	h.loops.Wait()
	return nil
}

// dropAll ends what is being handled and gives up what waits.
func (h *handlers) dropAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	if h.giveUp != nil {
		h.giveUp()
	}
	for _, l := range h.lines {
		for _, f := range l.waiting {
			h.forget(f)
		}
		l.waiting, l.isReady = nil, false
		h.leave(l)
	}
	h.ready, h.waiting = nil, 0
}

// handle calls all handlers of the job; any stop wins.
func (h *handlers) handle(ctx context.Context, f failure) {
	stopper := ""
	for _, handler := range f.run.spec.Handlers {
		decision, err := h.call(ctx, handler, f)
		if err != nil {
			h.logger.Error("error handler failed", "job", f.run.job.name, "item", f.item, "run", f.run.id, "plugin", handler.Type, "err", err)
			continue
		}
		if decision == spi.DecisionStop && stopper == "" {
			stopper = handler.Type
		}
	}
	if stopper != "" {
		h.stop(ctx, f.run.job.name, stopper)
	}
}

// call calls one handler.
func (h *handlers) call(ctx context.Context, handler *Handler, f failure) (spi.Decision, error) {
	response, err := callAside(ctx, &handler.calls, func(ctx context.Context) (spi.HandleErrorResponse, error) {
		return handler.Handler.HandleError(ctx, spi.HandleErrorRequest{
			Context: f.context, Error: f.err, Props: f.run.spec.Values,
			Services: &asideServices{run: f.run, plugin: handler.Type, door: handler.Door, about: []slog.Attr{slog.Int("item", f.item)}},
		})
	})
	if err != nil {
		return "", err
	}
	switch response.Decision {
	case spi.DecisionContinue, spi.DecisionStop, "":
		return response.Decision, nil
	default:
		return "", fmt.Errorf("unknown decision %q", response.Decision)
	}
}

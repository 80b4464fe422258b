package execution

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/service"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Bounds of error handling; see lineBounds.
const (
	handlerQueue      = 4096
	handlerQueueOfJob = 256
	handlerCalls      = 64
	handlerCallsOfJob = 2
)

// Handler is an error handler, the type name it goes by and the door that its
// calls have.
type Handler struct {
	Type    string
	Handler spi.ErrorHandler
	Door    hostcall.Caller
	// Notifies says that the handler sends messages, which are collapsed and sent
	// again; see [spi.CapabilityNotify].
	Notifies bool
	// Window is how long failures that are alike become one message after one was
	// sent; 0 makes each a message of its own. Without Notifies it means nothing.
	Window time.Duration

	calls aside
}

// wholeRun stands for the item of a failure that is about a run.
const wholeRun = -1

// failure is one failed item, or run, on its way to the job's error handlers.
type failure struct {
	run     *run
	item    int // or wholeRun
	context spi.ShardingContext
	err     *spi.Error
}

// about are the attributes of the failure in the log.
func (f failure) about() []slog.Attr {
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs, slog.String("job", f.run.job.name))
	if f.item != wholeRun {
		attrs = append(attrs, slog.Int("item", f.item))
	}
	return append(attrs, slog.String("run", f.run.id))
}

// notHandedOn records what no handler, or one of them, was told.
func notHandedOn(logger *slog.Logger, facts []slog.Attr) {
	logger.LogAttrs(context.Background(), slog.LevelError, "failure not handed on to the error handlers", facts...)
}

// handlers calls error handlers off the workers. Those that send messages have
// an outbox. For the others, failures of one job wait in a line of its own. A
// failure for which there is no room is not handed on, and the log says so.
type handlers struct {
	logger *slog.Logger
	// stop is told when a handler wants its job stopped on this instance.
	stop     func(ctx context.Context, job, handler string)
	pending  tracker // failures that wait or are being handled
	failures *lines[*Job, failure]
	outbox   *outbox
}

var _ service.Service = (*handlers)(nil)

func newHandlers(logger *slog.Logger, stop func(ctx context.Context, job, handler string)) *handlers {
	h := &handlers{logger: logger, stop: stop}
	h.failures = newLines[*Job](lineBounds{handlerQueue, handlerQueueOfJob, handlerCalls, handlerCallsOfJob}, h.handle)
	h.outbox = newOutbox(logger, stop)
	return h
}

// submit takes a failure and never blocks.
func (h *handlers) submit(f failure) {
	hasOthers := false
	for _, handler := range f.run.spec.Handlers {
		if handler.Notifies {
			h.outbox.add(f, handler)
		} else {
			hasOthers = true
		}
	}
	if !hasOthers {
		return
	}
	lost, isLost := f, true
	if h.pending.add() {
		f.run.spec.uses.add()
		if lost, isLost = h.failures.put(f.run.job, f); isLost {
			h.forget(lost)
		}
	}
	if isLost {
		notHandedOn(h.logger, lost.about())
	}
}

// forget ends what a failure holds.
func (h *handlers) forget(f failure) {
	f.run.spec.uses.done()
	h.pending.done()
}

// Start lets failures be handled.
func (h *handlers) Start(ctx context.Context) error {
	if err := h.outbox.start(ctx); err != nil {
		return err
	}
	return h.failures.start(ctx)
}

// Stop takes no more failures, handles those that wait as long as ctx lasts,
// and cancels what is left. It returns soon after that: a handler that ignores
// its context is left behind.
func (h *handlers) Stop(ctx context.Context) error {
	var sending sync.WaitGroup
	sending.Go(func() { h.outbox.stop(ctx) })
	h.pending.close()
	if h.pending.wait(ctx) != nil {
		h.logger.Error("failures not handed on to the error handlers", "count", h.pending.count())
	}
	for _, f := range h.failures.stop() {
		h.forget(f)
	}
	sending.Wait()
	return nil
}

// handle calls the handlers of the job that send no messages; any stop wins.
func (h *handlers) handle(ctx context.Context, f failure) {
	defer h.forget(f)
	stopper := ""
	for _, handler := range f.run.spec.Handlers {
		if handler.Notifies {
			continue
		}
		decision, err := callHandler(ctx, handler, f.run, f.item, spi.HandleErrorRequest{Context: f.context, Error: f.err, Props: f.run.spec.Values})
		if err != nil {
			h.logger.LogAttrs(ctx, slog.LevelError, "error handler failed", append(f.about(), slog.String("plugin", handler.Type), slog.Any("err", err))...)
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

// callHandler calls one handler about an item of a run, or all of the run.
func callHandler(ctx context.Context, handler *Handler, about *run, item int, req spi.HandleErrorRequest) (spi.Decision, error) {
	services := &asideServices{run: about, plugin: handler.Type, door: handler.Door}
	if item != wholeRun {
		services.about = []slog.Attr{slog.Int("item", item)}
	}
	req.Services = services
	response, err := callAside(ctx, &handler.calls, func(ctx context.Context) (spi.HandleErrorResponse, error) {
		return handler.Handler.HandleError(ctx, req)
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

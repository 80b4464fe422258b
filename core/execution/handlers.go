package execution

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/service"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Bounds of error handling.
const (
	// handlerQueue is how many failures wait for their handlers.
	handlerQueue = 1024
	// handlerCalls is how many failures are handled at once.
	handlerCalls = 4
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

// handlers calls error handlers off the workers. When its queue is full a
// failure is not handed on, and the log says so.
type handlers struct {
	logger *slog.Logger
	// stop is told when a handler wants its job stopped on this instance.
	stop    func(ctx context.Context, job, handler string)
	queue   chan failure
	pending tracker
	loops   []*service.Background
}

func newHandlers(logger *slog.Logger, stop func(ctx context.Context, job, handler string)) *handlers {
	h := &handlers{logger: logger, stop: stop, queue: make(chan failure, handlerQueue)}
	for range handlerCalls {
		h.loops = append(h.loops, service.NewBackground(h.loop))
	}
	return h
}

func (h *handlers) submit(f failure) {
	if h.pending.add() {
		f.run.spec.uses.add()
		select {
		case h.queue <- f:
			return
		default:
			f.run.spec.uses.done()
			h.pending.done()
		}
	}
	h.logger.Error("failure not handed on to the error handlers", "job", f.run.job.name, "item", f.item, "run", f.run.id)
}

func (h *handlers) Start(ctx context.Context) error {
	for _, l := range h.loops {
		if err := l.Start(ctx); err != nil {
			return err
		}
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
	var errs []error
	for _, l := range h.loops {
		errs = append(errs, l.Stop(context.WithoutCancel(ctx)))
	}
	return errors.Join(errs...)
}

func (h *handlers) loop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-h.queue:
			h.handle(ctx, f)
			f.run.spec.uses.done()
			h.pending.done()
		}
	}
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

package elasticjob

import (
	"context"
	"errors"

	"github.com/elasticjob-go/elasticjob/core/execution"
)

// Run makes a node, starts it and stops it when ctx ends, as [New], [Node.Start]
// and [Node.Stop] do. It returns when the node has stopped: nil, also when ctx
// ended before the node was up, or what kept it from starting or stopping in
// order. Signals are the caller's affair; [os/signal.NotifyContext] makes a ctx
// of them.
func Run(ctx context.Context, c Config, options ...Option) error {
	node, err := New(ctx, c, options...)
	if err == nil {
		if err = node.Start(ctx); err == nil {
			<-ctx.Done()
		}
	}
	if ctx.Err() != nil {
		err = nil // what fails then, fails because of it
	}
	if node == nil {
		return err
	}
	return errors.Join(err, node.Stop(context.WithoutCancel(ctx)))
}

// What an [Observer] is told.
type (
	// ItemStarted says that the code of an item is about to run on this node.
	ItemStarted = execution.ItemStarted
	// ItemFinished says that the code of an item has returned, and how.
	ItemFinished = execution.ItemFinished
	// ItemMisfired says which fires of an item were missed, and why.
	ItemMisfired = execution.ItemMisfired
)

// The outcomes of an item.
const (
	OutcomeSuccess   = execution.OutcomeSuccess
	OutcomeFailure   = execution.OutcomeFailure
	OutcomeCancelled = execution.OutcomeCancelled
	OutcomeFenced    = execution.OutcomeFenced
)

// Observer is told what the items of a node do, as the records of its log are.
// Its functions, of which any may be nil, are called in the goroutine in which
// the item runs, by many at once. They must be quick, as the item waits for them,
// and must not panic.
type Observer struct {
	Started  func(ItemStarted)
	Finished func(ItemFinished)
	Misfired func(ItemMisfired)
}

// WithObserver lets the observer see what the items of the node do, beside those
// of earlier options.
func WithObserver(o Observer) Option {
	return func(s *settings) { s.observers = append(s.observers, o) }
}

// observe subscribes the observers. Nothing is published yet.
func (s settings) observe(events *execution.Events) {
	for _, o := range s.observers {
		if o.Started != nil {
			events.Started.Subscribe(o.Started)
		}
		if o.Finished != nil {
			events.Finished.Subscribe(o.Finished)
		}
		if o.Misfired != nil {
			events.Misfired.Subscribe(o.Misfired)
		}
	}
}

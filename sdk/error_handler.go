package sdk

import (
	"context"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// What an error handler decides. Stop disables the job on this instance, from
// its next firing until somebody enables it.
const (
	Continue = spi.DecisionContinue
	Stop     = spi.DecisionStop
)

// Failure is an item that has failed in its last attempt, or several that have
// failed alike; see [spi.HandleErrorRequest].
type Failure struct {
	Host
	// Context is what the item was about. Its deadline was the item's.
	Context spi.ShardingContext
	// Err says why it failed; it is never nil.
	Err *spi.Error
	// Props are the properties of the job that belong to the handler, defaults
	// included.
	Props props.Values

	// Count is how many failures this tells of, at least one. More come only to a
	// handler with [spi.CapabilityNotify]: Context and Err are those of the last.
	Count int
	// First and Last are when the first and the last of them were; zero without
	// that capability.
	First, Last time.Time
	// Items are the items that failed, at most 100; none without that capability.
	Items []int
}

// ErrorHandler returns the error handler of that name, which is told of every
// failed item and decides whether its job goes on. A call is bounded by 10 s;
// one that fails counts as Continue. The description and fields are as for
// [JobType].
//
// A handler that sends messages puts [spi.CapabilityNotify] into
// Descriptor.Capabilities of the result: then failures that are alike come as
// one, and a call that fails with a retryable error is made again.
func ErrorHandler(name, description string, handle func(ctx context.Context, f *Failure) (spi.Decision, error), fields ...props.Field) spi.Plugin {
	handleError := func(ctx context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
		failure := &Failure{
			Host: newHost(ctx, req.Services), Context: req.Context, Err: req.Error, Props: req.Props,
			Count: max(1, req.Count), First: req.First, Last: req.Last, Items: req.Items,
		}
		if failure.Err == nil {
			failure.Err = &spi.Error{Code: spi.CodeFailed}
		}
		decision, err := handle(ctx, failure)
		if err != nil {
			return spi.HandleErrorResponse{}, err
		}
		return spi.HandleErrorResponse{Decision: decision}, nil
	}
	return spi.Plugin{
		Descriptor:   spi.Descriptor{Kind: spi.KindErrorHandler, Type: name, Description: description, Props: fields},
		ErrorHandler: always[spi.ErrorHandler](spi.ErrorHandlerFunc(handleError)),
	}
}

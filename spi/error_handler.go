package spi

import (
	"context"
	"time"

	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Decision is what an error handler wants to happen to the job.
type Decision string

// The decisions. Stop disables the job on this instance, from its next firing
// until somebody enables it.
const (
	DecisionContinue Decision = "continue"
	DecisionStop     Decision = "stop"
)

// HandleErrorRequest tells of one failed item, after its last attempt. A handler
// with [CapabilityNotify] may be told of several failures that are alike at once:
// then Context and Error are those of the last one.
type HandleErrorRequest struct {
	Context  ShardingContext
	Error    *Error
	Props    props.Values
	Services Services

	// What follows is for handlers with CapabilityNotify, and zero for others.

	// Count is how many failures the request tells of; 0 stands for one.
	Count int
	// First and Last are when the first and the last of them were, by the clock of
	// the registry center.
	First, Last time.Time
	// Items are the items that failed, in order and each once; of more than 100
	// the first 100 to fail. It is empty if the whole run failed.
	Items []int
}

// HandleErrorResponse is the handler's decision. An empty one counts as
// continue.
type HandleErrorResponse struct {
	Decision Decision
}

// ErrorHandler is told of failed items. The engine calls it off the worker,
// bounds a call by 10 s, and counts a call that fails as continue.
type ErrorHandler interface {
	// HandleError decides what a failed item means for its job.
	HandleError(ctx context.Context, req HandleErrorRequest) (HandleErrorResponse, error)
}

// ErrorHandlerFunc is a function that is an ErrorHandler.
type ErrorHandlerFunc func(ctx context.Context, req HandleErrorRequest) (HandleErrorResponse, error)

var _ ErrorHandler = ErrorHandlerFunc(nil)

// HandleError calls f.
func (f ErrorHandlerFunc) HandleError(ctx context.Context, req HandleErrorRequest) (HandleErrorResponse, error) {
	return f(ctx, req)
}

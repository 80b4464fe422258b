package spi

import (
	"context"
	"time"

	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Outcome is how an item of a run ended.
type Outcome string

// The outcomes. An item that was stopped before it could succeed or fail counts
// as cancelled.
const (
	OutcomeSuccess   Outcome = "success"
	OutcomeFailure   Outcome = "failure"
	OutcomeCancelled Outcome = "cancelled"
)

// RunItem is one item of a run.
type RunItem struct {
	Item      int
	Parameter string
	// Outcome is "" before the run and, of a whole run, for items that did not run
	// in it: disabled ones, and those that still ran since an earlier instant.
	Outcome Outcome
	// Error says why the item did not succeed; nil if it did, or has not run, or
	// ran on another instance.
	Error *Error
}

// JobRun is a run as a listener sees it: all of it with
// [CapabilityDistributeOnce], the part on this instance otherwise.
type JobRun struct {
	JobName            string
	TaskID             string
	RunID              string
	FireTime           time.Time
	ExecutionSource    Source
	ShardingTotalCount int
	JobParameter       string
	// Items are in ascending order.
	Items []RunItem
}

// JobListenerRequest tells a listener of a run.
type JobListenerRequest struct {
	// Once says that one instance calls the listener for the whole run.
	Once     bool
	Run      JobRun
	Props    props.Values
	Services Services
}

// JobListenerResponse is empty so far.
type JobListenerResponse struct{}

// JobListener is called before and after the items of a run: by each instance for
// its part, with [CapabilityDistributeOnce] by one instance for the whole run, at
// most once each, and with both capabilities both ways. The engine bounds a call
// by 10 s.
type JobListener interface {
	// BeforeJob is called before the first item starts.
	BeforeJob(ctx context.Context, req JobListenerRequest) (JobListenerResponse, error)
	// AfterJob is called after the last item has ended, with the outcomes.
	AfterJob(ctx context.Context, req JobListenerRequest) (JobListenerResponse, error)
}

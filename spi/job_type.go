package spi

import (
	"context"
	"time"

	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Source says why an item runs.
type Source string

// The sources of an execution.
const (
	SourceNormal   Source = "NORMAL_TRIGGER" // its instant has come
	SourceMisfire  Source = "MISFIRE"        // it makes up for a missed instant
	SourceFailover Source = "FAILOVER"       // it takes over from a dead instance
	SourceOneOff   Source = "ONE_OFF"        // somebody triggered it
	SourceRetry    Source = "RETRY"          // an earlier attempt failed
)

// ShardingContext is what an execution of one item is about. Its JSON form is
// part of the ABI and a superset of ElasticJob's.
type ShardingContext struct {
	JobName            string
	TaskID             string
	ShardingTotalCount int
	JobParameter       string
	ShardingItem       int
	ShardingParameter  string
	// RunID names the run: equal on all nodes, unique within the job.
	RunID string
	// FireTime is the nominal instant of the run, in UTC.
	FireTime        time.Time
	ExecutionSource Source
	// Attempt counts from 1.
	Attempt int
	// FencingToken rises with every run of the job while executions are
	// monitored, and with every move of its items otherwise. A resource that
	// keeps the highest token it saw, and refuses lower ones, cannot be
	// changed by a node that has lost the item.
	FencingToken int64
	// Deadline is when the call is interrupted; zero without a timeout.
	Deadline time.Time
	// Checkpoint is what an earlier attempt saved last; nil if nothing. In this
	// version that is an attempt of the same run on the same node.
	Checkpoint []byte
	// Props are the job's properties, defaults included.
	Props props.Values
}

// ExecuteRequest asks to run one item.
type ExecuteRequest struct {
	Context  ShardingContext
	Services Services
}

// ExecuteResponse is the result of one item.
type ExecuteResponse struct {
	// Message is kept as the item's result; at most 4 KiB.
	Message string
}

// JobType runs the items of jobs. Execute returns when the item is done, or
// soon after ctx is cancelled; nil means success. It is called for several
// items at once.
type JobType interface {
	// Execute runs one item.
	Execute(ctx context.Context, req ExecuteRequest) (ExecuteResponse, error)
}

// JobTypeFunc is a function that is a JobType.
type JobTypeFunc func(ctx context.Context, req ExecuteRequest) (ExecuteResponse, error)

var _ JobType = JobTypeFunc(nil)

// Execute calls f.
func (f JobTypeFunc) Execute(ctx context.Context, req ExecuteRequest) (ExecuteResponse, error) {
	return f(ctx, req)
}

package sdk

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/ops"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Job is one item to work on, and the way to speak about it. It belongs to
// one call of the job's function.
type Job struct {
	// ShardingContext says what to do: the item and its parameter, the job's
	// parameter and properties, the fencing token.
	spi.ShardingContext
	Host
	// Result is kept as the item's result; what is above 4 KiB is cut. A
	// dataflow has none.
	Result string
}

// SaveCheckpoint keeps data, at most 64 KiB, for a later attempt at the item:
// it is in the Checkpoint of its Job. In this version a node keeps it until the
// item is done: the retries of its run there get it, and nobody after them. Save as
// often as is handy. It fails with [spi.CodeLeaseLost] when this node owns the item no more:
// return then. Fetching data has no checkpoint but a cursor.
func (j *Job) SaveCheckpoint(ctx context.Context, data []byte) error {
	return ops.SaveCheckpoint(ctx, j.Services, data)
}

// ReportProgress tells operators how far the item is.
func (j *Job) ReportProgress(ctx context.Context, p Progress) error {
	return ops.ReportProgress(ctx, j.Services, p)
}

// JobType returns the job type of that name whose items are run by run. The
// description is one or two sentences for operators; fields are the properties
// that a job of this type can set, and reach run as Props with their defaults
// filled in. Change the Descriptor of the result to say more.
func JobType(name, description string, run func(ctx context.Context, job *Job) error, fields ...props.Field) spi.Plugin {
	execute := func(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
		job := newJob(ctx, req.Context, req.Services)
		if err := run(ctx, job); err != nil {
			return spi.ExecuteResponse{}, err
		}
		return spi.ExecuteResponse{Message: job.Result}, nil
	}
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:         spi.KindJobType,
			Type:         name,
			Description:  description,
			Props:        fields,
			Capabilities: []string{spi.CapabilityExecute},
		},
		JobType: always[spi.JobType](spi.JobTypeFunc(execute)),
	}
}

func newJob(ctx context.Context, c spi.ShardingContext, services spi.Services) *Job {
	return &Job{ShardingContext: c, Host: newHost(ctx, services)}
}

// always is the constructor of what takes its properties with each call.
func always[T any](implementation T) spi.Constructor[T] {
	return func(context.Context, props.Values) (T, error) { return implementation, nil }
}

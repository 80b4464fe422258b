package execution

import (
	"context"
	"fmt"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// PropStreaming is the property of dataflow jobs that makes an item go on until
// nothing is left to fetch.
const PropStreaming = "streaming.process"

// PropStreamingCheckpoint is the property of dataflow jobs that keeps the cursor of
// a stream as the checkpoint of its item.
const PropStreamingCheckpoint = "streaming.checkpoint"

// DataflowProps are the properties that every job of a type with the dataflow
// capability has besides those of its plugin.
func DataflowProps() props.Schema {
	return props.Schema{
		{
			Name: PropStreaming, Type: props.Bool, Default: "false",
			Description: "fetch and process again until nothing is left, the node drains or the item moves",
		},
		{
			Name: PropStreamingCheckpoint, Type: props.Bool, Default: "false",
			Description: "keep the cursor of a stream as the checkpoint of the item after each batch, so that a later attempt goes on there",
		},
	}
}

// maxBatchData bounds the data of one batch, in bytes.
const maxBatchData = 16 << 20

// dataflowRun is what the data of one item are fetched and processed for.
type dataflowRun struct {
	Context spi.ShardingContext
	// Fetching and Processing are the services of the two kinds of calls.
	Fetching, Processing spi.Services
	// Streaming goes on until nothing is left.
	Streaming bool
	// Stop says between two batches why the item is to end, "" if it is not; nil
	// lets it go on.
	Stop func() string
	// Cursor is where the first fetch begins.
	Cursor string
	// Keep keeps a cursor after its batch was processed; nil keeps none.
	Keep func(ctx context.Context, cursor string) error
}

// driveDataflow fetches and processes the data of one item: once, or until
// nothing is left, the item is to end or its context does. What was processed
// stays processed, so an item that is asked to end between two batches has
// succeeded. The message of the response tells how much was done.
func driveDataflow(ctx context.Context, flow spi.Dataflow, run dataflowRun) (spi.ExecuteResponse, error) {
	var batches, count int
	cursor, ending := run.Cursor, ""
	for {
		if err := cause(ctx); err != nil {
			return spi.ExecuteResponse{}, err
		}
		fetched, err := flow.FetchData(ctx, spi.FetchDataRequest{Context: run.Context, Cursor: cursor, Services: run.Fetching})
		if err == nil {
			err = checkBatch(fetched.Data)
		}
		if err != nil {
			return spi.ExecuteResponse{}, fmt.Errorf("fetching batch %d: %w", batches+1, err)
		}
		if len(fetched.Data) == 0 {
			break
		}
		if _, err := flow.ProcessData(ctx, spi.ProcessDataRequest{Context: run.Context, Data: fetched.Data, Services: run.Processing}); err != nil {
			return spi.ExecuteResponse{}, fmt.Errorf("processing batch %d: %w", batches+1, err)
		}
		batches, count, cursor = batches+1, count+len(fetched.Data), fetched.Cursor
		if !run.Streaming {
			break
		}
		if run.Keep != nil {
			if err := run.Keep(ctx, cursor); err != nil {
				return spi.ExecuteResponse{}, fmt.Errorf("keeping the cursor of batch %d: %w", batches, err)
			}
		}
		if run.Stop == nil {
			continue
		}
		if reason := run.Stop(); reason != "" && cause(ctx) == nil {
			ending = ", more may be left: " + reason
			break
		}
	}
	return spi.ExecuteResponse{Message: fmt.Sprintf("batches: %d, data: %d%s", batches, count, ending)}, nil
}

// flow drives the data of the item.
func (c *itemCall) flow(ctx context.Context, flow spi.Dataflow) (spi.ExecuteResponse, error) {
	// The closure must not have the call, which then lives on the stack of its
	// worker.
	r, item, attempt := c.run, c.item, c.attempt
	run := dataflowRun{
		Context: c.sharding, Fetching: &itemServices{run: r, item: item, attempt: attempt, kind: callFetch},
		Processing: r.servicesOf(item, attempt),
		Streaming:  r.spec.Values.Bool(PropStreaming), Stop: func() string { return r.streamEnd(item) },
	}
	if r.spec.Values.Bool(PropStreamingCheckpoint) {
		services := r.servicesOf(item, attempt)
		run.Cursor = string(c.sharding.Checkpoint)
		run.Keep = func(ctx context.Context, cursor string) error { return services.keepCheckpoint(ctx, []byte(cursor)) }
	}
	return driveDataflow(ctx, flow, run)
}

// reasonReloaded is why a stream ends whose job is made of something else now. A
// single call is not asked to end for that, so should_stop never says it.
const reasonReloaded = "reloaded"

// streamEnd is why the stream of an item is to end between two batches, "" when
// it is not.
func (r *run) streamEnd(item int) string {
	if reason := r.job.stopReason(item); reason != "" {
		return reason
	}
	if r.session.isLost() {
		// Nobody believes how it ends, so it does not go on for ever.
		return hostcall.ReasonLeaseLost
	}
	if r.job.hasReplaced(r.spec) {
		return reasonReloaded
	}
	return ""
}

// hasReplaced reports whether runs are made of another spec now. Until the
// assignment is adopted after a Replace nothing begins, so that what the item
// has missed could not be caught up.
func (j *Job) hasReplaced(spec *Spec) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.spec != spec && !j.rejoined
}

// checkBatch holds the bound of a batch.
func checkBatch(data [][]byte) error {
	size := 0
	for _, one := range data {
		size += len(one)
	}
	if size > maxBatchData {
		return spi.NewError(spi.CodeTooLarge, fmt.Sprintf("its data has %d bytes, more than %d", size, maxBatchData))
	}
	return nil
}

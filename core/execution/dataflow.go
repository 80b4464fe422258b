package execution

import (
	"context"
	"fmt"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// PropStreaming is the property of dataflow jobs that makes an item go on until
// nothing is left to fetch.
const PropStreaming = "streaming.process"

// DataflowProps are the properties that every job of a type with the dataflow
// capability has besides those of its plugin.
func DataflowProps() props.Schema {
	return props.Schema{{
		Name: PropStreaming, Type: props.Bool, Default: "false",
		Description: "fetch and process again until nothing is left, the node drains or the item moves",
	}}
}

// maxBatchData bounds the data of one batch, in bytes.
const maxBatchData = 16 << 20

// flow fetches and processes the data of one item: once, or until nothing is
// left, the item is to end or its context does. What was processed stays
// processed, so an item that is asked to end between two batches has succeeded.
func (c *itemCall) flow(ctx context.Context, flow spi.Dataflow) (spi.ExecuteResponse, error) {
	r := c.run
	fetching, processing := &itemServices{run: r, item: c.item, kind: callFetch}, r.servicesOf(c.item)
	var batches, count int
	cursor, ending := "", ""
	for {
		if err := cause(ctx); err != nil {
			return spi.ExecuteResponse{}, err
		}
		fetched, err := flow.FetchData(ctx, spi.FetchDataRequest{Context: c.sharding, Cursor: cursor, Services: fetching})
		if err == nil {
			err = checkBatch(fetched.Data)
		}
		if err != nil {
			return spi.ExecuteResponse{}, fmt.Errorf("fetching batch %d: %w", batches+1, err)
		}
		if len(fetched.Data) == 0 {
			break
		}
		if _, err := flow.ProcessData(ctx, spi.ProcessDataRequest{Context: c.sharding, Data: fetched.Data, Services: processing}); err != nil {
			return spi.ExecuteResponse{}, fmt.Errorf("processing batch %d: %w", batches+1, err)
		}
		batches, count, cursor = batches+1, count+len(fetched.Data), fetched.Cursor
		if !r.spec.Values.Bool(PropStreaming) {
			break
		}
		if reason := r.job.stopReason(c.item); reason != "" && cause(ctx) == nil {
			ending = ", more may be left: " + reason
			break
		}
	}
	return spi.ExecuteResponse{Message: fmt.Sprintf("batches: %d, data: %d%s", batches, count, ending)}, nil
}

// checkBatch holds the bound of a batch.
func checkBatch(data [][]byte) error {
	size := 0
	for _, one := range data {
		size += len(one)
	}
	if size > maxBatchData {
		return tooLarge("its data", size, maxBatchData)
	}
	return nil
}

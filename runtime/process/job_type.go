package process

import (
	"bytes"
	"context"
	"fmt"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

type jobType struct{ remote }

var _ spi.JobType = (*jobType)(nil)

// begin adds to a call what this host knows better than the engine: the limit of
// the program, and the properties.
func (j *jobType) begin(ctx context.Context, c spi.ShardingContext) (context.Context, context.CancelFunc, *pluginpb.ShardingContext) {
	c.Props = j.or(c.Props)
	ctx, cancel := j.program.bounded(ctx, 0)
	if deadline, ok := ctx.Deadline(); ok && (c.Deadline.IsZero() || deadline.Before(c.Deadline)) {
		c.Deadline = deadline
	}
	return ctx, cancel, toContext(c)
}

// Execute runs one item. Its errors are of [*spi.Error].
func (j *jobType) Execute(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	ctx, cancel, c := j.begin(ctx, req.Context)
	defer cancel()
	response, err := invoke(ctx, j.program, req.Services, func(call *pluginpb.Call) *pluginpb.ExecuteRequest {
		return &pluginpb.ExecuteRequest{Call: call, Plugin: j.name, Context: c}
	}, func(c pluginpb.PluginClient, ctx context.Context, q *pluginpb.ExecuteRequest) (*pluginpb.ExecuteResponse, error) {
		return c.Execute(ctx, q)
	})
	if err != nil {
		return spi.ExecuteResponse{}, err
	}
	return spi.ExecuteResponse{Message: wire.Cut(response.GetMessage(), wire.MaxText)}, nil
}

// dataflow is a job type that describes the capability.
type dataflow struct{ jobType }

var _ spi.Dataflow = (*dataflow)(nil)

// FetchData returns the next batch. Its errors are of [*spi.Error].
func (d *dataflow) FetchData(ctx context.Context, req spi.FetchDataRequest) (spi.FetchDataResponse, error) {
	ctx, cancel, c := d.begin(ctx, req.Context)
	defer cancel()
	response, err := invoke(ctx, d.program, req.Services, func(call *pluginpb.Call) *pluginpb.FetchDataRequest {
		return &pluginpb.FetchDataRequest{Call: call, Plugin: d.name, Context: c, Cursor: valid(req.Cursor)}
	}, func(c pluginpb.PluginClient, ctx context.Context, q *pluginpb.FetchDataRequest) (*pluginpb.FetchDataResponse, error) {
		return c.FetchData(ctx, q)
	})
	if err != nil {
		return spi.FetchDataResponse{}, err
	}
	data, err := checkData(response.GetData())
	if err != nil {
		return spi.FetchDataResponse{}, err
	}
	return spi.FetchDataResponse{Data: data, Cursor: response.GetCursor()}, nil
}

// checkData refuses what is no batch: a module could not even send it. It takes
// the space around values away, which a module cannot send either.
func checkData(data [][]byte) ([][]byte, error) {
	if len(data) > wire.MaxData {
		return nil, spi.NewError(spi.CodeProtocol, fmt.Sprintf("fetch_data response: data has more than %d elements", wire.MaxData))
	}
	for i, datum := range data {
		if !wire.Valid(datum) {
			return nil, spi.NewError(spi.CodeProtocol, fmt.Sprintf("fetch_data response: data[%d] is not a JSON value", i))
		}
		data[i] = bytes.Trim(datum, " \t\r\n")
	}
	return data, nil
}

// ProcessData works on one batch. Its errors are of [*spi.Error].
func (d *dataflow) ProcessData(ctx context.Context, req spi.ProcessDataRequest) (spi.ProcessDataResponse, error) {
	ctx, cancel, c := d.begin(ctx, req.Context)
	defer cancel()
	_, err := invoke(ctx, d.program, req.Services, func(call *pluginpb.Call) *pluginpb.ProcessDataRequest {
		return &pluginpb.ProcessDataRequest{Call: call, Plugin: d.name, Context: c, Data: req.Data}
	}, func(c pluginpb.PluginClient, ctx context.Context, q *pluginpb.ProcessDataRequest) (*pluginpb.ProcessDataResponse, error) {
		return c.ProcessData(ctx, q)
	})
	return spi.ProcessDataResponse{}, err
}

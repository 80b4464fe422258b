package wasm

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// dataflowJob fetches and processes in a module.
type dataflowJob struct{ job }

var (
	_ spi.JobType  = (*dataflowJob)(nil)
	_ spi.Dataflow = (*dataflowJob)(nil)
)

// FetchData asks for the next batch of data.
func (d *dataflowJob) FetchData(ctx context.Context, req spi.FetchDataRequest) (spi.FetchDataResponse, error) {
	req.Context.Props = d.orValues(req.Context.Props)
	return runExport(ctx, d.module, req.Services, 0, wire.ExportFetchData, func(ctx context.Context) []byte {
		req.Context = within(ctx, req.Context)
		return wire.AppendFetchDataRequest(nil, d.plugin, req)
	}, wire.DecodeFetchDataResponse)
}

// ProcessData hands one batch over.
func (d *dataflowJob) ProcessData(ctx context.Context, req spi.ProcessDataRequest) (spi.ProcessDataResponse, error) {
	req.Context.Props = d.orValues(req.Context.Props)
	return runExport(ctx, d.module, req.Services, 0, wire.ExportProcessData, func(ctx context.Context) []byte {
		req.Context = within(ctx, req.Context)
		return wire.AppendProcessDataRequest(nil, d.plugin, req)
	}, wire.DecodeProcessDataResponse)
}

package wasm

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// jobListener listens to runs in a module.
type jobListener struct{ adapter }

var _ spi.JobListener = (*jobListener)(nil)

// BeforeJob tells that a run begins.
func (p *jobListener) BeforeJob(ctx context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	return p.tell(ctx, wire.ExportBeforeJob, wire.TypeBeforeJob, req)
}

// AfterJob tells that a run has ended.
func (p *jobListener) AfterJob(ctx context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	return p.tell(ctx, wire.ExportAfterJob, wire.TypeAfterJob, req)
}

func (p *jobListener) tell(ctx context.Context, export, typ string, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	req.Props = p.orValues(req.Props)
	return runExport(ctx, p.module, req.Services, wire.CallTimeout, export, func(context.Context) []byte {
		return wire.AppendJobListenerRequest(nil, typ, p.plugin, req)
	}, wire.DecodeJobListenerResponse)
}

package wasm

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// tracingSink keeps the history in a module.
type tracingSink struct{ adapter }

var _ spi.TracingSink = (*tracingSink)(nil)

// Trace hands over a batch of events.
func (p *tracingSink) Trace(ctx context.Context, req spi.TraceRequest) (spi.TraceResponse, error) {
	req.Props = p.orValues(req.Props)
	return runExport(ctx, p.module, req.Services, wire.CallTimeout, wire.ExportTrace, func(context.Context) []byte {
		return wire.AppendTraceRequest(nil, p.plugin, req)
	}, wire.DecodeTraceResponse)
}

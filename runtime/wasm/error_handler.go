package wasm

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// errorHandler handles failed items in a module.
type errorHandler struct{ adapter }

var _ spi.ErrorHandler = (*errorHandler)(nil)

// HandleError tells of a failed item and returns what is to happen.
func (p *errorHandler) HandleError(ctx context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
	req.Props = p.orValues(req.Props)
	return runExport(ctx, p.module, req.Services, wire.CallTimeout, wire.ExportHandleError, func(context.Context) []byte {
		return wire.AppendHandleErrorRequest(nil, p.plugin, req)
	}, wire.DecodeHandleErrorResponse)
}

//go:build !wasip1

package native

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
)

// services are those of one call.
type services struct {
	host pluginpb.HostClient // nil before Attach
	call string
}

var _ spi.Services = (*services)(nil)

// Log sends one line. There is nobody to tell when that fails.
func (s *services) Log(ctx context.Context, r spi.LogRecord) {
	if s.host != nil {
		_, _ = s.host.Log(ctx, &pluginpb.LogRequest{Call: s.call, Records: []*pluginpb.LogRecord{{Level: int32(r.Level), Line: text(r.Line)}}})
	}
}

// Call runs a host operation.
func (s *services) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	if s.host == nil {
		return nil, spi.NewError(spi.CodeUnavailable, "the host has not attached the plugin")
	}
	response, err := s.host.Call(ctx, &pluginpb.CallRequest{Call: s.call, Op: text(op), Request: request})
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, spi.NewError(spi.CodeUnavailable, op+": "+err.Error())
	}
	if response.GetError() != nil {
		return nil, fromError(response.GetError())
	}
	return response.GetResponse(), nil
}

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
	// ended reports whether the context of the call has ended.
	ended func() bool
}

var _ spi.Services = (*services)(nil)

// Log sends one line. There is nobody to tell when that fails. What a call says
// after the end of its context is often the most interesting.
func (s *services) Log(ctx context.Context, r spi.LogRecord) {
	if s.host != nil {
		_, _ = s.host.Log(context.WithoutCancel(ctx), &pluginpb.LogRequest{Call: s.call, Records: []*pluginpb.LogRecord{{Level: int32(r.Level), Line: text(r.Line)}}})
	}
}

// Call runs a host operation. It ends with a context that the author has made
// to bound it, but not with that of the call: what can still be done then, such
// as saving a checkpoint, is the host's to say.
func (s *services) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	if s.host == nil {
		return nil, spi.NewError(spi.CodeUnavailable, "the host has not attached the plugin")
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if !s.ended() {
			cancel()
		}
	})()
	response, err := s.host.Call(running, &pluginpb.CallRequest{Call: s.call, Op: text(op), Request: request})
	if err != nil {
		if running.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, spi.NewError(spi.CodeUnavailable, op+": "+err.Error())
	}
	if response.GetError() != nil {
		return nil, fromError(response.GetError())
	}
	return response.GetResponse(), nil
}

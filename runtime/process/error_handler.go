package process

import (
	"context"
	"fmt"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

type errorHandler struct{ remote }

var _ spi.ErrorHandler = (*errorHandler)(nil)

// HandleError decides what a failed item means. Its errors are of [*spi.Error].
func (h *errorHandler) HandleError(ctx context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
	ctx, cancel := h.program.bounded(ctx, wire.CallTimeout)
	defer cancel()
	response, err := invoke(ctx, h.program, req.Services, func(call *pluginpb.Call) *pluginpb.HandleErrorRequest {
		q := &pluginpb.HandleErrorRequest{
			Call: call, Plugin: h.name, Props: validMap(h.or(req.Props)), Context: toContext(req.Context),
			Count: int64(req.Count), First: optionalInstant(req.First), Last: optionalInstant(req.Last),
		}
		for _, item := range req.Items {
			q.Items = append(q.Items, int64(item))
		}
		if req.Error != nil {
			q.Error = toError(req.Error)
		}
		return q
	}, func(c pluginpb.PluginClient, ctx context.Context, q *pluginpb.HandleErrorRequest) (*pluginpb.HandleErrorResponse, error) {
		return c.HandleError(ctx, q)
	})
	if err != nil {
		return spi.HandleErrorResponse{}, err
	}
	switch decision := spi.Decision(response.GetDecision()); decision {
	case spi.DecisionContinue, spi.DecisionStop:
		return spi.HandleErrorResponse{Decision: decision}, nil
	default:
		return spi.HandleErrorResponse{}, spi.NewError(spi.CodeProtocol, fmt.Sprintf(
			"handle_error response: decision: expected %q or %q, not %q", spi.DecisionContinue, spi.DecisionStop, wire.Cut(string(decision), 100)))
	}
}

package process

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

type tracingSink struct{ remote }

var _ spi.TracingSink = (*tracingSink)(nil)

// Trace hands over one batch of events. Its errors are of [*spi.Error].
func (s *tracingSink) Trace(ctx context.Context, req spi.TraceRequest) (spi.TraceResponse, error) {
	ctx, cancel := s.program.bounded(ctx, wire.CallTimeout)
	defer cancel()
	_, err := invoke(ctx, s.program, req.Services, func(call *pluginpb.Call) *pluginpb.TraceRequest {
		q := &pluginpb.TraceRequest{Call: call, Plugin: s.name, Props: validMap(s.or(req.Props)), Events: make([]*pluginpb.TraceEvent, len(req.Events))}
		for i := range req.Events {
			q.Events[i] = toEvent(&req.Events[i])
		}
		return q
	}, func(c pluginpb.PluginClient, ctx context.Context, q *pluginpb.TraceRequest) (*pluginpb.TraceResponse, error) {
		return c.Trace(ctx, q)
	})
	return spi.TraceResponse{}, err
}

// toEvent writes what belongs to the kind of the event.
func toEvent(e *spi.TraceEvent) *pluginpb.TraceEvent {
	out := &pluginpb.TraceEvent{
		Id: valid(e.ID), Kind: valid(string(e.Kind)), Time: instant(e.Time), JobName: valid(e.JobName), TaskId: valid(e.TaskID), RunId: valid(e.RunID),
		Instance: toInstance(e.Instance), ExecutionSource: valid(string(e.ExecutionSource)),
	}
	if e.Kind != spi.TraceExecution {
		out.State, out.Message = valid(string(e.State)), valid(e.Message)
		for _, item := range e.Items {
			out.Items = append(out.Items, int64(item))
		}
		return out
	}
	out.Item, out.Attempt, out.Success = int64(e.Item), int64(e.Attempt), e.Success
	out.Start, out.End = optionalInstant(e.Start), optionalInstant(e.End)
	if e.Error != nil {
		out.Error = toError(e.Error)
	}
	return out
}

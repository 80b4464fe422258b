package process

import (
	"context"
	"fmt"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// remote is a plugin of a program, for one job.
type remote struct {
	program *program
	name    string // its type
	values  props.Values
}

// or returns values, or those that the plugin was made with.
func (r *remote) or(values props.Values) props.Values {
	if values == nil {
		return r.values
	}
	return values
}

// pluginOf returns the plugin that a descriptor of the program stands for.
func pluginOf(p *program, d spi.Descriptor) spi.Plugin {
	plugin := spi.Plugin{Descriptor: d}
	made := func(values props.Values) remote { return remote{program: p, name: d.Type, values: values} }
	switch d.Kind {
	case spi.KindJobType:
		plugin.JobType = func(_ context.Context, values props.Values) (spi.JobType, error) { return &jobType{made(values)}, nil }
	case spi.KindShardingStrategy:
		plugin.ShardingStrategy = func(_ context.Context, values props.Values) (spi.ShardingStrategy, error) {
			return &shardingStrategy{made(values)}, nil
		}
	case spi.KindErrorHandler:
		plugin.ErrorHandler = func(_ context.Context, values props.Values) (spi.ErrorHandler, error) {
			return &errorHandler{made(values)}, nil
		}
	default:
		// Refused when the program was described.
	}
	return plugin
}

type jobType struct{ remote }

var _ spi.JobType = (*jobType)(nil)

// Execute runs one item. Its errors are of [*spi.Error].
func (j *jobType) Execute(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	req.Context.Props = j.or(req.Context.Props)
	ctx, cancel := j.program.bounded(ctx, 0)
	defer cancel()
	if deadline, ok := ctx.Deadline(); ok && (req.Context.Deadline.IsZero() || deadline.Before(req.Context.Deadline)) {
		req.Context.Deadline = deadline
	}
	response, err := invoke(ctx, j.program, req.Services, func(call *pluginpb.Call) *pluginpb.ExecuteRequest {
		return &pluginpb.ExecuteRequest{Call: call, Plugin: j.name, Context: toContext(req.Context)}
	}, func(c pluginpb.PluginClient, ctx context.Context, q *pluginpb.ExecuteRequest) (*pluginpb.ExecuteResponse, error) {
		return c.Execute(ctx, q)
	})
	if err != nil {
		return spi.ExecuteResponse{}, err
	}
	return spi.ExecuteResponse{Message: wire.Cut(response.GetMessage(), wire.MaxText)}, nil
}

type shardingStrategy struct{ remote }

var _ spi.ShardingStrategy = (*shardingStrategy)(nil)

// Shard gives every item an owner. Its errors are of [*spi.Error].
func (s *shardingStrategy) Shard(ctx context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	ctx, cancel := s.program.bounded(ctx, wire.CallTimeout)
	defer cancel()
	response, err := invoke(ctx, s.program, req.Services, func(call *pluginpb.Call) *pluginpb.ShardRequest {
		q := &pluginpb.ShardRequest{
			Call: call, Plugin: s.name, JobName: valid(req.JobName), ShardingTotalCount: int64(req.ShardingTotalCount),
			Props: validMap(s.or(req.Props)), Previous: toItems(req.Previous),
		}
		for _, i := range req.Instances {
			q.Instances = append(q.Instances, &pluginpb.Instance{Id: valid(i.ID), Ip: valid(i.IP), Labels: validMap(i.Labels)})
		}
		for _, i := range req.Items {
			q.Items = append(q.Items, &pluginpb.Item{Item: int64(i.Item), Parameter: valid(i.Parameter)})
		}
		return q
	}, func(c pluginpb.PluginClient, ctx context.Context, q *pluginpb.ShardRequest) (*pluginpb.ShardResponse, error) {
		return c.Shard(ctx, q)
	})
	if err != nil {
		return spi.ShardResponse{}, err
	}
	return spi.ShardResponse{Assignment: fromItems(response.GetAssignment())}, nil
}

type errorHandler struct{ remote }

var _ spi.ErrorHandler = (*errorHandler)(nil)

// HandleError decides what a failed item means. Its errors are of [*spi.Error].
func (h *errorHandler) HandleError(ctx context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
	ctx, cancel := h.program.bounded(ctx, wire.CallTimeout)
	defer cancel()
	response, err := invoke(ctx, h.program, req.Services, func(call *pluginpb.Call) *pluginpb.HandleErrorRequest {
		q := &pluginpb.HandleErrorRequest{Call: call, Plugin: h.name, Props: validMap(h.or(req.Props)), Context: toContext(req.Context)}
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

package process

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

type jobListener struct{ remote }

var _ spi.JobListener = (*jobListener)(nil)

// BeforeJob tells of the begin of a run. Its errors are of [*spi.Error].
func (l *jobListener) BeforeJob(ctx context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	return l.tell(ctx, req, func(c pluginpb.PluginClient, ctx context.Context, q *pluginpb.JobListenerRequest) (*pluginpb.JobListenerResponse, error) {
		return c.BeforeJob(ctx, q)
	})
}

// AfterJob tells of the end of a run. Its errors are of [*spi.Error].
func (l *jobListener) AfterJob(ctx context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	return l.tell(ctx, req, func(c pluginpb.PluginClient, ctx context.Context, q *pluginpb.JobListenerRequest) (*pluginpb.JobListenerResponse, error) {
		return c.AfterJob(ctx, q)
	})
}

func (l *jobListener) tell(ctx context.Context, req spi.JobListenerRequest,
	method func(pluginpb.PluginClient, context.Context, *pluginpb.JobListenerRequest) (*pluginpb.JobListenerResponse, error),
) (spi.JobListenerResponse, error) {
	ctx, cancel := l.program.bounded(ctx, wire.CallTimeout)
	defer cancel()
	_, err := invoke(ctx, l.program, req.Services, func(call *pluginpb.Call) *pluginpb.JobListenerRequest {
		return &pluginpb.JobListenerRequest{Call: call, Plugin: l.name, Props: validMap(l.or(req.Props)), Once: req.Once, Run: toRun(req.Run)}
	}, method)
	return spi.JobListenerResponse{}, err
}

func toRun(r spi.JobRun) *pluginpb.JobRun {
	out := &pluginpb.JobRun{
		JobName: valid(r.JobName), TaskId: valid(r.TaskID), RunId: valid(r.RunID), FireTime: instant(r.FireTime),
		ExecutionSource: valid(string(r.ExecutionSource)), ShardingTotalCount: int64(r.ShardingTotalCount), JobParameter: valid(r.JobParameter),
	}
	for _, i := range r.Items {
		item := &pluginpb.RunItem{Item: int64(i.Item), Parameter: valid(i.Parameter), Outcome: valid(string(i.Outcome))}
		if i.Error != nil {
			item.Error = toError(i.Error)
		}
		out.Items = append(out.Items, item)
	}
	return out
}

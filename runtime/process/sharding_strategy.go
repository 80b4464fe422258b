package process

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

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
			q.Instances = append(q.Instances, toInstance(i))
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

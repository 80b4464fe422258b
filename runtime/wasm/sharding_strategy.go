package wasm

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// shardingStrategy gives items to instances in a module.
type shardingStrategy struct{ adapter }

var _ spi.ShardingStrategy = (*shardingStrategy)(nil)

// Shard asks for an assignment, which the engine checks.
func (p *shardingStrategy) Shard(ctx context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	req.Props = p.orValues(req.Props)
	return runExport(ctx, p.module, req.Services, wire.CallTimeout, wire.ExportShard, func(context.Context) []byte {
		return wire.AppendShardRequest(nil, p.plugin, req)
	}, wire.DecodeShardResponse)
}

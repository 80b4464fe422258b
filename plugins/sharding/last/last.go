// Package last is the sharding strategy LAST: the last instance runs all items,
// and the others stand by.
package last

import (
	"context"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/allocation"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Type is the name of the strategy in config.
const Type = "LAST"

// Plugin returns the strategy.
func Plugin() spi.Plugin {
	return allocation.Plugin(spi.Descriptor{
		Type:        Type,
		Description: "Gives all items to the last instance, the one with the largest IP; the others stand by.",
	}, shard)
}

func shard(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	if len(req.Instances) == 0 {
		return spi.ShardResponse{}, nil
	}
	return spi.ShardResponse{Assignment: allocation.Everything(req.Instances[len(req.Instances)-1], req.ShardingTotalCount)}, nil
}

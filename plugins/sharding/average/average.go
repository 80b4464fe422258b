// Package average is the sharding strategy AVG_ALLOCATION: every instance
// gets a run of consecutive items, as equal in size as can be.
package average

import (
	"context"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/allocation"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Type is the name of the strategy in config.
const Type = "AVG_ALLOCATION"

// Plugin returns the strategy.
func Plugin() spi.Plugin {
	return allocation.Plugin(spi.Descriptor{
		Type:        Type,
		Description: "Gives every instance a run of consecutive items; the items left over go one each to the first instances.",
	}, shard)
}

func shard(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	return spi.ShardResponse{Assignment: allocation.Average(req.Instances, req.ShardingTotalCount)}, nil
}

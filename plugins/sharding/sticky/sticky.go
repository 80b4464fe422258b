// Package sticky is the sharding strategy STICKY: all instances have equally many
// items, and no more items move than that takes.
package sticky

import (
	"context"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/allocation"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Type is the name of the strategy in config.
const Type = "STICKY"

// Plugin returns the strategy.
func Plugin() spi.Plugin {
	return allocation.Plugin(spi.Descriptor{
		Type:        Type,
		Description: "Leaves items where they are and moves as few as it takes for all instances to have equally many, give or take one.",
	}, shard)
}

func shard(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	if len(req.Instances) == 0 {
		return spi.ShardResponse{}, nil
	}
	weights := make([]int, len(req.Instances))
	for i := range weights {
		weights[i] = 1
	}
	return spi.ShardResponse{Assignment: allocation.Keep(req, allocation.Quotas(req, weights))}, nil
}

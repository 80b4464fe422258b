// Package odevity is the sharding strategy ODEVITY: AVG_ALLOCATION on the
// instances in ascending order for jobs whose name has an even hash, and in
// descending order for the others, so that jobs with few items do not all run on
// the same instance.
package odevity

import (
	"context"
	"slices"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/allocation"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Type is the name of the strategy in config.
const Type = "ODEVITY"

// Plugin returns the strategy.
func Plugin() spi.Plugin {
	return allocation.Plugin(spi.Descriptor{
		Type:        Type,
		Description: "Gives every instance a run of consecutive items, in ascending order of the instances when the hash of the job's name is even, in descending order when it is odd.",
	}, shard)
}

func shard(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	instances := slices.Clone(req.Instances)
	if allocation.JavaHash(req.JobName)&1 == 1 {
		slices.Reverse(instances)
	}
	return spi.ShardResponse{Assignment: allocation.Average(instances, req.ShardingTotalCount)}, nil
}

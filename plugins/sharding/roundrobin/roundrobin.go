// Package roundrobin is the sharding strategy ROUND_ROBIN: AVG_ALLOCATION on the
// instances from the one on that the hash of the job's name names, so that jobs
// with few items are spread over all instances.
package roundrobin

import (
	"context"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/allocation"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Type is the name of the strategy in config.
const Type = "ROUND_ROBIN"

// Plugin returns the strategy.
func Plugin() spi.Plugin {
	return allocation.Plugin(spi.Descriptor{
		Type:        Type,
		Description: "Gives every instance a run of consecutive items, beginning with the instance that the hash of the job's name names.",
	}, shard)
}

func shard(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	if len(req.Instances) == 0 {
		return spi.ShardResponse{}, nil
	}
	instances := allocation.Rotated(req.Instances, allocation.Offset(req.JobName, len(req.Instances)))
	return spi.ShardResponse{Assignment: allocation.Average(instances, req.ShardingTotalCount)}, nil
}

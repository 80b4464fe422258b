// Package average is the sharding strategy AVG_ALLOCATION: every instance
// gets a run of consecutive items, as equal in size as can be.
package average

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the strategy in config.
const Type = "AVG_ALLOCATION"

// Plugin returns the strategy.
func Plugin() spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:        spi.KindShardingStrategy,
			Type:        Type,
			Version:     "1",
			Description: "Gives every instance a run of consecutive items; the items left over go one each to the first instances.",
		},
		ShardingStrategy: func(context.Context, props.Values) (spi.ShardingStrategy, error) {
			return spi.ShardingStrategyFunc(shard), nil
		},
	}
}

// shard splits as ElasticJob's AverageAllocationJobShardingStrategy: of n
// items on m instances, instance j gets the items j*(n/m) up to (j+1)*(n/m),
// and item m*(n/m)+c goes to instance c.
func shard(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	assignment := make(map[string][]int, len(req.Instances))
	count := len(req.Instances)
	if count == 0 {
		return spi.ShardResponse{Assignment: assignment}, nil
	}
	each := req.ShardingTotalCount / count
	for i, instance := range req.Instances {
		items := make([]int, 0, each+1)
		for item := i * each; item < (i+1)*each; item++ {
			items = append(items, item)
		}
		if extra := count*each + i; extra < req.ShardingTotalCount {
			items = append(items, extra)
		}
		assignment[instance.ID] = items
	}
	return spi.ShardResponse{Assignment: assignment}, nil
}

// Package broadcast is the sharding strategy BROADCAST: every instance runs an
// item of its own.
package broadcast

import (
	"context"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/allocation"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Type is the name of the strategy in config.
const Type = "BROADCAST"

// Plugin returns the strategy.
func Plugin() spi.Plugin {
	return allocation.Plugin(spi.Descriptor{
		Type:         Type,
		Description:  "Every instance runs the job: there are as many items as instances, and an instance's item is its index.",
		Capabilities: []string{spi.CapabilityBroadcast},
	}, shard)
}

// shard gives every instance one item: its index among the instances, or the item
// that it has already as long as there is one of that number. So an instance that
// joins or leaves changes the item of one other at most.
func shard(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	quotas := make([]int, len(req.Instances))
	for i := range min(len(quotas), req.ShardingTotalCount) {
		quotas[i] = 1
	}
	return spi.ShardResponse{Assignment: allocation.Keep(req, quotas)}, nil
}

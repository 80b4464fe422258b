// Package random is the sharding strategy RANDOM: after every run, each item gets
// an owner by chance.
package random

import (
	"context"
	"math/rand/v2"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/allocation"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Type is the name of the strategy in config.
const Type = "RANDOM"

// Plugin returns the strategy.
func Plugin() spi.Plugin {
	return allocation.Plugin(spi.Descriptor{
		Type:         Type,
		Description:  "Gives every item to an instance by chance, anew after every run.",
		Capabilities: []string{spi.CapabilityEveryRun},
	}, shard)
}

func shard(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	assignment := make(map[string][]int, len(req.Instances))
	if len(req.Instances) == 0 {
		return spi.ShardResponse{Assignment: assignment}, nil
	}
	for item := range req.ShardingTotalCount {
		// Chance spreads load here and guards nothing.
		owner := req.Instances[rand.IntN(len(req.Instances))].ID //nolint:gosec // no secret depends on it
		assignment[owner] = append(assignment[owner], item)
	}
	return spi.ShardResponse{Assignment: assignment}, nil
}

// Package singlebalance is the sharding strategy SINGLE_SHARDING_BALANCE: a job
// of one item moves to the next instance after every run, so that all instances
// do an equal share of it.
package singlebalance

import (
	"context"
	"slices"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/allocation"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Type is the name of the strategy in config.
const Type = "SINGLE_SHARDING_BALANCE"

// Plugin returns the strategy.
func Plugin() spi.Plugin {
	return allocation.Plugin(spi.Descriptor{
		Type:         Type,
		Description:  "Moves the job to the next instance after every run. A job of several items is spread as by AVG_ALLOCATION, from the next instance on.",
		Capabilities: []string{spi.CapabilityEveryRun},
	}, shard)
}

// shard begins with the instance after the one that has item 0. If that is gone,
// or this is the first time, jobs begin at different instances, as with
// ROUND_ROBIN. An instance is its id: several of one IP take turns as well.
func shard(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	if len(req.Instances) == 0 {
		return spi.ShardResponse{}, nil
	}
	begin := allocation.Offset(req.JobName, len(req.Instances))
	for i, instance := range req.Instances {
		if slices.Contains(req.Previous[instance.ID], 0) {
			begin = (i + 1) % len(req.Instances)
		}
	}
	return spi.ShardResponse{Assignment: allocation.Average(allocation.Rotated(req.Instances, begin), req.ShardingTotalCount)}, nil
}

// Package weighted is the sharding strategy WEIGHTED: instances have items in
// proportion to a number among their labels.
package weighted

import (
	"context"
	"fmt"
	"strconv"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/allocation"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the strategy in config.
const Type = "WEIGHTED"

const (
	propLabel = "weight.label"
	maxWeight = 1_000_000
)

// Plugin returns the strategy.
func Plugin() spi.Plugin {
	return allocation.Plugin(spi.Descriptor{
		Type:        Type,
		Description: "Gives instances items in proportion to the weight among their labels, and moves as few as that takes.",
		Props: props.Schema{{
			Name: propLabel, Type: props.String, Default: "weight", Min: "1", Max: "100",
			Description: "The label of instances that holds their weight, a whole number from 0 to 1000000. An instance without it has weight 1, and one of weight 0 gets no items.",
		}},
	}, shard)
}

func shard(ctx context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	if len(req.Instances) == 0 {
		return spi.ShardResponse{}, nil
	}
	label := req.Props.String(propLabel)
	if label == "" {
		label = "weight"
	}
	weights, sum := make([]int, len(req.Instances)), 0
	for i, instance := range req.Instances {
		weights[i] = weightOf(ctx, req.Services, instance, label)
		sum += weights[i]
	}
	if sum == 0 {
		return spi.ShardResponse{}, spi.NewError(spi.CodeFailed, fmt.Sprintf("all %d instances have weight 0 in label %q", len(weights), label))
	}
	return spi.ShardResponse{Assignment: allocation.Keep(req, allocation.Quotas(req, weights))}, nil
}

// weightOf is the weight of an instance. One that cannot be read counts as 1: that
// one instance is ill described must not keep the items of others from moving.
func weightOf(ctx context.Context, services spi.Services, instance spi.Instance, label string) int {
	text, has := instance.Labels[label]
	if !has {
		return 1
	}
	weight, err := strconv.Atoi(text)
	if err == nil && weight >= 0 && weight <= maxWeight {
		return weight
	}
	if services != nil {
		services.Log(ctx, spi.LogRecord{
			Level: spi.LevelWarn,
			Line:  fmt.Sprintf("label %s of instance %s is %.20q, not a whole number from 0 to %d: its weight counts as 1", label, instance.ID, text, maxWeight),
		})
	}
	return 1
}

package spi

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Instance is a live node that may own items.
type Instance struct {
	ID     string
	IP     string
	Labels map[string]string
	// Load is how many items of all jobs but the one asked about the instance owns,
	// as far as the leader that asks leads them. Only a strategy with
	// [CapabilityLoad] is told; for others, and elsewhere, it is 0.
	Load int
}

// Item is a sharding item and its parameter.
type Item struct {
	Item      int
	Parameter string
}

// ShardRequest asks to spread the items of one job over the instances.
type ShardRequest struct {
	JobName            string
	ShardingTotalCount int
	// Instances are sorted ascending by IP, then by id. There is at least one.
	Instances []Instance
	// Items are all items in ascending order, 0 to ShardingTotalCount-1.
	Items []Item
	// Previous is the assignment in force, by instance id; it may name
	// instances that are gone.
	Previous map[string][]int
	Props    props.Values
	Services Services
}

// ShardResponse is the new assignment, by instance id. The engine refuses it,
// and keeps the old one, unless it holds each item exactly once and only
// instances of the request.
type ShardResponse struct {
	Assignment map[string][]int
}

// ShardingStrategy decides which instance owns which items. Equal requests
// should give equal responses; the engine bounds a call by 10 s.
type ShardingStrategy interface {
	// Shard gives every item an owner.
	Shard(ctx context.Context, req ShardRequest) (ShardResponse, error)
}

// ShardingStrategyFunc is a function that is a ShardingStrategy.
type ShardingStrategyFunc func(ctx context.Context, req ShardRequest) (ShardResponse, error)

var _ ShardingStrategy = ShardingStrategyFunc(nil)

// Shard calls f.
func (f ShardingStrategyFunc) Shard(ctx context.Context, req ShardRequest) (ShardResponse, error) {
	return f(ctx, req)
}

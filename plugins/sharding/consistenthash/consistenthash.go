// Package consistenthash is the sharding strategy CONSISTENT_HASH: an item's owner
// follows from the item and the instances alone, and an instance that joins or
// leaves moves none but its own items.
package consistenthash

import (
	"context"
	"hash/fnv"
	"math"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/allocation"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the strategy in config.
const Type = "CONSISTENT_HASH"

const propFactor = "hash.load.factor"

// Plugin returns the strategy.
func Plugin() spi.Plugin {
	return allocation.Plugin(spi.Descriptor{
		Type:        Type,
		Description: "Gives each item to the instance whose hash with it is the largest, so that an instance that joins or leaves moves one item in so many instances.",
		Props: props.Schema{{
			Name: propFactor, Type: props.Float, Min: "1", Max: "1000", Example: "1.25",
			Description: "Bounds the items of an instance to this many times the average, rounded up; what does not fit goes to the next largest hash. Without it chance decides how many items an instance has.",
		}},
	}, shard)
}

// shard is rendezvous hashing (D. Thaler, C. Ravishankar: Using Name-Based
// Mappings to Increase Hit Rates, 1998), which needs no ring and no virtual nodes.
// The bound is that of V. Mirrokni, M. Thorup, M. Zadimoghaddam: Consistent Hashing
// with Bounded Loads, 2018.
func shard(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	assignment := make(map[string][]int, len(req.Instances))
	if len(req.Instances) == 0 {
		return spi.ShardResponse{Assignment: assignment}, nil
	}
	room := req.ShardingTotalCount
	if factor := req.Props.Float(propFactor); factor >= 1 {
		room = int(min(math.Ceil(factor*float64(req.ShardingTotalCount)/float64(len(req.Instances))), float64(room)))
	}
	hashes := make([]uint64, len(req.Instances))
	for i, instance := range req.Instances {
		hashes[i] = hash(instance.ID)
	}
	job := hash(req.JobName)
	counts := make([]int, len(req.Instances))
	for item := range req.ShardingTotalCount {
		key := mix(job + uint64(item))
		owner, best := -1, uint64(0)
		for i, h := range hashes {
			if score := mix(h ^ key); counts[i] < room && (owner < 0 || score > best) {
				owner, best = i, score
			}
		}
		counts[owner]++
		id := req.Instances[owner].ID
		assignment[id] = append(assignment[id], item)
	}
	return spi.ShardResponse{Assignment: assignment}, nil
}

func hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // never fails
	return mix(h.Sum64())
}

// mix is the finalizer of MurmurHash3 (A. Appleby): every bit of x reaches all
// bits of the result.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

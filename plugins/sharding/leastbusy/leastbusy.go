// Package leastbusy is the sharding strategy LEAST_BUSY: items go to the instances
// that own the fewest items of all jobs.
package leastbusy

import (
	"cmp"
	"context"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/allocation"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Type is the name of the strategy in config.
const Type = "LEAST_BUSY"

// Plugin returns the strategy.
func Plugin() spi.Plugin {
	return allocation.Plugin(spi.Descriptor{
		Type:         Type,
		Description:  "Gives items to the instances that own the fewest items of all jobs, so that jobs with few items are spread evenly.",
		Capabilities: []string{spi.CapabilityLoad},
	}, shard)
}

func shard(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	if len(req.Instances) == 0 {
		return spi.ShardResponse{}, nil
	}
	all := make(queue, len(req.Instances))
	for i, instance := range req.Instances {
		all[i] = candidate{index: i, busy: instance.Load, before: allocation.Had(req, instance.ID)}
	}
	for i := len(all)/2 - 1; i >= 0; i-- {
		all.sink(i)
	}
	quotas := make([]int, len(req.Instances))
	for range req.ShardingTotalCount {
		quotas[all[0].index]++
		all[0].busy++
		all[0].before--
		all.sink(0)
	}
	return spi.ShardResponse{Assignment: allocation.Keep(req, quotas)}, nil
}

// candidate is an instance and how many items it has so far.
type candidate struct {
	index int
	busy  int
	// before is how many more of the job it had before.
	before int
}

// compare orders candidates: the least busy first; of equally busy ones, the one
// that has most of its former items to get back, and then the first.
func (c candidate) compare(d candidate) int {
	return cmp.Or(cmp.Compare(c.busy, d.busy), cmp.Compare(max(d.before, 0), max(c.before, 0)), cmp.Compare(c.index, d.index))
}

// queue is a binary heap with the candidate on top that gets the next item.
type queue []candidate

// sink moves the candidate at i down to where it belongs.
func (q queue) sink(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(q); child++ {
			if q[child].compare(q[least]) < 0 {
				least = child
			}
		}
		if least == i {
			return
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
}

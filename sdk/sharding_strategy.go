package sdk

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Sharding is the question who is to own the items of a job.
type Sharding struct {
	Host
	JobName            string
	ShardingTotalCount int
	// Instances are sorted ascending by IP, then by id. There is at least one.
	Instances []spi.Instance
	// Items are all items in ascending order, 0 to ShardingTotalCount-1.
	Items []spi.Item
	// Previous is the assignment in force, by instance id; it may name
	// instances that are gone.
	Previous map[string][]int
	// Props are the job's properties, defaults included.
	Props props.Values
}

// ShardingStrategy returns the sharding strategy of that name. Assign returns
// the items of each instance, by its id: each item exactly once, or the node
// keeps the old assignment. Equal questions should have equal answers. A call
// is bounded by 10 s. The description and fields are as for [JobType].
func ShardingStrategy(name, description string, assign func(ctx context.Context, s *Sharding) (map[string][]int, error), fields ...props.Field) spi.Plugin {
	shard := func(ctx context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
		assignment, err := assign(ctx, &Sharding{
			Host:               newHost(ctx, req.Services),
			JobName:            req.JobName,
			ShardingTotalCount: req.ShardingTotalCount,
			Instances:          req.Instances,
			Items:              req.Items,
			Previous:           req.Previous,
			Props:              req.Props,
		})
		if err != nil {
			return spi.ShardResponse{}, err
		}
		return spi.ShardResponse{Assignment: assignment}, nil
	}
	return spi.Plugin{
		Descriptor:       spi.Descriptor{Kind: spi.KindShardingStrategy, Type: name, Description: description, Props: fields},
		ShardingStrategy: always[spi.ShardingStrategy](spi.ShardingStrategyFunc(shard)),
	}
}

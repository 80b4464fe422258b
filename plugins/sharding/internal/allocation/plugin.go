package allocation

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Plugin returns the plugin of a strategy that keeps nothing between calls and
// reads its properties from the request. Its version is "1".
func Plugin(d spi.Descriptor, shard spi.ShardingStrategyFunc) spi.Plugin {
	d.Kind, d.Version = spi.KindShardingStrategy, "1"
	return spi.Plugin{
		Descriptor:       d,
		ShardingStrategy: func(context.Context, props.Values) (spi.ShardingStrategy, error) { return shard, nil },
	}
}

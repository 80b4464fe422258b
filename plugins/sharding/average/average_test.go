package average_test

import (
	"testing"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/average"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/shardingtest"
)

func TestUpstreamVectors(t *testing.T) {
	t.Parallel()
	shardingtest.Vectors(t, average.Plugin())
}

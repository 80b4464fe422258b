package random_test

import (
	"testing"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/shardingtest"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/random"
	"github.com/elasticjob-go/elasticjob/spi"
)

func TestEverybodyHasAChance(t *testing.T) {
	t.Parallel()
	req := shardingtest.Request(4, 1, nil)
	times := make(map[string]int)
	for range 4000 {
		times[shardingtest.Owners(shardingtest.Shard(t, random.Plugin(), req))[0]]++
	}
	for _, instance := range req.Instances {
		// Ten standard deviations around 1000.
		if n := times[instance.ID]; n < 720 || n > 1280 {
			t.Errorf("%s had the item %d times of 4000, want about 1000", instance.ID, n)
		}
	}
	if !random.Plugin().Descriptor.Has(spi.CapabilityEveryRun) {
		t.Error("RANDOM is not asked again after every run")
	}
}

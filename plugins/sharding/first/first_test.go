package first_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/first"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/shardingtest"
)

func TestHasAllItems(t *testing.T) {
	t.Parallel()
	req := shardingtest.Request(3, 2, nil)
	want := map[string][]int{req.Instances[0].ID: {0, 1}}
	if diff := cmp.Diff(want, shardingtest.Shard(t, first.Plugin(), req)); diff != "" {
		t.Errorf("Shard(2 items on 3 instances) differs (-want +got):\n%s", diff)
	}
}

package odevity_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/shardingtest"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/odevity"
)

func TestDirectionByHash(t *testing.T) {
	t.Parallel()
	req := shardingtest.Request(3, 2, nil)
	a, b, c := req.Instances[0].ID, req.Instances[1].ID, req.Instances[2].ID
	ascending, descending := map[string][]int{a: {0}, b: {1}, c: {}}, map[string][]int{c: {0}, b: {1}, a: {}}
	for name, want := range map[string]map[string][]int{
		"0":                  ascending, // 48
		"1":                  descending,
		"polygenelubricants": ascending,  // the smallest number
		"xa":                 descending, // 3817
		"order-sync-eu":      descending,
		"test_job":           ascending, // negative and even
		"simpleJob":          descending,
	} {
		req.JobName = name
		if diff := cmp.Diff(want, shardingtest.Shard(t, odevity.Plugin(), req)); diff != "" {
			t.Errorf("Shard(%s) differs (-want +got):\n%s", name, diff)
		}
	}
	if req.Instances[0].ID != a {
		t.Error("Shard() has changed the order of the instances of its request")
	}
}

package sticky_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/shardingtest"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/sticky"
	"github.com/elasticjob-go/elasticjob/spi"
)

func TestBeginsWithRuns(t *testing.T) {
	t.Parallel()
	req := shardingtest.Request(3, 8, nil)
	want := map[string][]int{req.Instances[0].ID: {0, 1, 2}, req.Instances[1].ID: {3, 4, 5}, req.Instances[2].ID: {6, 7}}
	if diff := cmp.Diff(want, shardingtest.Shard(t, sticky.Plugin(), req)); diff != "" {
		t.Errorf("Shard(8 items on 3 instances) differs (-want +got):\n%s", diff)
	}
}

// TestMovesAsLittleAsCanBe lets instances come and go at random. Items that an
// instance has beyond its share must move, and those of nobody; no others do.
func TestMovesAsLittleAsCanBe(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	all := shardingtest.Request(12, 0, nil).Instances
	var before map[string][]int
	for step := range 2000 {
		req := spi.ShardRequest{JobName: "orders", ShardingTotalCount: 1 + random.IntN(40), Previous: before}
		for _, instance := range all {
			if random.IntN(3) > 0 {
				req.Instances = append(req.Instances, instance)
			}
		}
		if len(req.Instances) == 0 {
			continue
		}
		got := shardingtest.Shard(t, sticky.Plugin(), req)
		each, extra := req.ShardingTotalCount/len(req.Instances), req.ShardingTotalCount%len(req.Instances)
		stay := 0
		for _, instance := range req.Instances {
			if n := len(got[instance.ID]); n != each && n != each+1 || extra == 0 && n != each {
				t.Fatalf("step %d: instance has %d of %d items on %d instances, want %d or one more", step, n, req.ShardingTotalCount, len(req.Instances), each)
			}
			kept := 0
			for _, item := range before[instance.ID] {
				if item < req.ShardingTotalCount {
					kept++
				}
			}
			stay += min(kept, each)
			if kept > each && extra > 0 {
				extra--
				stay++
			}
		}
		owners, kept := shardingtest.Owners(before), 0
		for item, owner := range shardingtest.Owners(got) {
			if owners[item] == owner {
				kept++
			}
		}
		if kept != stay {
			t.Fatalf("step %d: %d items stayed, want %d: %v became %v", step, kept, stay, before, got)
		}
		before = got
	}
}

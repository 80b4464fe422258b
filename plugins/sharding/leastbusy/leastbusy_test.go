package leastbusy_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/shardingtest"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/leastbusy"
)

func TestFillsTheLeastBusy(t *testing.T) {
	t.Parallel()
	req := shardingtest.Request(3, 5, nil)
	req.Instances[0].Load, req.Instances[1].Load, req.Instances[2].Load = 4, 1, 2
	want := map[string][]int{req.Instances[0].ID: {}, req.Instances[1].ID: {0, 1, 2}, req.Instances[2].ID: {3, 4}}
	if diff := cmp.Diff(want, shardingtest.Shard(t, leastbusy.Plugin(), req)); diff != "" {
		t.Errorf("Shard(loads 4, 1, 2) differs (-want +got):\n%s", diff)
	}
}

func TestStaysWhereAsBusy(t *testing.T) {
	t.Parallel()
	req := shardingtest.Request(3, 1, nil)
	req.Previous = map[string][]int{req.Instances[2].ID: {0}}
	if got := shardingtest.Shard(t, leastbusy.Plugin(), req)[req.Instances[2].ID]; len(got) != 1 {
		t.Errorf("the item has left its owner although nobody is less busy")
	}
}

// TestNobodyIsMuchBusier holds for all loads: who gets an item is, with it, no
// busier than anybody else by more than one.
func TestNobodyIsMuchBusier(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		req := shardingtest.Request(1+random.IntN(20), 1+random.IntN(50), nil)
		for i := range req.Instances {
			req.Instances[i].Load = random.IntN(30)
		}
		got := shardingtest.Shard(t, leastbusy.Plugin(), req)
		least := 1 << 30
		for _, i := range req.Instances {
			least = min(least, i.Load+len(got[i.ID]))
		}
		for _, i := range req.Instances {
			if n := len(got[i.ID]); n > 0 && i.Load+n > least+1 {
				t.Fatalf("%s has %d items and %d others, when another has %d in all", i.ID, n, i.Load, least)
			}
		}
	}
}

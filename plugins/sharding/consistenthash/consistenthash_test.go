package consistenthash_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/consistenthash"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/shardingtest"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// TestOnlyTheOwnItemsMove removes each of ten instances: its items move, about a
// tenth of all, and no others.
func TestOnlyTheOwnItemsMove(t *testing.T) {
	t.Parallel()
	const count, total = 10, 5000
	req := shardingtest.Request(count, total, nil)
	all := shardingtest.Shard(t, consistenthash.Plugin(), req)
	for i, gone := range req.Instances {
		fewer := req
		fewer.Instances = slices.Delete(slices.Clone(req.Instances), i, i+1)
		rest := shardingtest.Shard(t, consistenthash.Plugin(), fewer)
		had := len(all[gone.ID])
		if moved := shardingtest.Moved(all, rest); moved != had {
			t.Errorf("without %s %d items moved, want its %d", gone.ID, moved, had)
		}
		if had < total/count*8/10 || had > total/count*12/10 {
			t.Errorf("%s has %d of %d items on %d instances, want about %d", gone.ID, had, total, count, total/count)
		}
	}
}

// TestOwnersAreForEver: another hash would move items on an upgrade.
func TestOwnersAreForEver(t *testing.T) {
	t.Parallel()
	req := shardingtest.Request(3, 9, nil)
	want := map[string][]int{req.Instances[0].ID: {0, 2, 5, 6, 7, 8}, req.Instances[2].ID: {1, 3, 4}}
	if diff := cmp.Diff(want, shardingtest.Shard(t, consistenthash.Plugin(), req)); diff != "" {
		t.Errorf("Shard(9 items on 3 instances) differs (-want +got):\n%s", diff)
	}
}

func TestLoadFactorBoundsItems(t *testing.T) {
	t.Parallel()
	for factor, most := range map[string]int{"1": 10, "1.25": 13, "1000": 100} {
		req := shardingtest.Request(10, 100, props.Values{"hash.load.factor": factor})
		for id, items := range shardingtest.Shard(t, consistenthash.Plugin(), req) {
			if len(items) > most {
				t.Errorf("with hash.load.factor %s %s has %d items, want at most %d", factor, id, len(items), most)
			}
		}
	}
	req := shardingtest.Request(10, 100, nil)
	largest := 0
	for _, items := range shardingtest.Shard(t, consistenthash.Plugin(), req) {
		largest = max(largest, len(items))
	}
	if largest <= 13 {
		t.Errorf("without hash.load.factor the most are %d items, want more than a bound allows", largest)
	}
}

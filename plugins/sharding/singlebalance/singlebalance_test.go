package singlebalance_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/shardingtest"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/singlebalance"
	"github.com/elasticjob-go/elasticjob/spi"
)

// takeTurns asks count times, each time after a run, and returns who had item 0.
func takeTurns(t *testing.T, req spi.ShardRequest, count int) []string {
	t.Helper()
	var turns []string
	for range count {
		req.Previous = shardingtest.Shard(t, singlebalance.Plugin(), req)
		turns = append(turns, shardingtest.Owners(req.Previous)[0])
	}
	return turns
}

func TestTakesTurns(t *testing.T) {
	t.Parallel()
	req := shardingtest.Request(3, 1, nil)
	req.JobName = "1" // 49 modulo 3 is 1
	a, b, c := req.Instances[0].ID, req.Instances[1].ID, req.Instances[2].ID
	if diff := cmp.Diff([]string{b, c, a, b, c}, takeTurns(t, req, 5)); diff != "" {
		t.Errorf("the owners after each run differ (-want +got):\n%s", diff)
	}
}

// TestInstancesOfOneIP: ElasticJob's remembers the next IP, so that all instances
// of it run.
func TestInstancesOfOneIP(t *testing.T) {
	t.Parallel()
	req := shardingtest.Request(0, 1, nil)
	for _, id := range []string{"10.0.0.1@-@1@-@a", "10.0.0.1@-@2@-@b"} {
		req.Instances = append(req.Instances, spi.Instance{ID: id, IP: "10.0.0.1"})
	}
	turns := takeTurns(t, req, 4)
	if turns[0] == turns[1] || turns[0] != turns[2] || turns[1] != turns[3] {
		t.Errorf("the owners after each run are %v, want two that take turns", turns)
	}
}

func TestSmallestHash(t *testing.T) {
	t.Parallel()
	req := shardingtest.Request(3, 1, nil)
	req.JobName = "polygenelubricants"
	if got := takeTurns(t, req, 1)[0]; got != req.Instances[2].ID {
		t.Errorf("the first owner is %s, want %s", got, req.Instances[2].ID)
	}
}

func TestSeveralItems(t *testing.T) {
	t.Parallel()
	req := shardingtest.Request(2, 3, nil)
	req.Previous = map[string][]int{req.Instances[0].ID: {0, 2}, req.Instances[1].ID: {1}}
	want := map[string][]int{req.Instances[1].ID: {0, 2}, req.Instances[0].ID: {1}}
	if diff := cmp.Diff(want, shardingtest.Shard(t, singlebalance.Plugin(), req)); diff != "" {
		t.Errorf("Shard(3 items) differs (-want +got):\n%s", diff)
	}
}

package roundrobin_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/shardingtest"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/roundrobin"
)

func TestUpstreamVectors(t *testing.T) {
	t.Parallel()
	shardingtest.Vectors(t, roundrobin.Plugin())
}

// TestSmallestHash: ElasticJob fails for a job whose hash is the smallest number,
// because its absolute value overflows.
func TestSmallestHash(t *testing.T) {
	t.Parallel()
	req := shardingtest.Request(3, 3, nil)
	req.JobName = "polygenelubricants" // |-2147483648| modulo 3 is 2
	want := map[string][]int{req.Instances[2].ID: {0}, req.Instances[0].ID: {1}, req.Instances[1].ID: {2}}
	if diff := cmp.Diff(want, shardingtest.Shard(t, roundrobin.Plugin(), req)); diff != "" {
		t.Errorf("Shard(polygenelubricants) differs (-want +got):\n%s", diff)
	}
}

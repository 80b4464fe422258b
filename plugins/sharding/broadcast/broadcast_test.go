package broadcast_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/broadcast"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/shardingtest"
)

func TestIndexes(t *testing.T) {
	t.Parallel()
	req := shardingtest.Request(4, 4, nil)
	a, b, c, d := req.Instances[0].ID, req.Instances[1].ID, req.Instances[2].ID, req.Instances[3].ID
	tests := []struct {
		name           string
		previous, want map[string][]int
	}{
		{"the first time", nil, map[string][]int{a: {0}, b: {1}, c: {2}, d: {3}}},
		{"the first has joined", map[string][]int{b: {0}, c: {1}, d: {2}}, map[string][]int{a: {3}, b: {0}, c: {1}, d: {2}}},
		{"one has left", map[string][]int{a: {0}, "gone": {1}, b: {2}, c: {3}, d: {4}}, map[string][]int{a: {0}, b: {2}, c: {3}, d: {1}}},
		{"after another strategy", map[string][]int{a: {0, 1, 2}, d: {3, 4}}, map[string][]int{a: {0}, b: {1}, c: {2}, d: {3}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req := req
			req.Previous = tt.previous
			if diff := cmp.Diff(tt.want, shardingtest.Shard(t, broadcast.Plugin(), req)); diff != "" {
				t.Errorf("Shard(previous %v) differs (-want +got):\n%s", tt.previous, diff)
			}
		})
	}
}

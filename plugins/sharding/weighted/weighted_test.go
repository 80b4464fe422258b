package weighted_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/shardingtest"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/weighted"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

func weigh(req spi.ShardRequest, label string, weights ...string) spi.ShardRequest {
	for i, w := range weights {
		if w != "" {
			req.Instances[i].Labels[label] = w
		}
	}
	return req
}

func TestItemsByWeight(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		total   int
		weights []string
		want    []int
	}{
		{"no labels are equal weights", 7, []string{"", "", ""}, []int{3, 2, 2}},
		{"in proportion", 12, []string{"3", "2", "1"}, []int{6, 4, 2}},
		{"none without weight", 4, []string{"0", "1", "1"}, []int{0, 2, 2}},
		{"a label that is missing counts as 1", 4, []string{"3", "", "0"}, []int{3, 1, 0}},
		{"the largest fraction gets what is left", 10, []string{"5", "3", "3"}, []int{4, 3, 3}},
		{"large weights", 9, []string{"1000000", "1000000", "1000000"}, []int{3, 3, 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req := weigh(shardingtest.Request(len(tt.weights), tt.total, nil), "weight", tt.weights...)
			assignment := shardingtest.Shard(t, weighted.Plugin(), req)
			var got []int
			for _, instance := range req.Instances {
				got = append(got, len(assignment[instance.ID]))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Shard(weights %v) gives numbers that differ (-want +got):\n%s", tt.weights, diff)
			}
			req.Previous = assignment
			if moved := shardingtest.Moved(assignment, shardingtest.Shard(t, weighted.Plugin(), req)); moved != 0 {
				t.Errorf("%d items moved for no reason", moved)
			}
		})
	}
}

func TestOtherLabel(t *testing.T) {
	t.Parallel()
	req := weigh(shardingtest.Request(2, 4, props.Values{"weight.label": "cores"}), "cores", "1", "3")
	want := map[string][]int{req.Instances[0].ID: {0}, req.Instances[1].ID: {1, 2, 3}}
	if diff := cmp.Diff(want, shardingtest.Shard(t, weighted.Plugin(), req)); diff != "" {
		t.Errorf("Shard(weight.label cores) differs (-want +got):\n%s", diff)
	}
}

// lines keeps what is logged.
type lines struct{ all []string }

func (l *lines) Log(_ context.Context, r spi.LogRecord) { l.all = append(l.all, r.Line) }

func (*lines) Call(context.Context, string, []byte) ([]byte, error) { return nil, nil }

func TestWeightsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", "-1", "1.5", "1000001", "99999999999999999999"} {
		log := &lines{}
		req := shardingtest.Request(2, 4, nil)
		req.Services = log
		req.Instances[0].Labels["weight"] = text
		if got := len(shardingtest.Shard(t, weighted.Plugin(), req)[req.Instances[0].ID]); got != 2 {
			t.Errorf("with weight %q the instance has %d items, want 2", text, got)
		}
		if len(log.all) != 1 || !strings.Contains(log.all[0], "10.0.0.1") {
			t.Errorf("with weight %q it logs %q, want one line with the instance", text, log.all)
		}
	}
}

func TestNobodyHasWeight(t *testing.T) {
	t.Parallel()
	req := weigh(shardingtest.Request(2, 4, nil), "weight", "0", "0")
	if got, err := shardingtest.Try(t, weighted.Plugin(), req); err == nil || !strings.Contains(err.Error(), "weight 0") {
		t.Errorf("Shard(weights 0 and 0) = %v, %v, want an error", got, err)
	}
}

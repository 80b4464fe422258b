package coordinator_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/coordinator"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/average"
	"github.com/elasticjob-go/elasticjob/spi"
)

func TestSortInstances(t *testing.T) {
	t.Parallel()
	want := []string{
		"10.0.0.9@-@1@-@aa", "10.0.0.9@-@2@-@aa", "10.0.0.10@-@1@-@aa", "10.0.0.100@-@1@-@aa",
		"2001:db8::1@-@1@-@aa", "host10@-@1@-@aa", "host1@-@1@-@aa", "host2@-@1@-@aa",
	}
	var instances []spi.Instance
	for _, id := range []string{want[5], want[3], want[0], want[7], want[1], want[4], want[2], want[6]} {
		instances = append(instances, coordinator.InstanceOf(id, nil))
	}
	coordinator.SortInstances(instances)
	var got []string
	for _, i := range instances {
		got = append(got, i.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("SortInstances order differs (-want +got):\n%s", diff)
	}
}

func TestShardAgainstVectors(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("..", "..", "plugins", "sharding", "testdata", "sharding.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Strategy           string           `json:"strategy"`
			JobName            string           `json:"jobName"`
			ShardingTotalCount int              `json:"shardingTotalCount"`
			Instances          []string         `json:"instances"`
			Expected           map[string][]int `json:"expected"`
		} `json:"cases"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	strategy, err := average.Plugin().ShardingStrategy(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, c := range file.Cases {
		if c.Strategy != average.Type {
			continue
		}
		ran++
		req := spi.ShardRequest{JobName: c.JobName, ShardingTotalCount: c.ShardingTotalCount}
		for _, id := range c.Instances {
			req.Instances = append(req.Instances, coordinator.InstanceOf(id, nil))
		}
		got, err := coordinator.Shard(t.Context(), strategy, req)
		if err != nil {
			t.Fatalf("Shard(%s) = %v", c.JobName, err)
		}
		if diff := cmp.Diff(c.Expected, got); diff != "" {
			t.Errorf("Shard(%s, %d on %v) differs (-want +got):\n%s", c.JobName, c.ShardingTotalCount, c.Instances, diff)
		}
	}
	if ran == 0 {
		t.Error("no vector of the strategy was found")
	}
}

func TestShardRefusesBadAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer map[string][]int
		want   string
	}{
		{"an item twice", map[string][]int{"a": {0, 1}, "b": {1}}, "item 1 to both"},
		{"an item twice on one instance", map[string][]int{"a": {0, 1, 1}}, "item 1 to both"},
		{"an item missing", map[string][]int{"a": {0}}, "item 1 to nobody"},
		{"an item too large", map[string][]int{"a": {0, 1, 2}}, "items are 0 to 1"},
		{"a negative item", map[string][]int{"a": {0, 1, -1}}, "items are 0 to 1"},
		{"a stranger", map[string][]int{"a": {0}, "c": {1}}, "not offered"},
		{"nothing", nil, "item 0 to nobody"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			strategy := spi.ShardingStrategyFunc(func(context.Context, spi.ShardRequest) (spi.ShardResponse, error) {
				return spi.ShardResponse{Assignment: tt.answer}, nil
			})
			req := spi.ShardRequest{ShardingTotalCount: 2, Instances: []spi.Instance{{ID: "a"}, {ID: "b"}}}
			if _, err := coordinator.Shard(t.Context(), strategy, req); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Shard() = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestShardSurvivesAPanic(t *testing.T) {
	t.Parallel()
	strategy := spi.ShardingStrategyFunc(func(context.Context, spi.ShardRequest) (spi.ShardResponse, error) { panic("no") })
	req := spi.ShardRequest{ShardingTotalCount: 1, Instances: []spi.Instance{{ID: "a"}}}
	if _, err := coordinator.Shard(t.Context(), strategy, req); err == nil || !strings.Contains(err.Error(), "panicked: no") {
		t.Errorf("Shard() = %v, want the panic as an error", err)
	}
}

// Package shardingtest tests sharding strategies as the engine calls them.
package shardingtest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Vectors runs the cases of ElasticJob's own unit tests that are there for the
// strategy, and fails if there is none. Their instances are in the engine's order.
func Vectors(t *testing.T, plugin spi.Plugin) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", "sharding.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Upstream []struct {
			Strategy           string           `json:"strategy"`
			JobName            string           `json:"jobName"`
			ShardingTotalCount int              `json:"shardingTotalCount"`
			Instances          []string         `json:"instances"`
			Expected           map[string][]int `json:"expected"`
		} `json:"upstream"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, v := range file.Upstream {
		if v.Strategy != plugin.Descriptor.Type {
			continue
		}
		ran++
		req := spi.ShardRequest{JobName: v.JobName, ShardingTotalCount: v.ShardingTotalCount}
		for _, id := range v.Instances {
			req.Instances = append(req.Instances, spi.Instance{ID: id})
		}
		if diff := cmp.Diff(v.Expected, Shard(t, plugin, req), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("Shard(%s, %d items on %v) differs (-want +got):\n%s", v.JobName, v.ShardingTotalCount, v.Instances, diff)
		}
	}
	if ran == 0 {
		t.Errorf("no vector of %s was found", plugin.Descriptor.Type)
	}
}

// Shard asks the strategy, made of the properties of the request with defaults
// filled in.
func Shard(t *testing.T, plugin spi.Plugin, req spi.ShardRequest) map[string][]int {
	t.Helper()
	got, err := Try(t, plugin, req)
	if err != nil {
		t.Fatalf("Shard(%+v) = %v, want success", req, err)
	}
	return got
}

// Try is Shard with the error of the strategy or of its constructor.
func Try(t *testing.T, plugin spi.Plugin, req spi.ShardRequest) (map[string][]int, error) {
	t.Helper()
	values, problems := plugin.Descriptor.Props.Resolve(req.Props)
	if len(problems) > 0 {
		t.Fatalf("Resolve(%v) has problems %v", req.Props, problems)
	}
	strategy, err := plugin.ShardingStrategy(t.Context(), values)
	if err != nil {
		return nil, err
	}
	req.Props = values
	response, err := strategy.Shard(t.Context(), req)
	return response.Assignment, err
}

// Request returns a request for a job on count instances, which own nothing yet.
func Request(count, total int, given props.Values) spi.ShardRequest {
	req := spi.ShardRequest{JobName: "orders", ShardingTotalCount: total, Props: given}
	for i := range count {
		ip := "10.0.0." + strconv.Itoa(i+1)
		req.Instances = append(req.Instances, spi.Instance{ID: ip + "@-@7@-@0a1b2c3d", IP: ip, Labels: map[string]string{}})
	}
	return req
}

// Moved is how many items have another owner in b than in a; items without owner
// in a do not count.
func Moved(a, b map[string][]int) int {
	before := Owners(a)
	moved := 0
	for item, owner := range Owners(b) {
		if was, had := before[item]; had && was != owner {
			moved++
		}
	}
	return moved
}

// Owners is an assignment by item.
func Owners(assignment map[string][]int) map[int]string {
	owners := make(map[int]string)
	for id, items := range assignment {
		for _, item := range items {
			owners[item] = id
		}
	}
	return owners
}

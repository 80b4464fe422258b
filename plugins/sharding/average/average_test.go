package average_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/average"
	"github.com/elasticjob-go/elasticjob/spi"
)

// vector is a case of ElasticJob's own unit tests and of cases derived from
// them. Its instances are in the engine's order already for this strategy's
// tests, see preview tests for the sorting.
type vector struct {
	Strategy           string           `json:"strategy"`
	JobName            string           `json:"jobName"`
	ShardingTotalCount int              `json:"shardingTotalCount"`
	Instances          []string         `json:"instances"`
	Expected           map[string][]int `json:"expected"`
}

func TestUpstreamVectors(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "sharding.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Upstream []vector `json:"upstream"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, v := range file.Upstream {
		if v.Strategy != average.Type {
			continue
		}
		ran++
		strategy, err := average.Plugin().ShardingStrategy(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req := spi.ShardRequest{JobName: v.JobName, ShardingTotalCount: v.ShardingTotalCount}
		for _, id := range v.Instances {
			req.Instances = append(req.Instances, spi.Instance{ID: id})
		}
		got, err := strategy.Shard(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v.Expected, got.Assignment, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("Shard(%d items on %v) differs (-want +got):\n%s", v.ShardingTotalCount, v.Instances, diff)
		}
	}
	if ran == 0 {
		t.Error("no vector of the strategy was found")
	}
}

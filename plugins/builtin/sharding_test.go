package builtin_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/coordinator"
	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// strategies are the built-in ones by type, each with the least properties that it
// can do with.
func strategies(t *testing.T) map[string]spi.ShardingStrategy {
	t.Helper()
	all := make(map[string]spi.ShardingStrategy)
	for _, p := range builtin.All() {
		if p.Descriptor.Kind != spi.KindShardingStrategy {
			continue
		}
		given := props.Values{}
		if _, selects := p.Descriptor.Props.Find("label.selector"); selects {
			given["label.selector"] = "!nowhere"
		}
		values, problems := p.Descriptor.Props.Resolve(given)
		if len(problems) > 0 {
			t.Fatalf("Resolve(%v) of %s has problems %v", given, p.Descriptor.Type, problems)
		}
		strategy, err := p.ShardingStrategy(t.Context(), values)
		if err != nil {
			t.Fatal(err)
		}
		all[p.Descriptor.Type] = strategy
	}
	return all
}

// TestShardingVectors runs every test vector, instances in any order.
func TestShardingVectors(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("..", "sharding", "testdata", "sharding.json"))
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
	ran := make(map[string]int)
	all := strategies(t)
	for _, c := range file.Cases {
		strategy := all[c.Strategy]
		if strategy == nil {
			t.Errorf("there is no strategy %s", c.Strategy)
			continue
		}
		ran[c.Strategy]++
		req := spi.ShardRequest{JobName: c.JobName, ShardingTotalCount: c.ShardingTotalCount}
		for _, id := range c.Instances {
			req.Instances = append(req.Instances, coordinator.InstanceOf(id, nil))
		}
		got, err := coordinator.Shard(t.Context(), strategy, req)
		if err != nil {
			t.Fatalf("Shard(%s) by %s = %v", c.JobName, c.Strategy, err)
		}
		if diff := cmp.Diff(c.Expected, got); diff != "" {
			t.Errorf("Shard(%s, %d on %v) by %s differs (-want +got):\n%s", c.JobName, c.ShardingTotalCount, c.Instances, c.Strategy, diff)
		}
	}
	for _, name := range []string{"AVG_ALLOCATION", "ODEVITY", "ROUND_ROBIN"} {
		if ran[name] < 15 {
			t.Errorf("%d vectors of %s were run, want at least 15", ran[name], name)
		}
	}
}

// TestEveryItemOnce asks every strategy about random jobs on random instances with
// random pasts: the engine finds no fault with the answer, which is the same when
// the same is asked again.
func TestEveryItemOnce(t *testing.T) {
	t.Parallel()
	for name, strategy := range strategies(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(5, 6))
			var previous map[string][]int
			for step := range 300 {
				req := spi.ShardRequest{JobName: "job" + strconv.Itoa(random.IntN(5)), ShardingTotalCount: 1 + random.IntN(60), Previous: previous}
				for i := range 1 + random.IntN(12) {
					if random.IntN(4) == 0 {
						continue
					}
					instance := coordinator.InstanceOf("10.0.0."+strconv.Itoa(i/2)+"@-@"+strconv.Itoa(i), map[string]string{"weight": strconv.Itoa(1 + random.IntN(3))})
					instance.Load = random.IntN(20)
					req.Instances = append(req.Instances, instance)
				}
				random.Shuffle(len(req.Instances), func(i, j int) {
					req.Instances[i], req.Instances[j] = req.Instances[j], req.Instances[i]
				})
				if name == "BROADCAST" {
					req.ShardingTotalCount = len(req.Instances)
				}
				got, err := coordinator.Shard(t.Context(), strategy, req)
				if err != nil {
					t.Fatalf("step %d: Shard(%+v) = %v, want success", step, req, err)
				}
				slices.Reverse(req.Instances)
				again, err := coordinator.Shard(t.Context(), strategy, req)
				if err != nil {
					t.Fatalf("step %d: Shard(%+v) = %v, want success", step, req, err)
				}
				if diff := cmp.Diff(got, again); diff != "" && name != "RANDOM" {
					t.Fatalf("step %d: the second answer differs from the first (-first +second):\n%s", step, diff)
				}
				if random.IntN(5) > 0 {
					previous = got
				}
			}
		})
	}
}

// TestNobodyThere: ElasticJob's answer is empty as well.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	for name, strategy := range strategies(t) {
		got, err := coordinator.Shard(t.Context(), strategy, spi.ShardRequest{JobName: "orders", ShardingTotalCount: 3})
		if err != nil || len(got) > 0 {
			t.Errorf("Shard() without instances by %s = %v, %v, want nothing", name, got, err)
		}
	}
}

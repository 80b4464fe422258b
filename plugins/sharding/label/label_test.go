package label_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/average"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/shardingtest"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/label"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/last"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/leastbusy"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/weighted"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

func plugin() spi.Plugin {
	return label.Plugin(average.Plugin(), last.Plugin(), leastbusy.Plugin(), weighted.Plugin())
}

// request has instances of zones a, a, b and of none, with disks hdd, ssd, ssd and
// none.
func request(total int, given props.Values) spi.ShardRequest {
	req := shardingtest.Request(4, total, given)
	for i, zone := range []string{"a", "a", "b"} {
		req.Instances[i].Labels["zone"] = zone
		req.Instances[i].Labels["disk"] = []string{"hdd", "ssd", "ssd"}[i]
	}
	return req
}

func TestSelectors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		selector string
		want     []int // instances
	}{
		{"zone=a", []int{0, 1}},
		{"zone==a", []int{0, 1}},
		{" zone = a , disk != hdd ", []int{1}},
		{"disk!=hdd", []int{1, 2, 3}},
		{"zone=a|b,disk=ssd", []int{1, 2}},
		{"zone!=a|b", []int{3}},
		{"zone", []int{0, 1, 2}},
		{"!zone", []int{3}},
		{"zone=", nil},
		{"zone=c", nil},
	}
	for _, tt := range tests {
		t.Run(tt.selector, func(t *testing.T) {
			t.Parallel()
			req := request(12, props.Values{"label.selector": tt.selector})
			assignment, err := shardingtest.Try(t, plugin(), req)
			if len(tt.want) == 0 {
				if spi.AsError(err) == nil || !strings.Contains(err.Error(), "no instance of 4 matches") {
					t.Errorf("Shard() = %v, %v, want an error that says that no instance matches", assignment, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("Shard() = %v, want success", err)
			}
			var got []int
			for i, instance := range req.Instances {
				if len(assignment[instance.ID]) > 0 {
					got = append(got, i)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("selector %q selects %v, want %v", tt.selector, got, tt.want)
			}
		})
	}
}

func TestSelectorsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, selector := range []string{",", "zone=a,", "=a", "!=a", "!", " ! ", "!!zone", "a|b=c", strings.Repeat("a,", 64) + "a"} {
		_, err := shardingtest.Try(t, plugin(), request(1, props.Values{"label.selector": selector}))
		var failed *spi.Error
		if !errors.As(err, &failed) || failed.Code != spi.CodeInvalidProperties || failed.Property != "label.selector" {
			t.Errorf("constructing with selector %.20q = %v, want an error of label.selector", selector, err)
		}
	}
}

func TestComposes(t *testing.T) {
	t.Parallel()
	req := request(4, props.Values{"label.selector": "zone=a", "label.strategy": "WEIGHTED", "weight.label": "cores"})
	req.Instances[1].Labels["cores"] = "3"
	want := map[string][]int{req.Instances[0].ID: {0}, req.Instances[1].ID: {1, 2, 3}}
	if diff := cmp.Diff(want, shardingtest.Shard(t, plugin(), req)); diff != "" {
		t.Errorf("Shard(label.strategy WEIGHTED) differs (-want +got):\n%s", diff)
	}
	req.Props = props.Values{"label.selector": "zone=a", "label.strategy": "LAST"}
	want = map[string][]int{req.Instances[1].ID: {0, 1, 2, 3}}
	if diff := cmp.Diff(want, shardingtest.Shard(t, plugin(), req)); diff != "" {
		t.Errorf("Shard(label.strategy LAST) differs (-want +got):\n%s", diff)
	}
	if !plugin().Descriptor.Has(spi.CapabilityLoad) {
		t.Error("LABEL does not ask for the load, which LEAST_BUSY needs")
	}
}

// TestTheOtherStrategyIsMadeOfTheProperties composes with a strategy that reads its
// property when it is made, as that of a module does.
func TestTheOtherStrategyIsMadeOfTheProperties(t *testing.T) {
	t.Parallel()
	other := spi.Plugin{
		Descriptor: spi.Descriptor{Kind: spi.KindShardingStrategy, Type: "NTH", Props: props.Schema{{Name: "nth", Type: props.Int, Default: "0"}}},
		ShardingStrategy: func(_ context.Context, values props.Values) (spi.ShardingStrategy, error) {
			return spi.ShardingStrategyFunc(func(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
				return spi.ShardResponse{Assignment: map[string][]int{req.Instances[values.Int("nth")].ID: {0}}}, nil
			}), nil
		},
	}
	for _, nth := range []int{0, 1} {
		req := request(1, props.Values{"label.selector": "zone=a", "label.strategy": "NTH", "nth": strconv.Itoa(nth)})
		want := map[string][]int{req.Instances[nth].ID: {0}}
		if diff := cmp.Diff(want, shardingtest.Shard(t, label.Plugin(other), req)); diff != "" {
			t.Errorf("Shard(nth %d) differs (-want +got):\n%s", nth, diff)
		}
	}
}

func TestRefusesWhatItCannotComposeWith(t *testing.T) {
	t.Parallel()
	_, problems := plugin().Descriptor.Props.Resolve(map[string]string{"label.selector": "zone=a", "label.strategy": "BROADCAST"})
	if len(problems) != 1 || problems[0].Property != "label.strategy" {
		t.Errorf("Resolve(label.strategy BROADCAST) has problems %v, want one of label.strategy", problems)
	}
	_, problems = plugin().Descriptor.Props.Resolve(nil)
	if len(problems) != 1 || problems[0].Property != "label.selector" {
		t.Errorf("Resolve() has problems %v, want label.selector to be missing", problems)
	}
}

func FuzzSelector(f *testing.F) {
	for _, seed := range []string{"zone=a,disk!=hdd", "zone==a|b", "!zone", "zone", ",", "=", "a!b=c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, selector string) {
		if selector == "" || len(selector) > 4096 {
			return
		}
		assignment, err := shardingtest.Try(t, plugin(), request(3, props.Values{"label.selector": selector}))
		if err == nil && len(shardingtest.Owners(assignment)) != 3 {
			t.Errorf("Shard(label.selector %q) = %v, want 3 items", selector, assignment)
		}
	})
}

package cli

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/spi"
)

// TestShardingVectors previews every test vector of a strategy that exists.
func TestShardingVectors(t *testing.T) {
	t.Parallel()
	type vector struct {
		Strategy           string
		JobName            string
		ShardingTotalCount int
		Instances          []string
		Expected           map[string][]int
	}
	var vectors struct{ Upstream, Cases []vector }
	content, err := os.ReadFile("../../../../plugins/sharding/testdata/sharding.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &vectors); err != nil {
		t.Fatal(err)
	}
	known := catalog.New()
	if err := known.Add(catalog.Source{Provenance: spi.Provenance{Host: "built-in"}}, builtin.All()...); err != nil {
		t.Fatal(err)
	}
	previewed := 0
	for _, v := range slices.Concat(vectors.Upstream, vectors.Cases) {
		if !slices.Contains(known.Types(spi.KindShardingStrategy), v.Strategy) {
			continue
		}
		previewed++
		status, stdout, stderr := run(t, "", "sharding", "preview", "-o", "json", "--strategy", v.Strategy, "--job", v.JobName,
			"--total", strconv.Itoa(v.ShardingTotalCount), "--instances", strings.Join(v.Instances, ","))
		got := map[string][]int{}
		if err := json.Unmarshal([]byte(stdout), &got); status != exitOK || err != nil {
			t.Fatalf("sharding preview of %+v = %d, %q, %q", v, status, stdout, stderr)
		}
		if diff := cmp.Diff(v.Expected, got); diff != "" {
			t.Errorf("sharding preview of %+v differs (-want +got):\n%s", v, diff)
		}
	}
	if previewed < 30 {
		t.Errorf("%d vectors were previewed, want at least 30", previewed)
	}
}

func TestRanges(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		items []int
		want  string
	}{
		{nil, ""}, {[]int{4}, "4"}, {[]int{0, 1}, "0-1"}, {[]int{0, 1, 2, 5, 7, 8}, "0-2,5,7-8"},
	} {
		if got := ranges(tt.items); got != tt.want {
			t.Errorf("ranges(%v) = %q, want %q", tt.items, got, tt.want)
		}
	}
}

func TestShardingPreviewOfBroadcastNeedsNoTotal(t *testing.T) {
	t.Parallel()
	for _, total := range [][]string{nil, {"--total", "7"}} {
		arguments := append([]string{"sharding", "preview", "-o", "json", "--strategy", "BROADCAST", "--job", "orders", "--instances", "a,b"}, total...)
		status, stdout, stderr := run(t, "", arguments...)
		got := map[string][]int{}
		if err := json.Unmarshal([]byte(stdout), &got); status != exitOK || err != nil || !cmp.Equal(got, map[string][]int{"a": {0}, "b": {1}}) {
			t.Errorf("%v = %d, %q, %q, want an item for each instance", arguments, status, stdout, stderr)
		}
	}
}

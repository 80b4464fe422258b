package builtin_test

import (
	"slices"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/spi"
)

func TestAllFitTheCatalog(t *testing.T) {
	t.Parallel()
	c := catalog.New()
	if err := c.Add(catalog.Source{Provenance: spi.Provenance{Host: "built-in"}}, builtin.All()...); err != nil {
		t.Fatalf("Add(All()) = %v, want nil", err)
	}
	want := map[spi.Kind][]string{
		spi.KindJobType: {"FAKE", "FILE", "HTTP", "SCRIPT", "SQL"},
		spi.KindShardingStrategy: {
			"AVG_ALLOCATION", "BROADCAST", "CONSISTENT_HASH", "FIRST", "LABEL", "LAST", "LEAST_BUSY", "ODEVITY", "RANDOM", "ROUND_ROBIN",
			"SINGLE_SHARDING_BALANCE", "STICKY", "WEIGHTED",
		},
		spi.KindErrorHandler: {"DINGTALK", "EMAIL", "IGNORE", "LOG", "THROW", "WECHAT"},
	}
	for kind, types := range want {
		got := c.Types(kind)
		for _, name := range types {
			if !slices.Contains(got, name) {
				t.Errorf("All() has no %s %s, only %v", kind, name, got)
			}
		}
	}
}

func TestDescriptorsAreComplete(t *testing.T) {
	t.Parallel()
	for _, p := range builtin.All() {
		if err := p.Check(); err != nil {
			t.Errorf("Check() of %s = %v, want nil", p.Descriptor.Type, err)
		}
		if p.Descriptor.Version == "" || p.Descriptor.Description == "" {
			t.Errorf("%s has version %q and description %q, want both", p.Descriptor.Type, p.Descriptor.Version, p.Descriptor.Description)
		}
	}
}

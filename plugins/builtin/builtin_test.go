package builtin_test

import (
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
	for _, want := range []struct {
		kind spi.Kind
		name string
	}{{spi.KindJobType, "FAKE"}, {spi.KindShardingStrategy, "AVG_ALLOCATION"}, {spi.KindErrorHandler, "LOG"}} {
		found := false
		for _, name := range c.Types(want.kind) {
			found = found || name == want.name
		}
		if !found {
			t.Errorf("All() has no %s %s", want.kind, want.name)
		}
	}
}

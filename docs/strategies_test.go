package docs_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/spi"
)

// TestStrategiesAreDocumented compares the page with the built-in strategies: their
// types, their own properties, and their capabilities.
func TestStrategiesAreDocumented(t *testing.T) {
	t.Parallel()
	text := page(t, "docs/reference/sharding-strategies.md")
	var want []string
	properties := make(map[string][]string)
	owners := make(map[string]int)
	capabilities := make(map[string]bool)
	for _, p := range builtin.All() {
		if p.Descriptor.Kind != spi.KindShardingStrategy {
			continue
		}
		want = append(want, p.Descriptor.Type)
		for _, c := range p.Descriptor.Capabilities {
			capabilities[c] = true
		}
		for _, f := range p.Descriptor.Props {
			owners[f.Name]++
			properties[p.Descriptor.Type] = append(properties[p.Descriptor.Type], f.Name)
		}
	}
	slices.Sort(want)
	intro, _, _ := strings.Cut(text, "\n## ")
	if diff := cmp.Diff(want, firstColumn(intro)); diff != "" {
		t.Errorf("strategies in docs/reference/sharding-strategies.md differ (-want +got):\n%s", diff)
	}
	for _, name := range want {
		// LABEL has the properties of those that it composes with too.
		own := slices.DeleteFunc(properties[name], func(p string) bool { return name == "LABEL" && owners[p] > 1 })
		slices.Sort(own)
		if diff := cmp.Diff(own, firstColumn(section(t, text, name)), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("properties of %s in docs/reference/sharding-strategies.md differ (-want +got):\n%s", name, diff)
		}
	}
	for _, name := range firstColumn(section(t, text, "Strategies of your own")) {
		if !capabilities[name] {
			t.Errorf("no built-in strategy has the documented capability %s", name)
		}
		delete(capabilities, name)
	}
	if len(capabilities) > 0 {
		t.Errorf("the capabilities %v are not documented", capabilities)
	}
}

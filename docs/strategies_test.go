package docs_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// TestStrategiesAreDocumented compares the page with the built-in strategies: their
// types, their own properties with their defaults, and their capabilities.
func TestStrategiesAreDocumented(t *testing.T) {
	t.Parallel()
	text := page(t, "docs/reference/sharding-strategies.md")
	var want []string
	properties := make(map[string]props.Schema)
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
			properties[p.Descriptor.Type] = append(properties[p.Descriptor.Type], f)
		}
	}
	slices.Sort(want)
	intro, _, _ := strings.Cut(text, "\n## ")
	if diff := cmp.Diff(want, firstColumn(intro)); diff != "" {
		t.Errorf("strategies in docs/reference/sharding-strategies.md differ (-want +got):\n%s", diff)
	}
	for _, name := range want {
		// LABEL has the properties of those that it composes with too.
		own := slices.DeleteFunc(properties[name], func(f props.Field) bool { return name == "LABEL" && owners[f.Name] > 1 })
		checkRows(t, text, name, own)
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

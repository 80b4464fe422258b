package docs_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/function"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// TestEveryErrorHandlerIsDocumented compares the page of the error handlers
// with the code: their types, and the properties of each with their defaults.
func TestEveryErrorHandlerIsDocumented(t *testing.T) {
	t.Parallel()
	const name = "docs/reference/error-handlers.md"
	checkTypes(t, name, spi.KindErrorHandler, builtin.All())
	checkRows(t, page(t, name), "Messages", execution.NotifyProps())
}

// TestEveryJobTypeIsDocumented does the same for job types. WASM is one of the
// runtime for modules, and functions belong to an embedding program. What every
// dataflow has stands with the type DATAFLOW.
func TestEveryJobTypeIsDocumented(t *testing.T) {
	t.Parallel()
	dataflow := function.Dataflow(nil)
	dataflow.Descriptor.Props = slices.Concat(dataflow.Descriptor.Props, execution.DataflowProps())
	plugins := append(builtin.All(), function.Simple(nil), dataflow)
	checkTypes(t, "docs/reference/job-types.md", spi.KindJobType, plugins, "WASM")
}

func checkTypes(t *testing.T, name string, kind spi.Kind, plugins []spi.Plugin, types ...string) {
	t.Helper()
	text := page(t, name)
	intro, _, _ := strings.Cut(text, "\n## ")
	for _, p := range plugins {
		if p.Descriptor.Kind != kind {
			continue
		}
		types = append(types, p.Descriptor.Type)
		if len(p.Descriptor.Props) == 0 {
			continue
		}
		checkRows(t, text, p.Descriptor.Type, p.Descriptor.Props)
	}
	slices.Sort(types)
	if diff := cmp.Diff(types, firstColumn(intro)); diff != "" {
		t.Errorf("types differ (-want +got):\n%s", diff)
	}
}

// checkRows compares the table below a heading with a schema: the names, and of
// each its type and its default.
func checkRows(t *testing.T, text, heading string, schema props.Schema) {
	t.Helper()
	part := section(t, text, heading)
	var want []string
	for _, field := range schema {
		want = append(want, field.Name)
		facts := string(field.Type)
		if field.Secret {
			facts += ", secret"
		}
		switch {
		case field.Required:
			facts += " | required"
		case field.Default != "":
			facts += " | `" + field.Default + "`"
		case field.Example != "" && strings.HasSuffix(field.Name, "TimeoutMilliseconds"):
			// These have a default that the schema does not show.
			facts += " | " + field.Example
		default:
			facts += " | "
		}
		if field.Deprecated == "" && !strings.Contains(part, "| `"+field.Name+"` | "+strings.TrimSpace(facts)) {
			t.Errorf("the row of %s does not begin with %q", field.Name, facts)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, firstColumn(part), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("properties of %s differ (-want +got):\n%s", heading, diff)
	}
}

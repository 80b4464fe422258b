package function_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/function"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// returns constructs a job type that answers with a text.
func returns(text string) spi.Constructor[spi.JobType] {
	return func(context.Context, props.Values) (spi.JobType, error) {
		return spi.JobTypeFunc(func(context.Context, spi.ExecuteRequest) (spi.ExecuteResponse, error) {
			return spi.ExecuteResponse{Message: text}, nil
		}), nil
	}
}

func TestThePropertyChoosesTheFunction(t *testing.T) {
	t.Parallel()
	functions := function.Set{"a": returns("I am a"), "b": returns("I am b")}
	for _, tt := range []struct {
		plugin   spi.Plugin
		property string
	}{{function.Simple(functions), function.PropSimple}, {function.Dataflow(functions), function.PropDataflow}} {
		if err := tt.plugin.Check(); err != nil {
			t.Fatal(err)
		}
		for name := range functions {
			values, problems := tt.plugin.Descriptor.Props.Resolve(map[string]string{tt.property: name, "anything": "else"})
			if len(problems) > 0 || values["anything"] != "else" {
				t.Fatalf("Resolve() = %v, %v, want all properties and no problem", values, problems)
			}
			made, err := tt.plugin.JobType(t.Context(), values)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := made.Execute(t.Context(), spi.ExecuteRequest{}); got.Message != "I am "+name {
				t.Errorf("Execute() of %s=%s = %q, want %q", tt.property, name, got.Message, "I am "+name)
			}
		}
	}
}

func TestAnUnknownFunctionIsRefusedByName(t *testing.T) {
	t.Parallel()
	many := make(function.Set)
	for i := range 30 {
		many[fmt.Sprintf("f%02d", i)] = nil
	}
	tests := []struct {
		name      string
		functions function.Set
		given     string
		want      string
	}{
		{"near", function.Set{"reconcile": nil}, "reconsile", `did you mean "reconcile"?`},
		{"far", function.Set{"b": nil, "a": nil}, "reconcile", "there are a, b"},
		{"none", nil, "reconcile", "it has none"},
		{"many", many, "reconcile", "f19 and 10 more"},
		{"empty", function.Set{"a": nil}, "", `no function ""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := function.Simple(tt.functions).JobType(t.Context(), props.Values{function.PropSimple: tt.given})
			refused := spi.AsError(err)
			if refused == nil || refused.Code != spi.CodeInvalidProperties || refused.Property != function.PropSimple || !strings.Contains(refused.Message, tt.want) {
				t.Errorf("JobType(%q) = %+v, want a refusal of %s with %q", tt.given, refused, function.PropSimple, tt.want)
			}
		})
	}
}

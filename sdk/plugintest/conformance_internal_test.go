package plugintest

import (
	"context"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

func TestSchemaProblems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		schema props.Schema
		want   string // part of the only problem; "" if there is none
	}{
		{name: "no properties"},
		{name: "a good example", schema: props.Schema{{Name: "n", Type: props.Int, Description: "d", Min: "1", Example: "5", Required: true}}},
		{name: "any property", schema: props.Schema{{Name: "*", Type: props.String, Description: "d"}}},
		{name: "an example that is no value", schema: props.Schema{{Name: "n", Type: props.Int, Description: "d", Min: "1", Example: "many"}}, want: `property n refuses its own example or value "many"`},
		{name: "an example out of bounds", schema: props.Schema{{Name: "n", Type: props.Int, Description: "d", Min: "10", Example: "5"}}, want: `"5"`},
		{name: "a listed value that is no value", schema: props.Schema{{Name: "n", Type: props.Bool, Description: "d", Enum: []string{"yes"}}}, want: `"yes"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := strings.Join(schemaProblems(test.schema), "; ")
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("schemaProblems() = %q, want %q in it", got, test.want)
			}
		})
	}
}

// A plugin that ignores the end of its context does not pass.
func TestCallOnceTellsWhatAPluginAnswers(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(spi.ErrLeaseLost)
	for _, p := range []spi.Plugin{
		{
			Descriptor: spi.Descriptor{Kind: spi.KindErrorHandler, Type: "GOOD"},
			ErrorHandler: func(context.Context, props.Values) (spi.ErrorHandler, error) {
				return spi.ErrorHandlerFunc(func(ctx context.Context, _ spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
					return spi.HandleErrorResponse{}, context.Cause(ctx)
				}), nil
			},
		},
		{
			Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "BAD"},
			JobType: func(context.Context, props.Values) (spi.JobType, error) {
				return spi.JobTypeFunc(func(context.Context, spi.ExecuteRequest) (spi.ExecuteResponse, error) {
					return spi.ExecuteResponse{}, nil
				}), nil
			},
		},
		{
			Descriptor: spi.Descriptor{Kind: spi.KindShardingStrategy, Type: "BAD"},
			ShardingStrategy: func(context.Context, props.Values) (spi.ShardingStrategy, error) {
				return nil, spi.NewError(spi.CodeInvalidProperties, "not these")
			},
		},
		{Descriptor: spi.Descriptor{Kind: spi.KindExecutorPool, Type: "BAD"}},
	} {
		e := spi.AsError(callOnce(ctx, p))
		if isGood := e != nil && e.Code == spi.CodeLeaseLost; isGood != (p.Descriptor.Type == "GOOD") {
			t.Errorf("callOnce(%s %s) = %v, want code %s of the good one only", p.Descriptor.Kind, p.Descriptor.Type, e, spi.CodeLeaseLost)
		}
	}
}

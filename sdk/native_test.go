//go:build !wasip1

package sdk

import (
	"context"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/spi"
)

func TestExplanation(t *testing.T) {
	t.Parallel()
	named := func(name string) spi.Plugin {
		return JobType(name, "reconciles orders", func(context.Context, *Job) error { return nil })
	}
	tests := []struct {
		name    string
		plugins []spi.Plugin
		want    []string
	}{
		{"how to use it", []spi.Plugin{named("ORDERS")}, []string{
			"\tjobType ORDERS: reconciles orders\n", "- process: /opt/orders\n", "GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared",
		}},
		{"nothing", nil, []string{"nothing is registered"}},
		{"a wrong name", []spi.Plugin{named("orders")}, []string{`type name "orders" does not match`}},
		{"a type twice", []spi.Plugin{named("ORDERS"), named("ORDERS")}, []string{"the jobType ORDERS is registered twice"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := explanation("/opt/orders", test.plugins)
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("explanation = %q, want %q in it", got, want)
				}
			}
		})
	}
}

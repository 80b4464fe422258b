package catalog_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

func jobType(name string) spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: name, Description: "test"},
		JobType: func(context.Context, props.Values) (spi.JobType, error) {
			return spi.JobTypeFunc(func(context.Context, spi.ExecuteRequest) (spi.ExecuteResponse, error) {
				return spi.ExecuteResponse{Message: name}, nil
			}), nil
		},
	}
}

func TestLookupFindsWhatWasAdded(t *testing.T) {
	t.Parallel()
	c := catalog.New()
	from := spi.Provenance{Host: "wasm", Path: "orders.wasm"}
	if err := c.Add(from, jobType("ORDERS"), jobType("INVOICES")); err != nil {
		t.Fatal(err)
	}
	found, ok := catalog.Lookup(c, catalog.JobTypes(), "ORDERS")
	if !ok || found.Provenance != from {
		t.Fatalf("Lookup(ORDERS) = %v, %v, want it from %v", found, ok, from)
	}
	impl, err := found.New(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := impl.Execute(t.Context(), spi.ExecuteRequest{})
	if err != nil || response.Message != "ORDERS" {
		t.Errorf("Execute() = %v, %v, want ORDERS", response, err)
	}
	if _, ok := catalog.Lookup(c, catalog.ShardingStrategies(), "ORDERS"); ok {
		t.Error("Lookup(strategy ORDERS) = true, want false")
	}
	if got, want := c.Types(spi.KindJobType), []string{"INVOICES", "ORDERS"}; !slices.Equal(got, want) {
		t.Errorf("Types() = %v, want %v", got, want)
	}
}

func TestAddRefusesConflicts(t *testing.T) {
	t.Parallel()
	c := catalog.New()
	if err := c.Add(spi.Provenance{Host: "built-in"}, jobType("ORDERS")); err != nil {
		t.Fatal(err)
	}
	err := c.Add(spi.Provenance{Host: "wasm", Path: "a.wasm"}, jobType("NEW"), jobType("ORDERS"))
	var conflict *catalog.ConflictError
	if !errors.As(err, &conflict) || !strings.Contains(err.Error(), "built-in") || !strings.Contains(err.Error(), "wasm a.wasm") {
		t.Errorf("Add(ORDERS again) = %v, want a conflict that names both sources", err)
	}
	if _, ok := catalog.Lookup(c, catalog.JobTypes(), "NEW"); ok {
		t.Error("a refused Add left plugins behind")
	}
	if err := c.Add(spi.Provenance{Host: "wasm", Path: "b.wasm"}, jobType("TWICE"), jobType("TWICE")); !errors.As(err, &conflict) {
		t.Errorf("Add(TWICE, TWICE) = %v, want a conflict", err)
	}
}

func TestAddRefusesMalformedPlugins(t *testing.T) {
	t.Parallel()
	badName := jobType("orders")
	noConstructor := jobType("ORDERS")
	noConstructor.JobType = nil
	otherKind := jobType("ORDERS")
	otherKind.Descriptor.Kind = spi.KindTracingSink
	for name, plugin := range map[string]spi.Plugin{"type name": badName, "no constructor": noConstructor, "kind": otherKind} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := catalog.New().Add(spi.Provenance{Host: "built-in"}, plugin); err == nil {
				t.Error("Add() = nil, want an error")
			}
		})
	}
}

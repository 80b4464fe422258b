package catalog_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/hostcall"
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
	from := catalog.Source{
		Provenance: spi.Provenance{Host: "wasm", Path: "orders.wasm"},
		Terms: func(values props.Values) hostcall.Terms {
			return hostcall.Terms{Grants: spi.Grants{HTTP: []string{values["host"]}}}
		},
	}
	if err := c.Add(from, jobType("ORDERS"), jobType("INVOICES")); err != nil {
		t.Fatal(err)
	}
	found, ok := catalog.Lookup(c, catalog.JobTypes(), "ORDERS")
	if !ok || found.Source.Provenance != from.Provenance {
		t.Fatalf("Lookup(ORDERS) = %v, %v, want it from %v", found.Source, ok, from)
	}
	if got := found.Terms(props.Values{"host": "a.example.com"}); got.Trusted || !slices.Equal(got.Grants.HTTP, []string{"a.example.com"}) {
		t.Errorf("Terms() = %+v, want the grants that the source makes of the properties", got)
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

// broken is a job type that does not exist. Its methods are those of a pointer.
type broken struct{ closed bool }

func (*broken) Execute(context.Context, spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	return spi.ExecuteResponse{}, nil
}

func (b *broken) Close(context.Context) error {
	b.closed = true
	return nil
}

func TestNothingIsMadeWithAnError(t *testing.T) {
	t.Parallel()
	p := jobType("ORDERS")
	p.JobType = func(context.Context, props.Values) (spi.JobType, error) {
		var none *broken
		return none, errors.New("wrong")
	}
	c := catalog.New()
	if err := c.Add(catalog.Source{}, p); err != nil {
		t.Fatal(err)
	}
	found, _ := catalog.Lookup(c, catalog.JobTypes(), "ORDERS")
	made, err := found.New(t.Context(), nil)
	if made != nil || err == nil || err.Error() != "wrong" {
		t.Errorf("New() = %v, %v, want nil and the error", made, err)
	}
	if err := catalog.Close(t.Context(), made); err != nil {
		t.Errorf("Close() = %v, want nothing to close", err)
	}
}

func TestTermsWithoutAnyGrantNothing(t *testing.T) {
	t.Parallel()
	c := catalog.New()
	if err := c.Add(catalog.Source{}, jobType("ORDERS")); err != nil {
		t.Fatal(err)
	}
	if err := c.Add(catalog.Source{Terms: catalog.Trusted}, jobType("OURS")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"ORDERS": false, "OURS": true} {
		found, _ := catalog.Lookup(c, catalog.JobTypes(), name)
		if got := found.Terms(nil); got.Trusted != want || len(got.Grants.HTTP) > 0 {
			t.Errorf("Terms() of %s = %+v, want trusted %t and no grants", name, got, want)
		}
	}
}

func TestEveryKindHasItsPoint(t *testing.T) {
	t.Parallel()
	c := catalog.New()
	if err := c.Add(
		catalog.Source{},
		spi.Plugin{
			Descriptor:  spi.Descriptor{Kind: spi.KindTracingSink, Type: "SINK"},
			TracingSink: func(context.Context, props.Values) (spi.TracingSink, error) { panic("no sink") },
		},
		spi.Plugin{
			Descriptor:  spi.Descriptor{Kind: spi.KindJobListener, Type: "AUDIT"},
			JobListener: func(context.Context, props.Values) (spi.JobListener, error) { return nil, errors.New("no listener") },
		},
		jobType("ORDERS"), jobType("INVOICES"),
	); err != nil {
		t.Fatal(err)
	}
	listener, ok := catalog.Lookup(c, catalog.JobListeners(), "AUDIT")
	if !ok {
		t.Fatal("Lookup(listener AUDIT) = false, want true")
	}
	if _, err := listener.New(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "no listener") {
		t.Errorf("New() = %v, want the error of the constructor", err)
	}
	sink, ok := catalog.Lookup(c, catalog.TracingSinks(), "SINK")
	if !ok {
		t.Fatal("Lookup(sink SINK) = false, want true")
	}
	if _, err := sink.New(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "panicked: no sink") {
		t.Errorf("New() = %v, want the panic as an error", err)
	}
	var got []string
	for _, entry := range c.Entries() {
		got = append(got, entry.Plugin.Descriptor.Type)
	}
	if want := []string{"AUDIT", "INVOICES", "ORDERS", "SINK"}; !slices.Equal(got, want) {
		t.Errorf("Entries() = %v, want %v", got, want)
	}
}

func TestAddRefusesConflicts(t *testing.T) {
	t.Parallel()
	c := catalog.New()
	if err := c.Add(catalog.Source{Provenance: spi.Provenance{Host: "built-in"}}, jobType("ORDERS")); err != nil {
		t.Fatal(err)
	}
	another := jobType("ORDERS")
	another.Descriptor.Version = "2.1"
	module := catalog.Source{Provenance: spi.Provenance{Host: "wasm", Path: "a.wasm", SHA256: "12ab"}, Place: "orders.yaml:3:13"}
	err := c.Add(module, jobType("NEW"), another)
	const want = "jobType ORDERS comes from both built-in and wasm a.wasm (sha256 12ab, version 2.1, orders.yaml:3:13)"
	var conflict *catalog.ConflictError
	if !errors.As(err, &conflict) || err.Error() != want {
		t.Errorf("Add(ORDERS again) = %v, want %s", err, want)
	}
	if _, ok := catalog.Lookup(c, catalog.JobTypes(), "NEW"); ok {
		t.Error("a refused Add left plugins behind")
	}
	if err := c.Add(catalog.Source{Provenance: spi.Provenance{Host: "wasm", Path: "b.wasm"}}, jobType("TWICE"), jobType("TWICE")); !errors.As(err, &conflict) {
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
			if err := catalog.New().Add(catalog.Source{Provenance: spi.Provenance{Host: "built-in"}}, plugin); err == nil {
				t.Error("Add() = nil, want an error")
			}
		})
	}
}

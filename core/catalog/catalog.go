// Package catalog holds the plugins of a node: built in, loaded from modules
// or handed in by an embedding program, all in one value.
package catalog

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Entry is one plugin and where it comes from.
type Entry struct {
	Plugin     spi.Plugin
	Provenance spi.Provenance
}

// Catalog maps kind and type name to a plugin. It is filled with Add during
// set-up; from then on it is safe for concurrent use.
type Catalog struct {
	entries map[spi.Kind]map[string]Entry
}

// New returns an empty catalog.
func New() *Catalog {
	return &Catalog{entries: make(map[spi.Kind]map[string]Entry)}
}

// ConflictError says that two sources bring the same type.
type ConflictError struct {
	Kind          spi.Kind
	Type          string
	First, Second spi.Provenance
}

// Error names the type and both sources.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s %s comes from both %s and %s", e.Kind, e.Type, e.First, e.Second)
}

// Add adds plugins of one source. It refuses a plugin that is malformed, and
// with a [*ConflictError] one whose type is there already; nothing is added
// then.
func (c *Catalog) Add(from spi.Provenance, plugins ...spi.Plugin) error {
	added := make(map[spi.Kind]map[string]bool)
	for _, p := range plugins {
		if err := p.Check(); err != nil {
			return fmt.Errorf("adding plugins of %s: %w", from, err)
		}
		d := p.Descriptor
		if first, taken := c.entries[d.Kind][d.Type]; taken {
			return &ConflictError{Kind: d.Kind, Type: d.Type, First: first.Provenance, Second: from}
		}
		if added[d.Kind][d.Type] {
			return &ConflictError{Kind: d.Kind, Type: d.Type, First: from, Second: from}
		}
		if added[d.Kind] == nil {
			added[d.Kind] = make(map[string]bool)
		}
		added[d.Kind][d.Type] = true
	}
	for _, p := range plugins {
		kind := p.Descriptor.Kind
		if c.entries[kind] == nil {
			c.entries[kind] = make(map[string]Entry)
		}
		c.entries[kind][p.Descriptor.Type] = Entry{Plugin: p, Provenance: from}
	}
	return nil
}

// Types returns the type names of a kind, sorted.
func (c *Catalog) Types(kind spi.Kind) []string {
	return slices.Sorted(maps.Keys(c.entries[kind]))
}

// Point is an extension point: a kind and the constructor that belongs to it.
type Point[T any] struct {
	Kind        spi.Kind
	constructor func(spi.Plugin) spi.Constructor[T]
}

// JobTypes is the extension point of job types.
func JobTypes() Point[spi.JobType] {
	return Point[spi.JobType]{spi.KindJobType, func(p spi.Plugin) spi.Constructor[spi.JobType] { return p.JobType }}
}

// ShardingStrategies is the extension point of sharding strategies.
func ShardingStrategies() Point[spi.ShardingStrategy] {
	return Point[spi.ShardingStrategy]{spi.KindShardingStrategy, func(p spi.Plugin) spi.Constructor[spi.ShardingStrategy] { return p.ShardingStrategy }}
}

// ErrorHandlers is the extension point of error handlers.
func ErrorHandlers() Point[spi.ErrorHandler] {
	return Point[spi.ErrorHandler]{spi.KindErrorHandler, func(p spi.Plugin) spi.Constructor[spi.ErrorHandler] { return p.ErrorHandler }}
}

// Found is a plugin looked up at a point.
type Found[T any] struct {
	Descriptor spi.Descriptor
	Provenance spi.Provenance
	New        spi.Constructor[T]
}

// Lookup finds the plugin of a type at an extension point.
func Lookup[T any](c *Catalog, point Point[T], typeName string) (Found[T], bool) {
	entry, ok := c.entries[point.Kind][typeName]
	if !ok {
		return Found[T]{}, false
	}
	return Found[T]{entry.Plugin.Descriptor, entry.Provenance, guarded(typeName, point.constructor(entry.Plugin))}, true
}

// guarded turns a panic of the constructor into an error.
func guarded[T any](typeName string, construct spi.Constructor[T]) spi.Constructor[T] {
	return func(ctx context.Context, values props.Values) (made T, err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("constructing %s panicked: %v", typeName, p)
			}
		}()
		made, err = construct(ctx, values)
		if err != nil {
			// Its text is taken here, where a panic of its methods is caught.
			err = spi.AsError(err)
		}
		return made, err
	}
}

// Close closes what a constructor made, if it can be closed. A panic becomes
// an error.
func Close(ctx context.Context, made any) (err error) {
	closer, ok := made.(spi.Closer)
	if !ok {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("closing panicked: %v", p)
		}
	}()
	return closer.Close(ctx)
}

// Package catalog holds the plugins of a node: built in, loaded from modules
// and programs or handed in by an embedding program, all in one value.
package catalog

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Source is where plugins come from, and the terms on which they run.
type Source struct {
	Provenance spi.Provenance
	// Place is where a configuration names the source, such as orders.yaml:12:5;
	// empty for one that it does not name.
	Place string
	// Terms are those of a plugin that was made with the properties of a job; nil
	// grants nothing.
	Terms func(values props.Values) hostcall.Terms
	// NameProperty is the property of its plugins that is the name of the job
	// unless the job gives it; empty for none.
	NameProperty string
}

// describe tells of the source of one plugin in messages.
func (s Source) describe(version string) string {
	var facts []string
	if s.Provenance.SHA256 != "" {
		facts = append(facts, "sha256 "+s.Provenance.SHA256)
	}
	if version != "" {
		facts = append(facts, "version "+version)
	}
	if s.Place != "" {
		facts = append(facts, s.Place)
	}
	if len(facts) == 0 {
		return s.Provenance.String()
	}
	return s.Provenance.String() + " (" + strings.Join(facts, ", ") + ")"
}

// Trusted are the terms of plugins that belong to the program itself.
func Trusted(props.Values) hostcall.Terms { return hostcall.Terms{Trusted: true} }

// Entry is one plugin and where it comes from.
type Entry struct {
	Plugin spi.Plugin
	Source Source
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
	First, Second Source
	// FirstVersion and SecondVersion are what the plugins say of themselves.
	FirstVersion, SecondVersion string
}

// Error names the type and both sources.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s %s comes from both %s and %s", e.Kind, e.Type, e.First.describe(e.FirstVersion), e.Second.describe(e.SecondVersion))
}

// Add adds plugins of one source. It refuses a plugin that is malformed, and
// with a [*ConflictError] one whose type is there already; nothing is added
// then.
func (c *Catalog) Add(from Source, plugins ...spi.Plugin) error {
	added := make(map[spi.Kind]map[string]Entry)
	for _, p := range plugins {
		if err := p.Check(); err != nil {
			return fmt.Errorf("adding plugins of %s: %w", from.Provenance, err)
		}
		d := p.Descriptor
		first, taken := c.entries[d.Kind][d.Type]
		if !taken {
			first, taken = added[d.Kind][d.Type]
		}
		if taken {
			return &ConflictError{
				Kind: d.Kind, Type: d.Type, First: first.Source, Second: from,
				FirstVersion: first.Plugin.Descriptor.Version, SecondVersion: d.Version,
			}
		}
		if added[d.Kind] == nil {
			added[d.Kind] = make(map[string]Entry)
		}
		added[d.Kind][d.Type] = Entry{Plugin: p, Source: from}
	}
	for kind, entries := range added {
		if c.entries[kind] == nil {
			c.entries[kind] = make(map[string]Entry)
		}
		maps.Copy(c.entries[kind], entries)
	}
	return nil
}

// Entries returns all plugins, sorted by kind and type.
func (c *Catalog) Entries() []Entry {
	var all []Entry
	for _, entries := range c.entries {
		all = slices.AppendSeq(all, maps.Values(entries))
	}
	slices.SortFunc(all, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Plugin.Descriptor.Kind, b.Plugin.Descriptor.Kind), cmp.Compare(a.Plugin.Descriptor.Type, b.Plugin.Descriptor.Type))
	})
	return all
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

// JobListeners is the extension point of job listeners.
func JobListeners() Point[spi.JobListener] {
	return Point[spi.JobListener]{spi.KindJobListener, func(p spi.Plugin) spi.Constructor[spi.JobListener] { return p.JobListener }}
}

// TracingSinks is the extension point of tracing sinks.
func TracingSinks() Point[spi.TracingSink] {
	return Point[spi.TracingSink]{spi.KindTracingSink, func(p spi.Plugin) spi.Constructor[spi.TracingSink] { return p.TracingSink }}
}

// Found is a plugin looked up at a point.
type Found[T any] struct {
	Descriptor spi.Descriptor
	Source     Source
	New        spi.Constructor[T]
}

// Terms are those on which what New makes of these properties runs.
func (f Found[T]) Terms(values props.Values) hostcall.Terms {
	if f.Source.Terms == nil {
		return hostcall.Terms{}
	}
	return f.Source.Terms(values)
}

// Given returns the properties that a job of that name gives to the plugin: its
// own, and its name where the source wants that.
func (f Found[T]) Given(job string, own map[string]string) map[string]string {
	property := f.Source.NameProperty
	if property == "" || own[property] != "" {
		return own
	}
	given := maps.Clone(own)
	if given == nil {
		given = make(map[string]string, 1)
	}
	given[property] = job
	return given
}

// Lookup finds the plugin of a type at an extension point.
func Lookup[T any](c *Catalog, point Point[T], typeName string) (Found[T], bool) {
	entry, ok := c.entries[point.Kind][typeName]
	if !ok {
		return Found[T]{}, false
	}
	return Found[T]{entry.Plugin.Descriptor, entry.Source, guarded(typeName, point.constructor(entry.Plugin))}, true
}

// guarded turns a panic of the constructor into an error. With an error nothing
// was made: a constructor may return a nil pointer then, which as an interface is
// not nil and would be closed.
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
			var none T
			return none, err
		}
		return made, nil
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

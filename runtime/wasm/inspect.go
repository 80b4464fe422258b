package wasm

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// Import is a function that a module needs from its host.
type Import struct {
	Module string
	Name   string
}

// String returns the import as module.name.
func (i Import) String() string { return i.Module + "." + i.Name }

// Export is something that a module offers.
type Export struct {
	Name string
	// Kind is function, table, memory or global.
	Kind string
	// Type is the type of a function, such as "() -> (i32)"; "" for the
	// others.
	Type string
}

// Inspection is what can be said of a module without running a job.
type Inspection struct {
	Path   string
	SHA256 string
	// Size is the length of the file in bytes.
	Size    int64
	Shape   Shape
	Imports []Import
	Exports []Export
	// MemoryMin and MemoryMax bound the module's memory in bytes, as it
	// declares it; MemoryMax is 0 when it declares no bound. The limit of the
	// load applies besides.
	MemoryMin int64
	MemoryMax int64
	// Describes reports whether the module describes plugins.
	Describes bool
	// Plugins are what it describes.
	Plugins []spi.Descriptor
}

// Inspect loads a module on the terms of the request, looks into it and
// unloads it. It fails as Load does.
func (h *Host) Inspect(ctx context.Context, req spi.LoadRequest) (Inspection, error) {
	m, descriptors, err := h.load(ctx, req)
	if err != nil {
		return Inspection{}, err
	}
	p := m.program
	result := Inspection{
		Path:      req.Path,
		SHA256:    p.sha,
		Size:      int64(p.size),
		Shape:     p.shape,
		Imports:   slices.Clone(p.layout.imports),
		Exports:   slices.Clone(p.layout.exports),
		Describes: describes(p),
		Plugins:   descriptors,
	}
	if mem := p.layout.memory; mem != nil {
		result.MemoryMin = int64(mem.min) * pageSize
		result.MemoryMax = int64(mem.max) * pageSize
	}
	if err := h.unload(ctx, m); err != nil {
		return Inspection{}, errors.Join(fmt.Errorf("%s: unloading the module: %w", req.Path, err))
	}
	return result, nil
}

func describes(p *program) bool {
	return p.shape == ShapeReactor && p.layout.hasFunc(wire.ExportDescribe)
}

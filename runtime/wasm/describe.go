package wasm

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// describe asks a reactor which plugins it brings. Nothing is granted to it
// meanwhile, and its answer is checked in full.
func (m *module) describe(ctx context.Context, logger *slog.Logger) ([]spi.Descriptor, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, wire.DescribeTimeout, spi.ErrTimeout)
	defer cancel()
	c := newCall(ctx, describeServices{logger: logger, plugin: m.path})
	defer c.out.finish()
	var plugins []spi.Descriptor
	failed := m.serve(ctx, c, fresh{program: m.program, terms: m.terms.describing()}, wire.ExportDescribe, wire.AppendDescribeRequest(nil), func(output []byte) (err error) {
		if len(output) == 0 {
			return refusal("%s", `it wrote no output, which must be {"plugins":[…]}`)
		}
		plugins, err = wire.DecodeDescribeResponse(output)
		return err
	})
	if failed != nil {
		return nil, fmt.Errorf("describing the plugins: %w", failed)
	}
	if err := checkPlugins(m.program.layout, plugins); err != nil {
		return nil, fmt.Errorf("describing the plugins: %w", err)
	}
	return plugins, nil
}

// checkPlugins refuses descriptions that this version cannot serve.
func checkPlugins(l *layout, plugins []spi.Descriptor) error {
	if len(plugins) == 0 {
		return refusal("%s lists none", wire.ExportDescribe)
	}
	type name struct {
		kind spi.Kind
		typ  string
	}
	seen := map[name]bool{}
	for i, d := range plugins {
		if err := d.Check(); err != nil {
			return refusal("plugin %d: %v", i, err)
		}
		if seen[name{d.Kind, d.Type}] {
			return refusal("the %s %s is listed twice", d.Kind, d.Type)
		}
		seen[name{d.Kind, d.Type}] = true
		exports, capabilities, known := exportsOf(d)
		if !known {
			return spi.NewError(spi.CodeUnsupported, fmt.Sprintf("type %s: plugins of kind %s in modules are not available in this version", d.Type, d.Kind))
		}
		for _, capability := range d.Capabilities {
			if !slices.Contains(capabilities, capability) {
				return spi.NewError(spi.CodeUnsupported, fmt.Sprintf("the %s %s: the capability %q is not available in this version", d.Kind, d.Type, firstLine(capability)))
			}
		}
		for _, export := range exports {
			if !l.hasFunc(export) {
				return refusal("the %s %s is described, but the module does not export %s", d.Kind, d.Type, export)
			}
		}
	}
	return nil
}

// describeServices takes the log of a module that describes itself. It has no
// operations; those are denied before they get here.
type describeServices struct {
	logger *slog.Logger
	plugin string
}

var _ spi.Services = describeServices{}

// Log writes the line to the log of the host.
func (s describeServices) Log(ctx context.Context, r spi.LogRecord) {
	s.logger.Log(ctx, slog.Level(r.Level), "plugin output", "plugin", s.plugin, "stream", string(r.Stream), "line", r.Line)
}

// Call refuses every operation.
func (describeServices) Call(context.Context, string, []byte) ([]byte, error) {
	return nil, spi.NewError(spi.CodeDenied, "a module that describes itself may not call the host")
}

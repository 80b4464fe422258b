package wasm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// PropModule is the property of the job type WASM that names the module file.
const PropModule = "wasm.module"

// job runs items in a module.
type job struct{ adapter }

var _ spi.JobType = (*job)(nil)

// Execute runs one item. Its errors are of [*spi.Error].
func (j *job) Execute(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	req.Context.Props = j.orValues(req.Context.Props)
	if j.module.program.shape == ShapeCommand {
		return spi.ExecuteResponse{}, j.module.run(ctx, req.Services, 0, func(ctx context.Context, c *call) *spi.Error {
			return j.module.runCommand(ctx, c, within(ctx, req.Context))
		})
	}
	return runExport(ctx, j.module, req.Services, 0, wire.ExportExecute, func(ctx context.Context) []byte {
		return wire.AppendExecuteRequest(nil, j.plugin, within(ctx, req.Context))
	}, wire.DecodeExecuteResponse)
}

// ownedJob is a job that unloads its module when it is closed.
type ownedJob struct {
	job
	unload func(context.Context) error
}

var (
	_ spi.JobType = (*ownedJob)(nil)
	_ spi.Closer  = (*ownedJob)(nil)
)

// Close waits for running calls until ctx ends and unloads the module.
func (j *ownedJob) Close(ctx context.Context) error { return j.unload(ctx) }

// JobType returns the job type WASM: the job names a module in its property
// wasm.module, and may have any other property. Resolve turns that name into
// the file and the terms on which it is loaded. Every job has its own load,
// which its Close gives back.
func (h *Host) JobType(resolve func(module string) spi.LoadRequest) spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:         spi.KindJobType,
			Type:         wire.PluginWASM,
			Version:      "1",
			Description:  "Runs a WASM module: a WASI command, or a reactor that does not describe plugins.",
			Capabilities: []string{spi.CapabilityExecute},
			Props: props.Schema{
				{Name: PropModule, Type: props.Path, Required: true, Description: "The module file.", Example: "modules/nightly.wasm"},
				{Name: "*", Type: props.String, Description: "Whatever the module reads from its context."},
			},
		},
		JobType: func(ctx context.Context, values props.Values) (spi.JobType, error) {
			m, descriptors, err := h.load(ctx, resolve(values[PropModule]))
			if err != nil {
				refused := *spi.AsError(err)
				refused.Property = PropModule
				return nil, &refused
			}
			unload := func(ctx context.Context) error { return h.unload(ctx, m) }
			if len(descriptors) > 0 {
				return nil, errors.Join(useTypes(m.path, descriptors), unload(context.WithoutCancel(ctx)))
			}
			return &ownedJob{job: job{adapter{module: m, plugin: wire.PluginWASM, values: values}}, unload: unload}, nil
		},
	}
}

// useTypes is the error of a job that names a module instead of a type that
// the module brings.
func useTypes(path string, descriptors []spi.Descriptor) error {
	names := make([]string, len(descriptors))
	for i, d := range descriptors {
		names[i] = "elasticJobType: " + d.Type
	}
	return fmt.Errorf("%s: %w", path, &spi.Error{
		Code: spi.CodeInvalidProperties, Property: PropModule,
		Message: "the module brings job types of its own: list it under plugins and use " + strings.Join(names, " or "),
	})
}

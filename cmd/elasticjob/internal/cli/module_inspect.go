package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/elasticjob-go/elasticjob/runtime/wasm"
	"github.com/elasticjob-go/elasticjob/spi"
)

func (a *app) moduleInspectCommand() *cobra.Command {
	var memory string
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what a module is and brings",
		Long: `Show the shape, checksum, imports and exports of a module, and the types that it
describes with their properties and what they want to be granted. The module is asked in a sandbox
without grants; no job runs.`,
		Example: "  elasticjob module inspect orders.wasm -o json",
		Args:    exactArgs("the module file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			limit, err := memoryLimit(cmd, memory)
			if err != nil {
				return err
			}
			return a.withHost(cmd.Context(), func(ctx context.Context, host *wasm.Host) error {
				result, err := inspect(ctx, host, spi.LoadRequest{Path: args[0], Limits: spi.Limits{Memory: limit}})
				if err != nil {
					return err
				}
				return a.print(result, func(w io.Writer) { printInspection(w, result) })
			})
		},
	}
	addMemoryFlag(cmd.Flags(), &memory)
	return cmd
}

// The document of module inspect. Sizes are in bytes.
type (
	inspection struct {
		File    string            `json:"file"`
		Shape   string            `json:"shape"`
		Size    int64             `json:"size"`
		SHA256  string            `json:"sha256"`
		Memory  inspectedMemory   `json:"memory"`
		Imports []string          `json:"imports"`
		Exports []inspectedExport `json:"exports"`
		Plugins []inspectedPlugin `json:"plugins"`
	}
	inspectedMemory struct {
		Min int64 `json:"min"`
		// Max is absent when the module declares no bound.
		Max int64 `json:"max,omitempty"`
	}
	inspectedExport struct {
		Name string `json:"name"`
		Kind string `json:"kind"`
		Type string `json:"type,omitempty"`
	}
	inspectedPlugin struct {
		describedPlugin

		Wants []inspectedWant `json:"wants"`
	}
	describedPlugin struct {
		Kind         string           `json:"kind"`
		Type         string           `json:"type"`
		Version      string           `json:"version"`
		Description  string           `json:"description"`
		Capabilities []string         `json:"capabilities"`
		Props        []inspectedField `json:"props"`
	}
	inspectedField struct {
		Name        string   `json:"name"`
		Type        string   `json:"type"`
		Description string   `json:"description"`
		Default     string   `json:"default,omitempty"`
		Required    bool     `json:"required"`
		Enum        []string `json:"enum,omitempty"`
		Min         string   `json:"min,omitempty"`
		Max         string   `json:"max,omitempty"`
		Pattern     string   `json:"pattern,omitempty"`
		Secret      bool     `json:"secret"`
		Example     string   `json:"example,omitempty"`
		Deprecated  string   `json:"deprecated,omitempty"`
	}
	inspectedWant struct {
		Op    string `json:"op"`
		Value string `json:"value"`
		Why   string `json:"why"`
	}
)

func inspect(ctx context.Context, host *wasm.Host, req spi.LoadRequest) (inspection, error) {
	found, err := host.Inspect(ctx, req)
	if err != nil {
		return inspection{}, moduleProblem(ctx, req.Path, err)
	}
	result := inspection{
		File: req.Path, Shape: string(found.Shape), Size: found.Size, SHA256: found.SHA256,
		Memory:  inspectedMemory{found.MemoryMin, found.MemoryMax},
		Imports: []string{}, Exports: []inspectedExport{}, Plugins: []inspectedPlugin{},
	}
	for _, i := range found.Imports {
		result.Imports = append(result.Imports, i.String())
	}
	for _, e := range found.Exports {
		result.Exports = append(result.Exports, inspectedExport{e.Name, e.Kind, e.Type})
	}
	for _, d := range found.Plugins {
		result.Plugins = append(result.Plugins, inspectedPluginOf(d))
	}
	return result, nil
}

func inspectedPluginOf(d spi.Descriptor) inspectedPlugin {
	p := inspectedPlugin{describedPlugin: describedPluginOf(d), Wants: []inspectedWant{}}
	for _, w := range d.Wants {
		p.Wants = append(p.Wants, inspectedWant(w))
	}
	return p
}

func describedPluginOf(d spi.Descriptor) describedPlugin {
	p := describedPlugin{
		Kind: string(d.Kind), Type: d.Type, Version: d.Version, Description: d.Description,
		Capabilities: append([]string{}, d.Capabilities...), Props: []inspectedField{},
	}
	for _, capability := range []string{spi.CapabilityExecute, spi.CapabilityPerInstance} {
		if len(d.Capabilities) == 0 && d.Has(capability) {
			p.Capabilities = []string{capability}
		}
	}
	for _, f := range d.Props {
		p.Props = append(p.Props, inspectedField{
			Name: f.Name, Type: string(f.Type), Description: f.Description, Default: f.Default, Required: f.Required,
			Enum: f.Enum, Min: f.Min, Max: f.Max, Pattern: f.Pattern, Secret: f.Secret, Example: f.Example, Deprecated: f.Deprecated,
		})
	}
	return p
}

// String returns the want as one line.
func (w inspectedWant) String() string {
	text := strings.TrimSpace(w.Op + " " + w.Value)
	if w.Why != "" {
		text += ": " + w.Why
	}
	return text
}

func printInspection(w io.Writer, i inspection) {
	t := newTable(w)
	t.row("file", i.File)
	t.row("shape", i.Shape)
	t.row("size", strconv.FormatInt(i.Size, 10)+" bytes")
	t.row("sha256", i.SHA256)
	memory := "at least " + size(i.Memory.Min)
	if i.Memory.Max > 0 {
		memory += ", at most " + size(i.Memory.Max)
	}
	t.row("memory", memory)
	t.row("imports", strings.Join(i.Imports, " "))
	names := make([]string, len(i.Exports))
	for n, e := range i.Exports {
		names[n] = e.Name
	}
	t.row("exports", strings.Join(names, " "))
	t.row("use it by", usedBy(i))
	t.flush()
	for _, p := range i.Plugins {
		_, _ = fmt.Fprintln(w)
		wants := make([]string, len(p.Wants))
		for n, want := range p.Wants {
			wants[n] = want.String()
		}
		printPlugin(w, p.describedPlugin, wants)
	}
}

// useByJobs says how jobs use a module that brings no types.
const useByJobs = "elasticJobType: WASM, with the file as property " + wasm.PropModule

// usedBy says what to write into the configuration to use the module.
func usedBy(i inspection) string {
	if len(i.Plugins) == 0 {
		return useByJobs
	}
	types := make([]string, len(i.Plugins))
	for n, p := range i.Plugins {
		types[n] = keyOf(spi.Kind(p.Kind)) + ": " + p.Type
	}
	return strings.Join(types, " or ") + ", with the file under plugins"
}

// keyOf is the key of a job, or of the node, that names a plugin of the kind.
func keyOf(kind spi.Kind) string {
	switch kind {
	case spi.KindShardingStrategy:
		return "jobShardingStrategyType"
	case spi.KindErrorHandler:
		return "jobErrorHandlerType"
	case spi.KindJobListener:
		return "jobListenerTypes"
	case spi.KindTracingSink:
		return "tracing.type"
	default:
		return "elasticJobType"
	}
}

func printPlugin(w io.Writer, p describedPlugin, wants []string) {
	t := newTable(w)
	t.row(p.Kind, strings.TrimSpace(p.Type+" "+p.Version))
	t.row("description", p.Description)
	t.row("capabilities", strings.Join(p.Capabilities, ", "))
	for _, want := range wants {
		t.row("wants", want)
	}
	t.flush()
	if len(p.Props) == 0 {
		return
	}
	t = newTable(w)
	t.row("PROPERTY", "TYPE", "DEFAULT", "ALLOWED", "DESCRIPTION")
	for _, f := range p.Props {
		preset := f.Default
		if f.Required {
			preset = "(required)"
		}
		t.row(f.Name, f.Type, preset, allowed(f), f.Description)
	}
	t.flush()
}

// allowed says in short what values a property takes.
func allowed(f inspectedField) string {
	var parts []string
	if len(f.Enum) > 0 {
		parts = append(parts, strings.Join(f.Enum, "|"))
	}
	switch {
	case f.Min != "" && f.Max != "":
		parts = append(parts, f.Min+" to "+f.Max)
	case f.Min != "":
		parts = append(parts, "from "+f.Min)
	case f.Max != "":
		parts = append(parts, "up to "+f.Max)
	}
	if f.Pattern != "" {
		parts = append(parts, "/"+f.Pattern+"/")
	}
	if f.Secret {
		parts = append(parts, "secret")
	}
	if f.Deprecated != "" {
		parts = append(parts, "deprecated: "+f.Deprecated)
	}
	return strings.Join(parts, " ")
}

// size writes a number of bytes, which is a multiple of 64 KiB.
func size(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return strconv.FormatInt(n>>20, 10) + " MiB"
	}
	return strconv.FormatInt(n>>10, 10) + " KiB"
}

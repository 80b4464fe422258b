package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/elasticjob-go/elasticjob"
)

func (a *app) pluginCommand() *cobra.Command {
	cmd := a.group(&cobra.Command{
		Use:   "plugin",
		Short: "Show and check the plugins of a configuration",
		Example: `  elasticjob plugin list -c elasticjob.yaml
  elasticjob plugin verify -c elasticjob.yaml`,
	})
	cmd.AddCommand(a.pluginListCommand(), a.pluginVerifyCommand())
	return cmd
}

func (a *app) pluginListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list -c FILE",
		Short: "Show the types that a node has",
		Long: `Show every type that a node of this configuration has, and where it comes from:
built in, a process or a module. Files that cannot be loaded are named on stderr,
and the status is 2 then.

Modules are asked what they bring in a sandbox without grants, programs are
started for it. No job runs and nothing is registered.`,
		Example: "  elasticjob plugin list -c elasticjob.yaml -o json",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			infos, problems, err := a.plugins(cmd)
			if err != nil {
				return err
			}
			result := pluginList{Plugins: listed(infos)}
			if err := a.print(result, func(w io.Writer) { printPlugins(w, result.Plugins) }); err != nil {
				return err
			}
			if len(problems) > 0 {
				return &problemsError{problems: problems, status: exitInvalid, next: "These files were not loaded; the list is of the others."}
			}
			return nil
		},
	}
}

func (a *app) pluginVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify -c FILE",
		Short: "Load the plugin files and show what they bring and want",
		Long: `Load every plugin file of a configuration as a node would, and show its
checksum, the types that it brings with their properties, and which host
operations it wants and is granted. The status is 2 when a file cannot be
loaded, is not the one that its sha256 names, or brings a type that is there
already.

The checksum that is shown is the one to write as sha256 into the file, so that
nothing else is ever loaded.`,
		Example: "  elasticjob plugin verify -c elasticjob.yaml",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			infos, problems, err := a.plugins(cmd)
			if err != nil {
				return err
			}
			result := verification{Plugins: listed(infos), Problems: problems}
			result.Plugins = slices.DeleteFunc(result.Plugins, func(p listedPlugin) bool { return p.Path == "" })
			slices.SortStableFunc(result.Plugins, func(a, b listedPlugin) int { return strings.Compare(a.Path, b.Path) })
			if result.Problems == nil {
				result.Problems = elasticjob.Problems{}
			}
			if err := a.print(result, func(w io.Writer) { printVerification(w, result) }); err != nil {
				return err
			}
			if len(problems) > 0 {
				return &silentError{exitInvalid}
			}
			return nil
		},
	}
}

// plugins loads the plugins of the configuration.
func (a *app) plugins(cmd *cobra.Command) ([]elasticjob.PluginInfo, elasticjob.Problems, error) {
	cfg, _, err := a.loadConfig(cmd)
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	infos, problems := elasticjob.Plugins(ctx, cfg, elasticjob.WithLogger(a.logger))
	if ctx.Err() != nil {
		return nil, nil, fmt.Errorf("loading the plugins of %s: %w", a.configFile, context.Cause(ctx))
	}
	return infos, problems, nil
}

// The documents of plugin list and plugin verify.
type (
	pluginList struct {
		Plugins []listedPlugin `json:"plugins"`
	}
	verification struct {
		Plugins  []listedPlugin      `json:"plugins"`
		Problems elasticjob.Problems `json:"problems"`
	}
	// listedPlugin is one type, or a file without types, of which Kind and Type
	// are empty.
	listedPlugin struct {
		describedPlugin

		// Host is built-in, process or wasm.
		Host   string `json:"host"`
		Path   string `json:"path"`
		SHA256 string `json:"sha256"`
		// Place is where the configuration names the file.
		Place string       `json:"place"`
		Wants []listedWant `json:"wants"`
	}
	listedWant struct {
		inspectedWant

		Granted bool `json:"granted"`
	}
)

func listed(infos []elasticjob.PluginInfo) []listedPlugin {
	list := make([]listedPlugin, 0, len(infos))
	for _, info := range infos {
		p := listedPlugin{
			describedPlugin: describedPluginOf(info.Descriptor),
			Host:            info.Provenance.Host, Path: info.Provenance.Path, SHA256: info.Provenance.SHA256, Place: info.Place,
			Wants: []listedWant{},
		}
		for _, w := range info.Wants {
			p.Wants = append(p.Wants, listedWant{inspectedWant(w.Want), w.Granted})
		}
		list = append(list, p)
	}
	return list
}

func printPlugins(w io.Writer, plugins []listedPlugin) {
	t := newTable(w)
	t.row("KIND", "TYPE", "VERSION", "HOST", "FILE", "SHA256")
	for _, p := range plugins {
		t.row(p.Kind, p.Type, p.Version, p.Host, p.Path, p.SHA256[:min(len(p.SHA256), 12)])
	}
	t.flush()
}

func printVerification(w io.Writer, v verification) {
	file := ""
	for _, p := range v.Plugins {
		if p.Path != file {
			if file != "" {
				_, _ = fmt.Fprintln(w)
			}
			file = p.Path
			t := newTable(w)
			t.row("file", p.Path)
			t.row("host", p.Host)
			t.row("sha256", p.SHA256)
			t.row("named at", p.Place)
			if p.Type == "" {
				t.row("use it by", useByJobs)
			}
			t.flush()
		}
		if p.Type == "" {
			continue
		}
		_, _ = fmt.Fprintln(w)
		wants := make([]string, len(p.Wants))
		for i, want := range p.Wants {
			wants[i] = want.String()
			if !want.Granted {
				wants[i] += " (NOT GRANTED)"
			}
		}
		printPlugin(w, p.describedPlugin, wants)
	}
	for i, p := range v.Problems {
		if i == 0 && file != "" {
			_, _ = fmt.Fprintln(w)
		}
		_, _ = fmt.Fprintln(w, oneLine(p.String()))
	}
	_, _ = fmt.Fprintln(w, strings.TrimSpace(count(len(v.Problems), "problem")))
}

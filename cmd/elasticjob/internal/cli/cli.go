// Package cli is the command line of elasticjob: one file for each command.
//
// Results are written to stdout, everything else to stderr. A command ends
// with status 0 when it did what was asked, 1 when that failed, and 2 when it
// was called wrongly or given invalid input. With -o json or -o yaml results
// are documents, and so are errors: {"problems":[{"file","line","column",
// "rule","message"}]}.
package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Environment is what a command sees of the process it runs in.
type Environment struct {
	In       io.Reader
	Out, Err io.Writer
	// LookupEnv returns a variable of the environment and whether it is set.
	LookupEnv func(name string) (string, bool)
}

// Main runs the command that args name, without the program's own name, and
// returns the exit status. It takes over the signals of the process while a
// command runs that can be interrupted.
func Main(ctx context.Context, args []string, env Environment) int {
	a := &app{Environment: env, errorFormat: requested(args, "output", "o", formatTable, formatJSON, formatYAML)}
	if a.errorFormat == formatTable && requested(args, "log-format", "", logText, logJSON) == logJSON {
		a.errorFormat = formatJSON // among records that are JSON, text would be a line that nobody can read
	}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	return a.report(root.ExecuteContext(ctx))
}

// app is one run of the program: the global flags and what follows from them.
type app struct {
	Environment

	format     string
	logFormat  string
	logLevel   string
	dataDir    string
	configFile string

	// errorFormat is the form of errors, as far as it is known before the flags
	// are read.
	errorFormat string
	// logger is set before a command runs.
	logger *slog.Logger
}

// The output formats.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatYAML  = "yaml"
)

func (a *app) root() *cobra.Command {
	root := a.group(&cobra.Command{
		Use:   "elasticjob",
		Short: "Run scheduled jobs on a fleet of nodes, cut into items that move with the nodes",
		Example: `  elasticjob lint -c elasticjob.yaml
  elasticjob run -c elasticjob.yaml`,
		SilenceErrors: true,
		SilenceUsage:  true,
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd) }

	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.StringVarP(&a.configFile, "config", "c", "", "the node's configuration `file`")
	flags.StringVarP(&a.format, "output", "o", formatTable, "form of the result: table, json or yaml")
	flags.StringVar(&a.dataDir, "data-dir", "", "`directory` for what is kept; overrides dataDir of the file")
	flags.StringVar(&a.logFormat, "log-format", "", "form of log records on stderr: text or json (default: text, json with -o json)")
	flags.StringVar(&a.logLevel, "log-level", "info", "least level that is logged: debug, info, warn or error")

	root.AddCommand(a.runCommand(), a.lintCommand(), a.cronCommand(), a.shardingCommand(), a.moduleCommand(), a.pluginCommand(), a.versionCommand())
	root.SetHelpCommand(a.helpCommand(root))
	return root
}

// prepare checks the global flags and makes the logger.
func (a *app) prepare(cmd *cobra.Command) error {
	switch a.format {
	case formatTable, formatJSON, formatYAML:
	default:
		return usagef(cmd, "-o %q is no output format: write table, json or yaml", a.format)
	}
	if cmd.Flags().Changed("data-dir") && a.dataDir == "" {
		return usagef(cmd, "--data-dir is empty: name a directory, or leave the flag out")
	}
	if a.logFormat == "" {
		a.logFormat = logText
		if a.format == formatJSON {
			a.logFormat = logJSON
		}
	}
	logger, err := newLogger(a.Err, a.logFormat, a.logLevel)
	if err != nil {
		return usagef(cmd, "%s", err)
	}
	a.logger = logger
	return nil
}

// group makes a command that is only good for its subcommands.
func (a *app) group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef(cmd, "%s needs a command: %s", cmd.CommandPath(), strings.Join(commandNames(cmd), ", "))
		}
		return unknownCommand(cmd, args[0])
	}
	return cmd
}

func unknownCommand(parent *cobra.Command, name string) error {
	hint := "there are " + strings.Join(commandNames(parent), ", ")
	if near := parent.SuggestionsFor(name); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef(parent, "%s has no command %q; %s", parent.CommandPath(), name, hint)
}

func commandNames(parent *cobra.Command) []string {
	var names []string
	for _, c := range parent.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

// exactArgs wants one argument for each of the names.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usagef(cmd, "%s is missing", names[len(args)])
		case len(args) > len(names):
			return usagef(cmd, "there is no place for %q%s", args[len(names)], quoteHint(names))
		}
		return nil
	}
}

// quoteHint helps with arguments that the shell has cut at their spaces.
func quoteHint(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("; quote %s when it contains spaces", names[len(names)-1])
}

// requested finds the value of a flag among arguments that may be wrong
// otherwise, so that the error about them has the right form. It is the first of
// the values when none of them is given. The short form may be empty.
func requested(args []string, long, short string, values ...string) string {
	format := values[0]
	for i, arg := range args {
		if arg == "--" {
			break
		}
		value, found := strings.CutPrefix(arg, "--"+long+"=")
		if !found && short != "" && !strings.HasPrefix(arg, "--") {
			value, found = strings.CutPrefix(arg, "-"+short)
			value = strings.TrimPrefix(value, "=")
		}
		if (arg == "--"+long || short != "" && arg == "-"+short) && i+1 < len(args) {
			value, found = args[i+1], true
		}
		if found && slices.Contains(values, value) {
			format = value
		}
	}
	return format
}

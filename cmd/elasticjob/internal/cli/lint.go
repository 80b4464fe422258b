package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/elasticjob-go/elasticjob"
)

func (a *app) lintCommand() *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use:   "lint -c FILE",
		Short: "Show every problem of a configuration",
		Long: `Show every problem of a configuration file on stdout, sorted by place, and end
with status 2 if there is one.

Modules are loaded and asked what they bring, in a sandbox without grants and
for at most 5 s each, and so are plugin programs, as processes. No job runs and
nothing is registered. What a plugin wants and is not granted is a note on
stderr. With --offline no program is started; a type that one may bring is then
a note as well.`,
		Example: "  elasticjob lint -c elasticjob.yaml -o json",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Until here a signal ends the process: reading may wait for a pipe.
			cfg, _, err := a.loadConfig(cmd)
			if err != nil {
				return err
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			problems := elasticjob.Lint(ctx, cfg, offline, elasticjob.WithLogger(a.logger),
				elasticjob.WithNotes(func(p elasticjob.Problem) { a.note("%s", p) }))
			if ctx.Err() != nil {
				return fmt.Errorf("linting %s: interrupted", a.configFile)
			}
			return a.lintResult(problems)
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "start no plugin programs")
	return cmd
}

func (a *app) lintResult(problems elasticjob.Problems) error {
	if problems == nil {
		problems = elasticjob.Problems{}
	}
	err := a.print(problemList{problems}, func(w io.Writer) {
		if len(problems) == 0 {
			_, _ = fmt.Fprintln(w, "no problems")
			return
		}
		for _, p := range problems {
			_, _ = fmt.Fprintln(w, oneLine(p.String()))
		}
		_, _ = fmt.Fprintln(w, count(len(problems), "problem"))
	})
	if err == nil && len(problems) > 0 {
		return &silentError{exitInvalid}
	}
	return err
}

// count writes a number with its noun in the right form.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/elasticjob-go/elasticjob"
)

// loadConfig reads the file of -c, with the flags that override it, and says
// what was left alone. The error is about the command line only.
func (a *app) loadConfig(cmd *cobra.Command) (elasticjob.Config, elasticjob.Problems, error) {
	if a.configFile == "" {
		return elasticjob.Config{}, nil, usagef(cmd, "the configuration is missing: add -c FILE")
	}
	cfg, problems := elasticjob.LoadFile(a.configFile)
	if a.dataDir != "" {
		dir, err := absolute(a.dataDir)
		if err != nil {
			return cfg, nil, err
		}
		cfg.DataDir = dir
	}
	for _, n := range cfg.Notes {
		a.note("%s", n)
	}
	return cfg, problems, nil
}

// allProblems adds to what is wrong with a file in itself what only shows with
// its plugins. The engine then looks at a configuration with gaps, so what it
// says about the same lines, or in other words about the same mistake, is left
// out.
func (a *app) allProblems(ctx context.Context, cfg elasticjob.Config, own elasticjob.Problems, offline bool) elasticjob.Problems {
	if slices.ContainsFunc(own, isUnreadable) {
		return own.Sort()
	}
	all := slices.Clone(own)
	for _, p := range elasticjob.Lint(ctx, cfg, offline, elasticjob.WithLogger(a.logger)) {
		sameLine := func(q elasticjob.Problem) bool { return q.File == p.File && q.Line == p.Line }
		if len(own) > 0 && (p.Rule == "schedule" || slices.ContainsFunc(own, sameLine)) {
			continue
		}
		all = append(all, p)
	}
	return all.Sort()
}

// isUnreadable says whether a problem leaves nothing of a file to look at.
func isUnreadable(p elasticjob.Problem) bool {
	return p.Rule == "file" || p.Rule == "syntax" || p.Rule == "size"
}

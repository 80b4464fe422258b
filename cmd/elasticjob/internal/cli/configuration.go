package cli

import (
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
		cfg.OverrideDataDir(dir)
	}
	for _, n := range cfg.Notes {
		a.note("%s", n)
	}
	return cfg, problems, nil
}

package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/elasticjob-go/elasticjob"
)

// modulePath is the module of this program and of the SDK.
const modulePath = "github.com/elasticjob-go/elasticjob"

type versionResult struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the version of this program",
		Example: "  elasticjob version -o json",
		Args:    exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			return a.print(v, func(w io.Writer) {
				commit := ""
				if v.Commit != "" {
					commit = ", commit " + v.Commit[:min(12, len(v.Commit))]
				}
				if v.Modified {
					commit += " and changes"
				}
				_, _ = fmt.Fprintf(w, "elasticjob %s%s, %s, %s\n", v.Version, commit, v.Go, v.Platform)
			})
		},
	}
}

// buildVersion reads what the go command has written into the program.
func buildVersion() versionResult {
	v := versionResult{Version: elasticjob.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

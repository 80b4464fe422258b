package cli

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
)

// grantOptions are the flags by which a module that runs here gets more than
// its memory.
type grantOptions struct {
	http    []string
	env     []string
	dirs    []string
	secrets []string
}

func (o *grantOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.http, "grant-http", nil, "`host` that http.request may reach, as in grants.http; may be repeated")
	flags.StringArrayVar(&o.env, "grant-env", nil, "`variable` of the environment that the module sees; may be repeated")
	flags.StringArrayVar(&o.dirs, "grant-dir", nil, "`directory` that the module sees under its own path, with :rw also to write; may be repeated")
	flags.StringArrayVar(&o.secrets, "secret", nil, "secret that secret.get may ask for, as `name=value`; may be repeated")
}

// grantFlag is the flag that grants what a node grants by a key under grants.
func grantFlag(key string) string {
	if key == "secrets" {
		return "--secret"
	}
	return "--grant-" + key
}

func (o *grantOptions) grants() (spi.Grants, error) {
	g := spi.Grants{HTTP: o.http, Env: o.env}
	for _, entry := range o.http {
		if err := hostcall.CheckHTTPGrant(entry); err != nil {
			return spi.Grants{}, fmt.Errorf("--grant-http: %w", err)
		}
	}
	for _, entry := range o.dirs {
		dir, isWritable := strings.CutSuffix(entry, ":rw")
		abs, err := absolute(dir)
		if err != nil {
			return spi.Grants{}, err
		}
		g.Dirs = append(g.Dirs, spi.Dir{Path: abs, Guest: path.Join("/", filepath.ToSlash(dir)), Writable: isWritable})
	}
	for _, entry := range o.secrets {
		name, _, _ := strings.Cut(entry, "=")
		g.Secrets = append(g.Secrets, name)
	}
	slices.Sort(g.Secrets)
	return g, nil
}

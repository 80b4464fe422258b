package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/runtime/wasm"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

func (a *app) moduleCommand() *cobra.Command {
	cmd := a.group(&cobra.Command{
		Use:   "module",
		Short: "Write, build and try out WASM modules",
		Example: `  elasticjob module new orders
  elasticjob module build orders
  elasticjob module run orders/orders.wasm --total 4`,
	})
	cmd.AddCommand(a.moduleNewCommand(), a.moduleBuildCommand(), a.moduleInspectCommand(), a.moduleRunCommand())
	return cmd
}

// wasmHost makes a host for modules that keeps compiled ones where nodes do.
// Without a data directory they are not kept, which costs time only.
func (a *app) wasmHost(ctx context.Context) (*wasm.Host, error) {
	dir := a.dataDir
	if dir == "" {
		dir, _ = config.DefaultDataDir(a.LookupEnv)
	}
	c := wasm.Config{LookupEnv: a.LookupEnv, Logger: a.logger}
	if dir != "" {
		dir, err := absolute(dir)
		if err != nil {
			return nil, err
		}
		c.CacheDir = filepath.Join(dir, "cache", "wasm")
	}
	host, err := wasm.New(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("preparing to load modules: %w", err)
	}
	return host, nil
}

// addMemoryFlag adds the flag that memoryLimit reads.
func addMemoryFlag(flags *pflag.FlagSet, to *string) {
	flags.StringVar(to, "memory", "", "memory that the module may have, as a `size` such as 64MiB (default: 256MiB)")
}

// memoryLimit reads the flag, 0 when it is not given.
func memoryLimit(cmd *cobra.Command, text string) (int64, error) {
	if !cmd.Flags().Changed("memory") {
		return 0, nil
	}
	const least, most = 64 << 10, 4 << 30
	limit, err := props.ParseSize(text)
	if err != nil || limit < least || limit > most {
		return 0, usagef(cmd, "--memory %q is no memory limit: write a size from 64KiB to 4GiB", text)
	}
	return limit, nil
}

// withHost calls do with a host for modules and a context that signals end.
func (a *app) withHost(ctx context.Context, do func(context.Context, *wasm.Host) error) (err error) {
	ctx, stop := interruptible(ctx)
	defer stop()
	host, err := a.wasmHost(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close(context.WithoutCancel(ctx))) }()
	return do(ctx, host)
}

// moduleProblem tells a module that is wrong, which is invalid input, from a
// failure to load it.
func moduleProblem(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("loading %s: interrupted", path)
	}
	var coded *spi.Error
	if errors.As(err, &coded) && (coded.Code == spi.CodeInternal || coded.Code == spi.CodeUnavailable) {
		return err
	}
	return invalid(config.Problem{File: path, Rule: ruleModule, Message: withoutPath(path, err)}, "")
}

// withoutPath returns the text of err without the path, with which it may begin,
// and which errors about files repeat.
func withoutPath(path string, err error) string {
	text := err.Error()
	if e, ok := errors.AsType[*fs.PathError](err); ok && e.Path == path {
		text = strings.Replace(text, e.Error(), e.Err.Error(), 1)
	}
	if prefix := path + ": "; len(text) > len(prefix) && text[:len(prefix)] == prefix {
		return text[len(prefix):]
	}
	return text
}

func absolute(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("finding the working directory: %w", err)
	}
	return abs, nil
}

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/runtime/wasm"
	"github.com/elasticjob-go/elasticjob/spi"
)

type moduleBuildOptions struct {
	out     string
	command bool
	reactor bool
}

func (a *app) moduleBuildCommand() *cobra.Command {
	var o moduleBuildOptions
	cmd := &cobra.Command{
		Use:   "build [DIR]",
		Short: "Build a module from Go or C source",
		Long: `Build the program in DIR, or in the working directory, as a WASM module, and
check the result as a node would. Go needs the go command; the files of a
program in C are compiled together with clang for wasm32-wasi.

A program that uses the SDK becomes a reactor, which describes its types; any
other becomes a command. --command and --reactor say it outright.`,
		Example: "  elasticjob module build orders --out modules/orders.wasm",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef(cmd, "there is no place for %q: one directory is built at a time", args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			if o.command && o.reactor {
				return usagef(cmd, "--command and --reactor exclude each other")
			}
			return a.withHost(cmd.Context(), func(ctx context.Context, host *wasm.Host) error {
				return a.moduleBuild(ctx, cmd, host, dir, o)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.out, "out", "", "`file` to write (default: DIR/NAME.wasm, by the name of DIR)")
	flags.BoolVar(&o.command, "command", false, "build a command, which runs main for every item")
	flags.BoolVar(&o.reactor, "reactor", false, "build a reactor, which exports the functions of the ABI")
	return cmd
}

// moduleBuildResult is the document of module build. Size is in bytes.
type moduleBuildResult struct {
	File   string   `json:"file"`
	Shape  string   `json:"shape"`
	Types  []string `json:"types"`
	Size   int64    `json:"size"`
	SHA256 string   `json:"sha256"`
}

func (a *app) moduleBuild(ctx context.Context, cmd *cobra.Command, host *wasm.Host, dir string, o moduleBuildOptions) error {
	abs, err := absolute(dir)
	if err != nil {
		return err
	}
	if info, err := os.Stat(abs); err != nil || !info.IsDir() {
		return usagef(cmd, "%s is no directory: name the directory of a Go program", dir)
	}
	out := o.out
	if out == "" {
		out = filepath.Join(dir, moduleFile(abs))
	}
	if err := o.compile(ctx, cmd, abs, dir, out); err != nil {
		return err
	}
	built, err := inspect(ctx, host, spi.LoadRequest{Path: out})
	if err != nil {
		return err
	}
	result := moduleBuildResult{File: out, Shape: built.Shape, Types: []string{}, Size: built.Size, SHA256: built.SHA256}
	for _, p := range built.Plugins {
		result.Types = append(result.Types, p.Type)
	}
	return a.print(result, func(w io.Writer) {
		t := newTable(w)
		t.row("file", result.File)
		t.row("shape", result.Shape)
		t.row("size", strconv.FormatInt(result.Size, 10)+" bytes")
		t.row("sha256", result.SHA256)
		t.row("use it by", usedBy(built))
		t.flush()
	})
}

// compile builds the program of a directory, in whichever language it is.
func (o moduleBuildOptions) compile(ctx context.Context, cmd *cobra.Command, dir, shown, out string) error {
	sources, err := filepath.Glob(filepath.Join(dir, "*.c"))
	if err != nil {
		return fmt.Errorf("looking for sources: %w", err)
	}
	programs, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return fmt.Errorf("looking for sources: %w", err)
	}
	if len(sources) > 0 && len(programs) > 0 {
		return usagef(cmd, "%s holds programs in C and in Go: keep them in directories of their own", shown)
	}
	if len(sources) > 0 {
		clang, err := findClang()
		if err != nil {
			return err
		}
		b := cBuilder{builder{tool: clang, dir: dir, shown: shown}, sources}
		return b.build(ctx, out, o.reactor || !o.command && b.includesSDK())
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return errors.New("building a module needs the go command, which is not on PATH: install Go from https://go.dev/dl and try again")
	}
	b := goBuilder{builder{tool: goTool, dir: dir, shown: shown}}
	reactor := o.reactor
	if !o.command && !o.reactor {
		if reactor, err = b.importsSDK(ctx); err != nil {
			return err
		}
	}
	return b.build(ctx, out, reactor)
}

// moduleFile returns the name of the module built in a directory.
func moduleFile(dir string) string {
	name := moduleName(filepath.Base(dir))
	if name == "" {
		name = "module"
	}
	return name + ".wasm"
}

// builder runs a compiler on the program in a directory.
type builder struct {
	tool string
	// dir is absolute; shown is how the caller writes it.
	dir, shown string
}

// goBuilder builds programs in Go.
type goBuilder struct{ builder }

// importsSDK says whether the program imports the SDK.
func (b goBuilder) importsSDK(ctx context.Context) (bool, error) {
	deps, err := b.run(ctx, "list", "-deps", "-f", "{{.ImportPath}}", ".")
	if err != nil {
		return false, err
	}
	return slices.Contains(strings.Fields(deps), modulePath+"/sdk"), nil
}

func (b goBuilder) build(ctx context.Context, out string, reactor bool) error {
	abs, err := absolute(out)
	if err != nil {
		return err
	}
	args := []string{"build", "-trimpath", "-ldflags", "-s -w", "-o", abs}
	if reactor {
		args = append(args, "-buildmode=c-shared")
	}
	_, err = b.run(ctx, append(args, ".")...)
	return err
}

// run runs the compiler, the go command for wasip1, and returns what it prints.
// An interrupted one gets some seconds to remove its temporary files.
func (b builder) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, b.tool, args...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch {
	case err == nil:
		return stdout.String(), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("building %s: interrupted", b.shown)
	default:
		return "", b.failure(stderr.String(), err)
	}
}

// failure turns what a compiler says into problems, with places where it names
// some.
func (b builder) failure(text string, cause error) error {
	const most = 100
	place := regexp.MustCompile(`^(\S[^:]*):(\d+):(\d+): (?:fatal error: |error: )?(.+)$`)
	var problems config.Problems
	var rest []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		m := place.FindStringSubmatch(line)
		if m == nil {
			rest = append(rest, line)
			continue
		}
		row, _ := strconv.Atoi(m[2])
		column, _ := strconv.Atoi(m[3])
		problems = append(problems, config.Problem{File: filepath.Join(b.shown, m[1]), Line: row, Column: column, Rule: ruleBuild, Message: m[4]})
	}
	if len(problems) == 0 {
		message := strings.TrimSpace(strings.Join(rest[:min(len(rest), most)], "\n"))
		if message == "" {
			message = filepath.Base(b.tool) + " failed: " + cause.Error()
		}
		problems = config.Problems{{File: b.shown, Rule: ruleBuild, Message: message}}
	}
	return &problemsError{problems: problems[:min(len(problems), most)], status: exitFailed, next: "The module was not built."}
}

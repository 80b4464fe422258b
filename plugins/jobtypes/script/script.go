// Package script is the job type SCRIPT: it runs a program, in any language, for
// each item. The program is run as it is or by a shell, in a process group of its
// own that ends with the call, and learns its sharding context from its last
// argument and from its environment.
package script

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/internal/reaper"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/ops"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the job type in config.
const Type = "SCRIPT"

// The properties of the job type.
const (
	PropCommandLine = "script.command.line"
	PropShell       = "script.shell"
	PropDirectory   = "script.directory"
	PropEnv         = "script.env"
	PropKillGrace   = "script.kill.grace"
	PropLimitMemory = "script.limit.memory"
	PropLimitCPU    = "script.limit.cpu"
)

// prefixEnv begins the properties that set a variable each.
const prefixEnv = PropEnv + "."

// Plugin returns the job type. Its implementation is safe for concurrent use and
// implements [spi.Closer]: on Unix the jobs of one Plugin share a small process
// that ends their scripts should the node die.
func Plugin() spi.Plugin {
	shared := &reapers{}
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:        spi.KindJobType,
			Type:        Type,
			Version:     "1",
			Description: "Runs a program or a script in any language; its exit status 0 is success.",
			Props: props.Schema{
				{Name: PropCommandLine, Type: props.String, Required: true, Description: "program and arguments, or with script.shell the commands; the context is added as the last argument", Example: "bin/clean --days 7"},
				{Name: PropShell, Type: props.Bool, Default: "false", Description: "let a shell run the command line"},
				{Name: PropDirectory, Type: props.Path, Default: ".", Description: "working directory, in which a relative path of the program begins too"},
				{Name: PropEnv, Type: props.List, Description: "names of variables of the node that are passed on, besides a few harmless ones", Example: "JAVA_HOME,ORACLE_SID"},
				{Name: prefixEnv + "*", Type: props.String, Secret: true, Description: "a variable by its name and its value"},
				{Name: PropKillGrace, Type: props.Duration, Default: "1s", Min: "0s", Max: "1m", Description: "how long what a timeout has asked to end may take; at most 1s when the node stops or has lost its lease"},
				{Name: PropLimitMemory, Type: props.Size, Min: "1MiB", Description: "memory that a process of the script may have, on Linux", Example: "512MiB"},
				{Name: PropLimitCPU, Type: props.Duration, Min: "1s", Description: "time of the CPU that a process of the script may use, in whole seconds, not on Windows", Example: "10m"},
			},
		},
		JobType: func(_ context.Context, values props.Values) (spi.JobType, error) {
			j, err := newJob(values)
			if err != nil {
				return nil, err
			}
			j.reapers = shared
			j.reaper = shared.acquire()
			return j, nil
		},
	}
}

// job is one job's way to run its program.
type job struct {
	shell     bool
	line      string   // with a shell
	arguments []string // without; the first is the program
	directory string
	environ   []string
	grace     time.Duration
	limits    limits
	reapers   *reapers
	reaper    *reaper.Reaper
}

var (
	_ spi.JobType = (*job)(nil)
	_ spi.Closer  = (*job)(nil)
)

func newJob(values props.Values) (*job, error) {
	j := &job{
		shell:     values.Bool(PropShell),
		line:      values.String(PropCommandLine),
		directory: values.String(PropDirectory),
		grace:     values.Duration(PropKillGrace),
		limits:    limits{memory: values.Size(PropLimitMemory), cpu: values.Duration(PropLimitCPU)},
	}
	if strings.Contains(j.line, "\x00") {
		return nil, invalid(PropCommandLine, "holds a NUL byte, which no argument can have")
	}
	if strings.TrimSpace(j.line) == "" {
		return nil, invalid(PropCommandLine, "is empty")
	}
	if !j.shell {
		var err error
		if j.arguments, err = split(j.line); err != nil {
			return nil, invalid(PropCommandLine, err.Error())
		}
		if j.arguments[0] == "" {
			return nil, invalid(PropCommandLine, "begins with an empty word instead of a program")
		}
	}
	if err := j.limits.check(); err != nil {
		return nil, err
	}
	var err error
	if j.directory, err = filepath.Abs(j.directory); err != nil {
		return nil, fmt.Errorf("finding the working directory: %w", err)
	}
	j.environ, err = environment(values)
	return j, err
}

func invalid(property, why string) *spi.Error {
	return &spi.Error{Code: spi.CodeInvalidProperties, Property: property, Message: property + " " + why}
}

// Execute runs the program for one item. It returns when the program has ended
// and, unless they have left its process group, all that it has started.
func (j *job) Execute(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	if ctx.Err() != nil {
		return spi.ExecuteResponse{}, context.Cause(ctx)
	}
	visible := req.Context
	visible.Props = visibleProps(req.Context.Props)
	text := string(ops.ContextJSON(visible))
	if len(varContext)+1+len(text) > maxArgument {
		return spi.ExecuteResponse{}, spi.NewError(spi.CodeTooLarge, "the context is larger than an argument can be on this system")
	}
	cmd, err := j.command(text)
	if err != nil {
		return spi.ExecuteResponse{}, err
	}
	cmd.Env = append(append(cmd.Env, j.environ...), contextVariables(req.Context, text)...)
	out := newOutput(func(r spi.LogRecord) {
		if req.Services != nil {
			req.Services.Log(ctx, r)
		}
	})
	run := &run{cmd: cmd, group: newGroup(cmd), reaper: j.reaper, out: out, grace: j.grace}
	if err := run.start(); err != nil {
		return spi.ExecuteResponse{}, j.explain(cmd, err)
	}
	interrupted := run.wait(ctx)
	switch {
	case cmd.ProcessState.Success():
		return spi.ExecuteResponse{}, nil
	case interrupted:
		return spi.ExecuteResponse{}, context.Cause(ctx)
	default:
		return spi.ExecuteResponse{}, j.failure(cmd.ProcessState, out)
	}
}

// Close says that no script of the job runs any more.
func (j *job) Close(context.Context) error {
	j.reapers.release()
	return nil
}

// visibleProps leaves out of the context what may be a secret: every user of the
// machine can read the arguments of a program. Other plugins of the job have
// properties, too.
func visibleProps(values props.Values) props.Values {
	visible := maps.Clone(values)
	maps.DeleteFunc(visible, func(name, _ string) bool {
		return !strings.HasPrefix(name, "script.") || strings.HasPrefix(name, prefixEnv)
	})
	return visible
}

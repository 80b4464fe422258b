// Package elasticjob is a distributed job platform as a library: jobs fire on
// a cron, an interval or at an instant, are cut into sharding items, and the
// items run on the nodes that share a registry center.
//
// A program makes or reads a configuration, makes a node of it, and starts it:
//
//	config, problems := elasticjob.LoadFile("elasticjob.yaml")
//	// report problems, if any
//	node, err := elasticjob.New(ctx, config, elasticjob.WithFunc("reports", writeReports))
//	// handle err
//	err = node.Start(ctx)
//
// [Run] does that for as long as a context, and [RunLocal] runs items of a job
// without a node. Jobs are functions of the program, see [WithFunc], types of
// plugin files, or plugins of the program, which are values of package spi; package
// sdk makes them of functions.
//
// A node has no global state, handles no signal, ends no process and logs to
// nobody but its logger; docs/embedding.md says what it does to the program around
// it. All functions and methods are safe for concurrent use.
//
// This package joins what the others offer: the engine of core/host, the hosts
// of plugin files of runtime/wasm and runtime/process, and the built-in plugins.
package elasticjob

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/host"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/function"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Version is the version of this package and of the elasticjob command.
const Version = "0.1.0"

// Config is the configuration of a node. It comes from [LoadFile], or from
// [Defaults] and code.
type Config = config.Config

// Problem is one thing wrong with a configuration, with its place and rule.
type Problem = config.Problem

// Problems are all things wrong with a configuration. They are the error of
// [New] when a configuration cannot be used.
type Problems = config.Problems

// Defaults returns the configuration of a node without plugins and jobs.
func Defaults() Config {
	c := config.Defaults()
	if dir, ok := config.DefaultDataDir(os.LookupEnv); ok {
		c.DataDir = dir
	}
	return c
}

// LoadFile reads a configuration file and returns everything that is wrong
// with it in itself; [Lint] and [New] find that as well, and what only shows
// with its plugins.
func LoadFile(path string) (Config, []Problem) {
	c, problems := config.Load(path, os.LookupEnv)
	return c, problems
}

// Option changes how a node is made.
type Option func(*settings)

type settings struct {
	logger  *slog.Logger
	plugins []spi.Plugin
	note    func(Problem)
	// functions and dataflows are those of the embedding program, wrong is what is
	// wrong with them.
	functions, dataflows function.Set
	wrong                Problems
	observers            []Observer
	// lookupEnv is what plugins see of the environment, as far as it is granted.
	lookupEnv func(name string) (string, bool)
	// exit ends the program, nil if the program does not do that.
	exit func()
	// lint says that nothing is to be changed on disk, offline that no program is
	// to be started.
	lint, offline bool
}

// WithLogger makes the node log to the logger. Without it a node logs nothing.
func WithLogger(logger *slog.Logger) Option {
	return func(s *settings) { s.logger = logger }
}

// WithPlugins adds plugins of the embedding program to the built-in ones.
func WithPlugins(plugins ...spi.Plugin) Option {
	return func(s *settings) { s.plugins = append(s.plugins, plugins...) }
}

// WithNotes hands remarks that are no problems to a function: a plugin that
// wants what it is not granted, or what is left open offline. The function is
// called by the goroutine that calls Lint, New or Plugins. Remarks about the
// file itself are in the Notes of its Config.
func WithNotes(note func(Problem)) Option {
	return func(s *settings) { s.note = note }
}

// WithExit says how the program ends at once, for onZombie: exit in the
// configuration, without which nothing calls it: code of an item runs on although
// its lease was lost and it was cancelled. The function need not return, and must
// not wait for the node, which that code holds up.
func WithExit(exit func()) Option {
	return func(s *settings) { s.exit = exit }
}

func newSettings(options []Option) settings {
	s := settings{logger: slog.New(slog.DiscardHandler), note: func(Problem) {}, lookupEnv: os.LookupEnv}
	for _, option := range options {
		option(&s)
	}
	return s
}

// Lint returns everything that is wrong with a configuration, sorted by place.
// Modules are compiled and described in a sandbox without grants, and programs
// are started to describe themselves, which offline leaves out: then a type that
// nobody declares is a remark as long as there is a program which may bring it.
// No registry is reached, no job code runs, and nothing is written to disk.
func Lint(ctx context.Context, c Config, offline bool, options ...Option) []Problem {
	s := newSettings(options)
	s.lint, s.offline = true, offline
	node, problems := assemble(ctx, c, s)
	node.close(ctx)
	return problems
}

// Node is one node of a fleet. Its methods are safe for concurrent use.
type Node struct {
	settings settings
	config   Config // of the start
	host     *host.Host
	runtimes *runtimes
	logger   *slog.Logger

	// reloading lets one reload come after the other, and guards the files that
	// are loaded.
	reloading sync.Mutex
	files     []loadedFile
	// retiring are files of former configurations that are still used.
	retiring sync.WaitGroup

	closing sync.Once
}

// New makes a node, not started, of a configuration. When the configuration
// cannot be used, the error is [Problems]. The caller stops the node, also one
// that was never started.
func New(ctx context.Context, c Config, options ...Option) (*Node, error) {
	s := newSettings(options)
	node, problems := assemble(ctx, c, s)
	if c.OnZombie == config.ZombieExit && s.exit == nil {
		problems = append(problems, c.Problem(job.RuleNotAvailable, "onZombie cannot be exit in a program that does not say how it ends: give WithExit", "onZombie"))
	}
	if len(problems) > 0 {
		node.close(ctx)
		return nil, problems.Sort()
	}
	return node, nil
}

// Start registers the node, stores its jobs and starts firing them. It returns
// when the node is up.
func (n *Node) Start(ctx context.Context) error { return n.host.Start(ctx) }

// Stop stops firing, lets running items end within the grace of the
// configuration, then cancels them. When ctx ends, they are cancelled at once.
// A node that was stopped does not start again.
func (n *Node) Stop(ctx context.Context) error {
	err := n.host.Stop(ctx)
	n.close(context.WithoutCancel(ctx))
	return err
}

// Instance returns the id by which other nodes know this one.
func (n *Node) Instance() string { return n.host.Instance() }

// closeTimeout bounds how long plugins may take to end.
const closeTimeout = 10 * time.Second

func (n *Node) close(ctx context.Context) {
	n.closing.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, closeTimeout)
		defer cancel()
		n.reloading.Lock()
		defer n.reloading.Unlock()
		if n.host != nil {
			n.host.Close(ctx)
		}
		n.retiring.Wait()
		closeFiles(ctx, n.files, n.logger)
		if n.runtimes != nil {
			n.runtimes.close(ctx)
		}
	})
}

// assemble makes the parts of a node. A node that comes with problems is to be
// closed, not used.
func assemble(ctx context.Context, c Config, s settings) (*Node, Problems) {
	problems := c.Validate()
	n := &Node{settings: s, config: c, logger: s.logger}
	if !c.Readable() {
		return n, problems
	}
	own := gapsOf(c, problems)
	var wrong Problems
	n.runtimes, wrong = newRuntimes(ctx, c, s)
	problems = append(problems, wrong...)
	if n.runtimes == nil {
		return n, problems.Sort()
	}
	loaded := n.runtimes.load(ctx, c, s, nil)
	n.files = loaded.files
	problems = append(problems, loaded.problems...)
	own.refused, own.unstarted = loaded.refused, loaded.unstarted

	h, wrong := host.New(ctx, host.Config{
		Node: c, Catalog: loaded.catalog, Calls: n.runtimes.calls, Logger: s.logger, Version: Version, LocalZone: host.LocalZone, Exit: s.exit,
	})
	n.host = h
	if h != nil {
		s.observe(h.Events())
	}
	for _, p := range wrong {
		switch {
		case own.explain(p):
		case own.excuse(p):
			s.note(Problem{
				File: p.File, Line: p.Line, Column: p.Column, Rule: p.Rule,
				Message: p.Message + "; it may come from " + own.unstarted + ", not started offline",
			})
		default:
			problems = append(problems, p)
		}
	}
	return n, problems.Sort()
}

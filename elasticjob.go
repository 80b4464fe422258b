// Package elasticjob is a distributed job platform as a library: jobs fire on
// a cron, an interval or at an instant, are cut into sharding items, and the
// items run on the nodes that share a registry center.
//
// A program reads a configuration, makes a node of it, and starts it:
//
//	config, problems := elasticjob.LoadFile("elasticjob.yaml")
//	// report problems, if any
//	node, err := elasticjob.New(ctx, config, elasticjob.WithPlugins(reports))
//	// handle err
//	err = node.Start(ctx)
//
// This package joins what the others offer: the engine of core/host, the WASM
// runtime of runtime/wasm and the built-in plugins of plugins/builtin. Plugins
// of an embedding program are values of package spi.
package elasticjob

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/host"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/runtime/wasm"
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
	// lint says that nothing is to be changed on disk.
	lint bool
}

// WithLogger makes the node log to the logger. Without it a node logs nothing.
func WithLogger(logger *slog.Logger) Option {
	return func(s *settings) { s.logger = logger }
}

// WithPlugins adds plugins of the embedding program to the built-in ones.
func WithPlugins(plugins ...spi.Plugin) Option {
	return func(s *settings) { s.plugins = append(s.plugins, plugins...) }
}

func newSettings(options []Option) settings {
	s := settings{logger: slog.New(slog.DiscardHandler)}
	for _, option := range options {
		option(&s)
	}
	return s
}

// Lint returns everything that is wrong with a configuration, sorted by place.
// Modules are compiled and described in a sandbox without grants; no registry
// is reached, no job code runs, and nothing is written to disk. offline leaves
// out what would start processes, of which this version has none.
func Lint(ctx context.Context, c Config, offline bool, options ...Option) []Problem {
	_ = offline
	s := newSettings(options)
	s.lint = true
	node, problems := assemble(ctx, c, s)
	node.close(ctx)
	return problems
}

// Node is one node of a fleet. Its methods are safe for concurrent use.
type Node struct {
	host    *host.Host
	runtime *wasm.Host
	bundles []*spi.Bundle
	logger  *slog.Logger

	closing sync.Once
}

// New makes a node, not started, of a configuration. When the configuration
// cannot be used, the error is [Problems]. The caller stops the node, also one
// that was never started.
func New(ctx context.Context, c Config, options ...Option) (*Node, error) {
	node, problems := assemble(ctx, c, newSettings(options))
	if len(problems) > 0 {
		node.close(ctx)
		return nil, problems
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
		if n.host != nil {
			n.host.Close(ctx)
		}
		for _, b := range n.bundles {
			if err := b.Close(ctx); err != nil {
				n.logger.Warn("plugin not closed", "plugin", b.Provenance.String(), "err", err)
			}
		}
		if n.runtime != nil {
			if err := n.runtime.Close(ctx); err != nil {
				n.logger.Warn("module runtime not closed", "err", err)
			}
		}
	})
}

// assemble makes the parts of a node. A node that comes with problems is to be
// closed, not used.
func assemble(ctx context.Context, c Config, s settings) (*Node, Problems) {
	problems := c.Validate()
	n := &Node{logger: s.logger}
	if !c.Readable() {
		return n, problems
	}
	own := gapsOf(c, problems)
	runtime, err := newRuntime(ctx, c, s)
	if err != nil {
		problems = append(problems, dataDirProblem(c, err))
		// The modules are to be looked at all the same.
		if runtime, err = wasm.New(ctx, wasm.Config{Logger: s.logger}); err != nil {
			return n, append(problems, Problem{File: c.File, Rule: "failed", Message: err.Error()}).Sort()
		}
	}
	n.runtime = runtime

	plugins := catalog.New()
	add := func(from spi.Provenance, added []spi.Plugin, path ...string) {
		if err := plugins.Add(from, added...); err != nil {
			problems = append(problems, c.Problem("conflict", err.Error(), path...))
		}
	}
	add(spi.Provenance{Host: "built-in"}, builtin.All())
	add(spi.Provenance{Host: "built-in"}, []spi.Plugin{runtime.JobType(func(module string) spi.LoadRequest { return termsOf(c, module) })})
	add(spi.Provenance{Host: "embedding program"}, s.plugins)
	loaded := make(map[string]bool)
	for i, p := range c.Plugins {
		if p.File == "" || loaded[p.File] {
			continue // among the problems of c itself
		}
		loaded[p.File] = true
		path := []string{"plugins", strconv.Itoa(i), "wasm"}
		bundle, err := runtime.Load(ctx, loadRequest(p))
		if err != nil {
			problems = append(problems, c.Problem(host.RulePlugin, err.Error(), path...))
			own.refused = append(own.refused, err.Error())
			continue
		}
		n.bundles = append(n.bundles, bundle)
		add(bundle.Provenance, bundle.Plugins, path...)
	}

	h, wrong := host.New(ctx, host.Config{Node: c, Catalog: plugins, Logger: s.logger, Version: Version, LocalZone: host.LocalZone})
	n.host = h
	return n, append(problems, slices.DeleteFunc(wrong, own.explain)...).Sort()
}

// newRuntime makes the runtime for modules, with the compile cache of the data
// directory if there is one.
func newRuntime(ctx context.Context, c Config, s settings) (*wasm.Host, error) {
	cache := ""
	if c.DataDir != "" {
		cache = filepath.Join(c.DataDir, "cache", "wasm")
	}
	return wasm.New(ctx, wasm.Config{CacheDir: cache, CacheReadOnly: s.lint, Logger: s.logger})
}

// dataDirProblem blames the file only for a directory that the file names.
func dataDirProblem(c Config, err error) Problem {
	if c.Has("dataDir") {
		return c.Problem("file", "dataDir cannot be used: "+err.Error(), "dataDir")
	}
	return Problem{Rule: "file", Message: fmt.Sprintf("the data directory %s cannot be used: %s", c.DataDir, err)}
}

func loadRequest(p config.Plugin) spi.LoadRequest {
	p = p.Sound()
	return spi.LoadRequest{
		Path: p.File, SHA256: p.SHA256, Isolation: spi.Isolation(p.Isolation),
		Limits: spi.Limits{Memory: p.Limits.Memory, Timeout: p.Limits.Timeout},
	}
}

// termsOf returns how a module that a job names is loaded: on the terms of the
// plugins entry that names the same file, else on the defaults.
func termsOf(c Config, module string) spi.LoadRequest {
	file := c.Resolve(module)
	for _, p := range c.Plugins {
		if p.File == file {
			return loadRequest(p)
		}
	}
	return spi.LoadRequest{Path: file}
}

// gaps are the places of a configuration that are known to be wrong, so that
// what follows from them is not a problem of its own.
type gaps struct {
	// values are where a value is wrong, sections where a job or its properties
	// begin: a problem there is of something missing, and says what.
	values, sections map[place]bool
	// names are quoted type names that are malformed or missing.
	names []string
	// refused are what was said of modules under plugins, which jobs name too.
	refused []string
}

type place struct{ line, column int }

func gapsOf(c Config, problems Problems) gaps {
	g := gaps{values: make(map[place]bool), sections: make(map[place]bool)}
	for _, p := range problems {
		g.values[place{p.Line, p.Column}] = true
	}
	for _, j := range c.Jobs {
		for name := range j.Props {
			if path := []string{"jobs", j.Name, "props", name}; c.Broken(path...) {
				p := c.Problem("", "", path...)
				g.values[place{p.Line, p.Column}] = true
			}
		}
		for _, path := range [][]string{{"jobs", j.Name}, {"jobs", j.Name, "props"}} {
			at := c.At(path...)
			g.values[place{at.Line, at.Column}] = c.Broken(path...)
			g.sections[place{at.Line, at.Column}] = !c.Broken(path...)
		}
		for _, name := range append([]string{j.Type, j.ShardingStrategyType}, j.ErrorHandlerTypes...) {
			if !job.IsType(name) {
				g.names = append(g.names, strconv.Quote(name))
			}
		}
	}
	g.values[place{}] = false // of a configuration without a file
	return g
}

// explain says whether a problem that the engine finds follows from another one.
func (g gaps) explain(p Problem) bool {
	if p.Rule == host.RuleUnknownType {
		return slices.ContainsFunc(g.names, func(name string) bool { return strings.Contains(p.Message, " "+name+";") })
	}
	at := place{p.Line, p.Column}
	return g.values[at] && !g.sections[at] ||
		slices.ContainsFunc(g.refused, func(said string) bool { return strings.HasSuffix(p.Message, said) })
}

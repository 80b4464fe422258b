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
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/host"
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
// with it in itself; [Lint] and [New] find what only shows with its plugins.
func LoadFile(path string) (Config, []Problem) {
	c, problems := config.Load(path, os.LookupEnv)
	return c, problems
}

// Option changes how a node is made.
type Option func(*settings)

type settings struct {
	logger  *slog.Logger
	plugins []spi.Plugin
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
// is reached and no job code runs. offline leaves out what would start
// processes, of which this version has none.
func Lint(ctx context.Context, c Config, offline bool, options ...Option) []Problem {
	_ = offline
	s := newSettings(options)
	node, problems := assemble(ctx, c, s)
	if node != nil {
		node.close(ctx)
	}
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
		if node != nil {
			node.close(ctx)
		}
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
	cache := ""
	if c.DataDir != "" {
		cache = filepath.Join(c.DataDir, "cache", "wasm")
	}
	runtime, err := wasm.New(ctx, wasm.Config{CacheDir: cache, Logger: s.logger})
	if err != nil {
		return n, append(problems, c.Problem("file", err.Error(), "dataDir")).Sort()
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
	for i, p := range c.Plugins {
		path := []string{"plugins", strconv.Itoa(i), "wasm"}
		bundle, err := runtime.Load(ctx, loadRequest(p))
		if err != nil {
			problems = append(problems, c.Problem(host.RulePlugin, err.Error(), path...))
			continue
		}
		n.bundles = append(n.bundles, bundle)
		add(bundle.Provenance, bundle.Plugins, path...)
	}

	h, wrong := host.New(ctx, host.Config{Node: c, Catalog: plugins, Logger: s.logger, Version: Version, LocalZone: host.LocalZone})
	n.host = h
	return n, distinct(append(problems, wrong...)).Sort()
}

func loadRequest(p config.Plugin) spi.LoadRequest {
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

// distinct drops a plugin problem that says what another one said before: one
// broken module may be named by an entry and by many jobs.
func distinct(problems Problems) Problems {
	said := make(map[string]bool)
	kept := problems[:0]
	for _, p := range problems {
		if p.Rule == host.RulePlugin {
			if said[p.Message] {
				continue
			}
			said[p.Message] = true
		}
		kept = append(kept, p)
	}
	return kept
}

package plugintest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/elasticjob-go/elasticjob/runtime/process"
	"github.com/elasticjob-go/elasticjob/runtime/wasm"
	"github.com/elasticjob-go/elasticjob/spi"
)

// The kinds of hosts, and the names of their tests.
const (
	Process = "process"
	Module  = "wasm"
)

// Option changes how the plugin is loaded and tested.
type Option func(*options)

type options struct {
	env       map[string]string
	grants    spi.Grants
	isolation spi.Isolation
	limits    spi.Limits
	samples   []sample
	hosts     []string
}

// WithEnv grants environment variables with these values. A plugin sees no other
// ones.
func WithEnv(variables map[string]string) Option {
	return func(o *options) { o.env = variables }
}

// WithDirs grants a module these directories. A process has those of its user
// anyway.
func WithDirs(dirs ...spi.Dir) Option {
	return func(o *options) { o.grants.Dirs = dirs }
}

// WithClock says which wall clock and random numbers a module has.
func WithClock(clock spi.ClockGrant, random spi.RandomGrant) Option {
	return func(o *options) { o.grants.Clock, o.grants.Random = clock, random }
}

// WithIsolation says what of a module outlives a call; without it, nothing does.
func WithIsolation(i spi.Isolation) Option { return func(o *options) { o.isolation = i } }

// WithLimits bounds the plugin. The memory is that of a module.
func WithLimits(l spi.Limits) Option { return func(o *options) { o.limits = l } }

// WithHosts leaves out the other hosts, for a plugin that cannot run in them:
// [Process] or [Module].
func WithHosts(kinds ...string) Option { return func(o *options) { o.hosts = kinds } }

// WithSample adds a call that Each makes on every host. What it returns, the log
// and the host operations must be the same on all. Both hosts get services that
// answer as prepare says, which may be nil.
func WithSample(name string, prepare func(*Services), call func(t *testing.T, h *Host, s *Services) (response any, err error)) Option {
	return func(o *options) { o.samples = append(o.samples, sample{name, prepare, call}) }
}

// Each builds the main package in dir, which calls sdk.Main, as a program and as
// a module, and calls run in a test of each host, after the conformance checks of
// the host.
// The go command must be there. Files are made in the test's own directory.
func Each(t *testing.T, dir string, run func(t *testing.T, h *Host), change ...Option) {
	t.Helper()
	o := options{hosts: []string{Process, Module}}
	for _, option := range change {
		option(&o)
	}
	var hosts []*Host
	for _, kind := range []string{Process, Module} {
		if slices.Contains(o.hosts, kind) {
			hosts = append(hosts, load(t, kind, dir, o))
		}
	}
	if len(hosts) == 0 {
		t.Fatalf("no host is left to test on of %q", o.hosts)
	}
	for _, h := range hosts {
		t.Run(h.kind, func(t *testing.T) {
			t.Run("conformance", func(t *testing.T) { checkAll(t, h) })
			run(t, h)
		})
	}
	if first := hosts[0]; len(hosts) > 1 {
		t.Run("the same", func(t *testing.T) {
			for _, other := range hosts[1:] {
				if diff := cmp.Diff(descriptors(first), descriptors(other), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("the plugins describe themselves differently (-%s +%s):\n%s", first.kind, other.kind, diff)
				}
				compareSamples(t, first, other, o.samples)
			}
		})
	}
}

func descriptors(h *Host) []spi.Descriptor {
	var all []spi.Descriptor
	for _, p := range h.plugins {
		all = append(all, p.Descriptor)
	}
	return all
}

// load builds the plugin for a host and loads it. All is closed with the test.
func load(t *testing.T, kind, dir string, o options) *Host {
	t.Helper()
	grants := o.grants
	for name := range o.env {
		grants.Env = append(grants.Env, name)
	}
	slices.Sort(grants.Env)
	req := spi.LoadRequest{Limits: o.limits, Grants: grants}
	lookup := func(name string) (string, bool) { value, ok := o.env[name]; return value, ok }
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	var loader spi.Loader
	switch kind {
	case Process:
		req.Path = build(t, dir, "plugin.exe", nil)
		// A process has no such terms.
		req.Limits.Memory, req.Grants.Dirs = 0, nil
		host := process.New(process.Config{LookupEnv: lookup, Logger: logger})
		closeAtEnd(t, "the host of processes", host.Close)
		loader = host
	default:
		req.Path = build(t, dir, "plugin.wasm", []string{"GOOS=wasip1", "GOARCH=wasm"}, "-buildmode=c-shared", "-ldflags", "-s -w")
		req.Isolation = o.isolation
		host, err := wasm.New(t.Context(), wasm.Config{LookupEnv: lookup, Logger: logger})
		if err != nil {
			t.Fatal(err)
		}
		closeAtEnd(t, "the host of modules", host.Close)
		loader = host
	}
	bundle, err := loader.Load(t.Context(), req)
	if err != nil {
		t.Fatalf("loading the plugin as %s: %v", kind, err)
	}
	if len(bundle.Plugins) == 0 {
		t.Fatalf("%s brings no plugins: call sdk.Register in a package variable", dir)
	}
	return &Host{kind: kind, plugins: bundle.Plugins}
}

func closeAtEnd(t *testing.T, what string, end func(context.Context) error) {
	t.Helper()
	t.Cleanup(func() {
		if err := end(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("closing %s: %v", what, err)
		}
	})
}

// build builds the main package in dir.
func build(t *testing.T, dir, name string, env []string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), name)
	cmd := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-o", out}, flags...), ".")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s as %s: %v\n%s", dir, name, err, text)
	}
	if _, err := exec.LookPath(out); filepath.Ext(name) == ".exe" && err != nil {
		t.Fatal(fmt.Errorf("%s is no main package: %w", dir, err))
	}
	return out
}

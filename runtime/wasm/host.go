package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/elasticjob-go/elasticjob/spi"
)

// Config is how a Host works. The zero value is usable.
type Config struct {
	// CacheDir keeps compiled modules between runs of the program. It holds
	// native code and is private: New makes it with mode 0700, and refuses
	// one that others can write to. Processes may share it. "" keeps compiled
	// modules in memory only.
	CacheDir string
	// CacheReadOnly uses what CacheDir has and changes nothing on disk. New then
	// fails for a directory that it could not make.
	CacheReadOnly bool
	// CacheBytes bounds the directory; what was not used for longest is
	// removed first. 0 is DefaultCacheBytes.
	CacheBytes int64
	// LookupEnv looks up the variables that are granted; nil knows none.
	LookupEnv func(name string) (string, bool)
	// Logger takes what modules write while they describe themselves, and
	// faults of the cache that cost time only. nil discards them.
	Logger *slog.Logger
}

// Host loads modules and runs them. It is safe for concurrent use.
type Host struct {
	logger    *slog.Logger
	lookupEnv func(string) (string, bool)
	programs  *programs

	mu      sync.Mutex
	modules map[*module]struct{} // loaded and not closed
	closed  bool
}

var _ spi.Loader = (*Host)(nil)

// New returns a Host. It starts nothing; Close frees what its modules hold.
func New(ctx context.Context, c Config) (*Host, error) {
	logger := c.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	o, crossings, err := listOffers(ctx)
	if err != nil {
		return nil, err
	}
	ps := &programs{interrupt: checkpoints{}, offers: o, crossings: crossings, logger: logger, startTimeout: startTimeout, bySHA: map[string]*held{}}
	if c.CacheDir != "" {
		if ps.cache, err = newDiskCache(c.CacheDir, c.CacheBytes, c.CacheReadOnly); err != nil {
			return nil, err
		}
	}
	lookupEnv := c.LookupEnv
	if lookupEnv == nil {
		lookupEnv = func(string) (string, bool) { return "", false }
	}
	return &Host{logger: logger, lookupEnv: lookupEnv, programs: ps, modules: map[*module]struct{}{}}, nil
}

// Load reads, checks and compiles a module file, and asks it for its plugins
// if it exports elasticjob_describe. A command, and a reactor without
// describe, bring none and are used through the job type of JobType.
//
// Of the grants those of variables, directories, clock and random numbers count
// here, those of operations in the services of each call. A granted directory
// must exist; a granted variable that does not is left out, and the values are
// those of now. A module that is loaded several times is compiled once. Errors
// begin with the path; most hold an [*spi.Error].
func (h *Host) Load(ctx context.Context, req spi.LoadRequest) (*spi.Bundle, error) {
	m, descriptors, err := h.load(ctx, req)
	if err != nil {
		return nil, err
	}
	bundle := &spi.Bundle{
		Provenance: spi.Provenance{Host: "wasm", Path: req.Path, SHA256: m.program.sha},
		Close:      func(ctx context.Context) error { return h.unload(ctx, m) },
	}
	for _, d := range descriptors {
		bundle.Plugins = append(bundle.Plugins, pluginOf(m, d))
	}
	return bundle, nil
}

// load returns the module and the plugins that it describes, nil if it does
// not describe any. The caller unloads it.
func (h *Host) load(ctx context.Context, req spi.LoadRequest) (*module, []spi.Descriptor, error) {
	m, err := h.open(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	if m.program.shape != ShapeReactor || !describes(m.program) {
		return m, nil, nil
	}
	descriptors, err := m.describe(ctx, h.logger)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", req.Path, err), h.unload(context.WithoutCancel(ctx), m))
	}
	return m, descriptors, nil
}

func (h *Host) open(ctx context.Context, req spi.LoadRequest) (*module, error) {
	t, err := termsOf(req, h.lookupEnv)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", req.Path, err)
	}
	f, err := readFile(req.Path, req.SHA256)
	if err != nil {
		return nil, err
	}
	p, release, err := h.programs.acquire(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", req.Path, err)
	}
	m := &module{path: req.Path, terms: t, program: p, release: release, slots: make(chan struct{}, t.concurrency), users: 1, freed: make(chan struct{})}
	m.instances = fresh{program: p, terms: t}
	if t.pooled {
		m.instances = newPooled(fresh{program: p, terms: t})
	}
	err = t.checkMemory(p.layout)
	if err == nil {
		err = h.add(m)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", req.Path, err), m.close(context.WithoutCancel(ctx)))
	}
	return m, nil
}

func (h *Host) add(m *module) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errClosed()
	}
	h.modules[m] = struct{}{}
	return nil
}

func (h *Host) unload(ctx context.Context, m *module) error {
	h.mu.Lock()
	delete(h.modules, m)
	h.mu.Unlock()
	return m.close(ctx)
}

// Close closes all modules that are still loaded, waiting for their running
// calls and for compilations until ctx ends. Afterwards nothing can be loaded.
// It may be called more than once.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	open := h.modules
	h.modules = map[*module]struct{}{}
	h.mu.Unlock()
	var errs []error
	for m := range open {
		errs = append(errs, m.close(ctx))
	}
	return errors.Join(append(errs, h.programs.close(ctx))...)
}

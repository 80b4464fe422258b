package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/internal/reaper"
	"github.com/elasticjob-go/elasticjob/spi"
)

// defaultConcurrency is how many calls of a program run at once, unless its
// limits say otherwise.
const defaultConcurrency = 256

// Config is how a Host works. The zero value is usable.
type Config struct {
	// TempDir takes the sockets of programs and the copies of scripts, in a
	// private directory that is removed by Close, or by the next Host there if
	// this one is killed; "" is the system's. The names of sockets are bounded to about 100 bytes, so it is short.
	TempDir string
	// StartTimeout bounds a start; 0 is 10 s.
	StartTimeout time.Duration
	// Grace is how long a call may go on after its context has ended, before
	// its process is ended; 0 is 1 s. It should be shorter than the time that
	// the engine leaves to jobs whose lease ends.
	Grace time.Duration
	// ExitGrace is how long a program may take to end; 0 is 2 s.
	ExitGrace time.Duration
	// HealthInterval is the time between two health checks, and the time that
	// each may take; 0 is 5 s.
	HealthInterval time.Duration
	// LookupEnv looks up the variables that are granted; nil knows none.
	LookupEnv func(name string) (string, bool)
	// Logger takes what programs write, and their starts and ends. nil discards
	// them.
	Logger *slog.Logger

	patience time.Duration // how long a call waits for a start to be due
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&c.StartTimeout, 10*time.Second)
	set(&c.Grace, time.Second)
	set(&c.ExitGrace, 2*time.Second)
	set(&c.HealthInterval, 5*time.Second)
	set(&c.patience, 2*time.Second)
	if c.LookupEnv == nil {
		c.LookupEnv = func(string) (string, bool) { return "", false }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Host loads programs and runs them. It is safe for concurrent use.
type Host struct {
	config   Config
	logger   *slog.Logger
	launcher *launcher
	reaper   *reaper.Reaper
	work     workspace

	mu       sync.Mutex
	programs map[*program]struct{} // loaded and not freed
	closed   bool
	closing  sync.Once
}

var _ spi.Loader = (*Host)(nil)

// New returns a Host. It starts no program; Close frees what it holds.
func New(c Config) *Host {
	c = c.withDefaults()
	return &Host{
		config: c, logger: c.Logger, launcher: newLauncher(), reaper: reaper.New(), work: workspace{parent: c.TempDir}, programs: map[*program]struct{}{},
	}
}

// Load copies and checks a program, starts it and asks it for its plugins. The
// program goes on running until the bundle is closed.
//
// Of the grants, those of environment variables count here, and those of
// operations in the services of each call. A process cannot be kept out of
// directories or below a memory limit, so asking for that is an error. Errors
// begin with the path; most hold an [*spi.Error].
func (h *Host) Load(ctx context.Context, req spi.LoadRequest) (*spi.Bundle, error) {
	p, err := h.open(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", req.Path, err)
	}
	descriptors, err := p.describe(ctx, h.logger)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", req.Path, err), p.close(context.WithoutCancel(ctx)))
	}
	bundle := &spi.Bundle{
		Provenance: spi.Provenance{Host: "process", Path: req.Path, SHA256: p.image.sha},
		Close:      p.close,
	}
	for _, d := range descriptors {
		bundle.Plugins = append(bundle.Plugins, pluginOf(p, d))
	}
	return bundle, nil
}

// open makes a program, of which nothing runs yet.
func (h *Host) open(ctx context.Context, req spi.LoadRequest) (*program, error) {
	env, err := h.checkTerms(req)
	if err != nil {
		return nil, err
	}
	dir, err := h.work.newDir()
	if err != nil {
		return nil, err
	}
	i, err := readImage(req.Path, req.SHA256, dir, true)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	p := &program{
		host: h, config: h.config, path: req.Path, env: env, timeout: req.Limits.Timeout, dir: dir, image: i, users: 1, freed: make(chan struct{}),
		slots: make(chan struct{}, cmp.Or(req.Limits.Concurrency, defaultConcurrency)),
		out:   newOutlet(logOutput(ctx, h.logger, req.Path), time.Now),
	}
	// A process outlives the call that has started it.
	life, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	p.stopped = func() { stop(spi.ErrStopping) }
	p.start = func(f *flight) { p.launch(life, f) }
	h.mu.Lock()
	closed := h.closed
	if !closed {
		h.programs[p] = struct{}{}
	}
	h.mu.Unlock()
	if closed {
		p.stopped()
		return nil, errors.Join(spi.NewError(spi.CodeUnavailable, "the host of processes is closed"), i.close(), os.RemoveAll(dir))
	}
	return p, nil
}

// checkTerms refuses what cannot be held, and returns the environment.
func (h *Host) checkTerms(req spi.LoadRequest) ([]string, error) {
	switch {
	case req.Limits.Timeout < 0:
		return nil, spi.NewError(spi.CodeInvalidProperties, "the timeout "+req.Limits.Timeout.String()+" is negative")
	case req.Limits.Concurrency < 0:
		return nil, spi.NewError(spi.CodeInvalidProperties, "limits.concurrency "+strconv.Itoa(req.Limits.Concurrency)+" is negative")
	case req.Limits.Memory != 0:
		return nil, spi.NewError(spi.CodeInvalidProperties, "limits.memory is for modules: the memory of a process is limited by its system")
	case len(req.Grants.Dirs) > 0:
		return nil, spi.NewError(spi.CodeInvalidProperties, "grants.dirs is for modules: a process reaches what its user may")
	case req.Isolation != "":
		return nil, spi.NewError(spi.CodeInvalidProperties, "isolation is for modules: one process serves all calls")
	}
	var env []string
	for _, name := range req.Grants.Env {
		if value, ok := h.config.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env, nil
}

func (h *Host) remove(p *program) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.programs, p)
}

// Close closes all programs that are still loaded. It waits for their running
// calls until ctx ends, and for the end of all processes in any case.
// Afterwards nothing can be loaded. It may be called more than once.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	open := make([]*program, 0, len(h.programs))
	for p := range h.programs {
		open = append(open, p)
	}
	h.mu.Unlock()
	errs := make([]error, len(open))
	var closing sync.WaitGroup
	for i, p := range open {
		closing.Go(func() { errs[i] = p.close(ctx) })
	}
	closing.Wait()
	h.closing.Do(func() {
		h.launcher.close()
		h.reaper.Close()
		errs = append(errs, h.work.close())
	})
	return errors.Join(errs...)
}

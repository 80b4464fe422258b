package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// program supervises one loaded file: it has at most one process at a time. It
// is safe for concurrent use.
type program struct {
	host    *Host
	config  Config
	path    string
	env     []string
	timeout time.Duration // of every call; 0 for none
	dir     string        // private, for sockets and a copy on disk
	image   *image
	out     *outlet
	slots   chan struct{} // of running calls

	work    sync.WaitGroup // starts and watches
	stopped context.CancelFunc
	// start begins a start that ends when stopped is called.
	start func(f *flight)

	mu      sync.Mutex
	current *instance // running, or nil
	flight  *flight   // the start under way, or nil
	backoff backoff
	users   int  // calls that run, and the load itself until it is closed
	closed  bool // no more calls
	freed   chan struct{}
	err     error // of freeing; read after freed is closed
}

// flight is one start. Its results are final when done is closed.
type flight struct {
	done chan struct{}
	in   *instance
	err  error
}

// enter counts a call in; it reports false once the program is closed.
func (p *program) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.users++
	return true
}

// leave counts a call, or the load, out. The last one frees everything.
func (p *program) leave() {
	p.mu.Lock()
	p.users--
	last := p.users == 0
	p.mu.Unlock()
	if last {
		// Not here: the last call shall not wait for the end of the process.
		go p.free()
	}
}

// free ends the process and removes what belongs to it. Nobody uses it any more,
// and close waits for it.
func (p *program) free() {
	p.stopped()
	p.mu.Lock()
	in := p.current
	p.current = nil
	p.mu.Unlock()
	if in != nil {
		in.close(p.config.ExitGrace)
	}
	p.work.Wait()
	p.err = errors.Join(p.image.close(), os.RemoveAll(p.dir))
	p.host.remove(p)
	close(p.freed)
}

// close refuses further calls and waits until the running ones have returned.
// When ctx ends first, it ends the process, and the calls fail.
func (p *program) close(ctx context.Context) error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	p.mu.Unlock()
	if first {
		p.leave()
	}
	var err error
	select {
	case <-p.freed:
		return p.err
	case <-ctx.Done():
		p.mu.Lock()
		if p.users > 0 {
			err = fmt.Errorf("%s: waiting for calls to return: %w", p.path, context.Cause(ctx))
		}
		in := p.current
		p.mu.Unlock()
		p.stopped()
		if in != nil {
			in.process.end("the host has closed it")
		}
	}
	<-p.freed
	return errors.Join(err, p.err)
}

// acquire waits until a call may run, and reports false when ctx ends first. The
// caller gives the slot back.
func (p *program) acquire(ctx context.Context) bool {
	select {
	case p.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *program) release() { <-p.slots }

// bounded adds the time limit of the program to ctx, and that of the kind of
// call if there is one.
func (p *program) bounded(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if p.timeout > 0 && (limit == 0 || p.timeout < limit) {
		limit = p.timeout
	}
	if limit == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, limit, spi.ErrTimeout)
}

// running returns the process, started if need be. All callers wait for the
// same start.
func (p *program) running(ctx context.Context) (*instance, error) {
	for {
		p.mu.Lock()
		if in := p.current; in != nil {
			p.mu.Unlock()
			if !in.process.ending() {
				return in, nil
			}
			select {
			case <-in.over:
				continue
			case <-ctx.Done():
				return nil, interrupted(ctx)
			}
		}
		f := p.flight
		var wait time.Duration
		if f == nil {
			wait = p.backoff.left(time.Now())
			switch {
			case wait > 0 && (p.backoff.broken() || wait > p.config.patience):
				err := gone(p.path, fmt.Sprintf("it failed %d times in a row and is started again in %s; %s",
					p.backoff.failures, wait.Round(time.Millisecond), p.backoff.last))
				p.mu.Unlock()
				return nil, err
			case wait == 0:
				f = &flight{done: make(chan struct{})}
				p.flight = f
				p.work.Go(func() { p.start(f) })
			}
		}
		p.mu.Unlock()
		if f == nil {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return nil, interrupted(ctx)
			}
			continue
		}
		select {
		case <-f.done:
			return f.in, f.err
		case <-ctx.Done():
			return nil, interrupted(ctx)
		}
	}
}

// launch makes one start and then watches over the process until it has ended.
func (p *program) launch(ctx context.Context, f *flight) {
	begin := time.Now()
	in, err := p.connect(ctx)
	p.mu.Lock()
	p.flight = nil
	if err != nil {
		f.err = err
		p.failed(err.Error(), 0)
		p.mu.Unlock()
		close(f.done)
		p.host.logger.LogAttrs(ctx, slog.LevelWarn, "plugin did not start", slog.String("plugin", p.path), slog.Any("err", err))
		return
	}
	if ctx.Err() != nil {
		f.err = interrupted(ctx)
		p.mu.Unlock()
		close(f.done)
		in.close(p.config.ExitGrace)
		return
	}
	p.current, f.in = in, in
	p.mu.Unlock()
	close(f.done)
	p.host.logger.LogAttrs(ctx, slog.LevelInfo, "plugin started", slog.String("plugin", p.path),
		slog.String("pid", in.process.ID()), slog.Int64("millis", time.Since(begin).Milliseconds()))
	p.watch(ctx, in)
}

// watch checks the health of the process until it has ended.
func (p *program) watch(ctx context.Context, in *instance) {
	ticker := time.NewTicker(p.config.HealthInterval)
	defer ticker.Stop()
	misses := 0
	for {
		select {
		case <-ticker.C:
			check, cancel := context.WithTimeout(ctx, p.config.HealthInterval)
			alive := in.alive(check)
			cancel()
			if misses++; alive {
				misses = 0
			}
			if misses == healthMisses && ctx.Err() == nil {
				in.process.end(fmt.Sprintf("it did not answer %d health checks", misses))
			}
		case <-in.process.exited:
			p.ended(ctx, in)
			return
		}
	}
}

// ended clears up after a process. One that was not asked to end is a failure.
func (p *program) ended(ctx context.Context, in *instance) {
	how := in.process.how()
	p.mu.Lock()
	unasked := p.current == in
	if unasked {
		p.current = nil
		p.failed(how, time.Since(in.started))
	}
	broken := p.backoff.broken()
	failures, wait := p.backoff.failures, p.backoff.left(time.Now())
	p.mu.Unlock()
	close(in.over)
	if !unasked {
		return // free clears up
	}
	in.close(0)
	attrs := []slog.Attr{
		slog.String("plugin", p.path), slog.String("err", how), slog.Int("failures", failures), slog.Int64("waitMillis", wait.Milliseconds()),
	}
	if broken {
		p.host.logger.LogAttrs(ctx, slog.LevelError, "plugin keeps ending", attrs...)
		return
	}
	p.host.logger.LogAttrs(ctx, slog.LevelWarn, "plugin ended", attrs...)
}

// failed counts a failure; the caller holds the mutex.
func (p *program) failed(how string, uptime time.Duration) {
	p.backoff.fail(time.Now(), how, uptime)
}

// describe asks the program which plugins it brings. Nothing is granted to it
// meanwhile, and its answer is checked in full.
func (p *program) describe(ctx context.Context, logger *slog.Logger) ([]spi.Descriptor, error) {
	// The start has a bound of its own.
	if _, err := p.running(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wire.DescribeTimeout, spi.ErrTimeout)
	defer cancel()
	response, err := invoke(ctx, p, describeServices{log: logOutput(ctx, logger, p.path)}, func(call *pluginpb.Call) *pluginpb.DescribeRequest {
		return &pluginpb.DescribeRequest{Call: call}
	}, func(c pluginpb.PluginClient, ctx context.Context, q *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
		return c.Describe(ctx, q)
	})
	if err != nil {
		return nil, fmt.Errorf("describing the plugins: %w", err)
	}
	descriptors, err := checkPlugins(response.GetPlugins())
	if err != nil {
		return nil, fmt.Errorf("describing the plugins: %w", err)
	}
	return descriptors, nil
}

// checkPlugins refuses descriptions that this version cannot serve.
func checkPlugins(list []*pluginpb.Descriptor) ([]spi.Descriptor, error) {
	refuse := func(code spi.Code, format string, args ...any) error {
		return spi.NewError(code, wire.Cut(fmt.Sprintf(format, args...), wire.MaxText))
	}
	switch {
	case len(list) == 0:
		return nil, refuse(spi.CodeProtocol, "it lists none")
	case len(list) > wire.MaxPlugins:
		return nil, refuse(spi.CodeProtocol, "it lists more than %d", wire.MaxPlugins)
	}
	type name struct {
		kind spi.Kind
		typ  string
	}
	seen := map[name]bool{}
	var plugins []spi.Descriptor
	for i, message := range list {
		d := fromDescriptor(message)
		if err := d.Check(); err != nil {
			return nil, refuse(spi.CodeProtocol, "plugin %d: %v", i, err)
		}
		if seen[name{d.Kind, d.Type}] {
			return nil, refuse(spi.CodeProtocol, "the %s %s is listed twice", d.Kind, d.Type)
		}
		seen[name{d.Kind, d.Type}] = true
		if d.Kind == spi.KindExecutorPool {
			return nil, refuse(spi.CodeUnsupported, "type %s: plugins of kind %s in processes are not available in this version", d.Type, d.Kind)
		}
		for _, capability := range d.Capabilities {
			if !slices.Contains(capabilitiesOf(d.Kind), capability) {
				return nil, refuse(spi.CodeUnsupported, "the %s %s: the capability %q is not available in this version", d.Kind, d.Type, wire.Cut(capability, 100))
			}
		}
		plugins = append(plugins, d)
	}
	return plugins, nil
}

// capabilitiesOf are those that a plugin of the kind can announce.
func capabilitiesOf(kind spi.Kind) []string {
	switch kind {
	case spi.KindJobType:
		return []string{spi.CapabilityExecute, spi.CapabilityDataflow}
	case spi.KindErrorHandler:
		return []string{spi.CapabilityNotify}
	case spi.KindJobListener:
		return []string{spi.CapabilityPerInstance, spi.CapabilityDistributeOnce}
	default:
		return nil
	}
}

// describeServices takes the log of a program that describes itself. It has no
// operations.
type describeServices struct {
	log func(spi.LogRecord)
}

var _ spi.Services = describeServices{}

// Log writes the line to the log of the host.
func (s describeServices) Log(_ context.Context, r spi.LogRecord) { s.log(r) }

// Call refuses every operation.
func (describeServices) Call(_ context.Context, op string, _ []byte) ([]byte, error) {
	return nil, spi.NewError(spi.CodeDenied, op+" is not granted while a plugin describes itself")
}

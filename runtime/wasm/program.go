package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	goruntime "runtime"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/elasticjob-go/elasticjob/spi"
)

// compileTimeout bounds how long a load waits for the compiler. Function bodies
// exist that keep wazero busy for hours, and it looks at its context only
// between functions.
const compileTimeout = 5 * time.Minute

func errCompileTimeout() error {
	return spi.NewError(spi.CodeLimit, "compiling it takes longer than "+compileTimeout.String())
}

// program is a compiled module. Each has a wazero runtime of its own, so that
// its disk cache is one directory and closing it leaves nothing behind.
// Instances of one program differ in their terms only, such as the memory
// limit. It is safe for concurrent use.
type program struct {
	sha    string
	size   int // of the file
	shape  Shape
	layout *layout

	// startTimeout bounds the start of an instance.
	startTimeout time.Duration

	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	cache    wazero.CompilationCache // of the runtime; nil without a directory
}

// close frees the machine code. No instance may be in use.
func (p *program) close(ctx context.Context) error {
	return guarded(func() error { return closeRuntime(ctx, p.runtime, p.cache) })
}

// closeRuntime closes what compiled code lives in: the cache, if there is one,
// and the runtime otherwise.
func closeRuntime(ctx context.Context, r wazero.Runtime, cache wazero.CompilationCache) error {
	err := r.Close(ctx)
	if cache != nil {
		err = errors.Join(err, cache.Close(ctx))
	}
	return err
}

// programs compiles every module once, however many loads ask for it, and
// keeps it as long as one of them holds it. It is safe for concurrent use.
type programs struct {
	interrupt interrupter
	cache     *diskCache // nil without a directory
	offers    offers
	crossings []crossing
	logger    *slog.Logger
	// startTimeout is that of the programs.
	startTimeout time.Duration

	mu        sync.Mutex
	bySHA     map[string]*held
	compiling int
	closed    bool
	idle      chan struct{} // made by close, closed when nothing compiles
}

// held is a program and the number of loads that hold or wait for it.
type held struct {
	ready   chan struct{}   // closed when program or err is set
	expired <-chan struct{} // closed after ready, or when compiling took too long
	program *program
	err     error
	refs    int  // guarded by programs.mu
	done    bool // guarded by programs.mu: the compiler has returned
}

// acquire returns the program of the file, compiled now or before. The holder
// calls release once.
func (ps *programs) acquire(ctx context.Context, f file) (p *program, release func(context.Context) error, err error) {
	ps.mu.Lock()
	if ps.closed {
		ps.mu.Unlock()
		return nil, nil, errClosed()
	}
	h := ps.bySHA[f.sha]
	if h == nil {
		h = &held{ready: make(chan struct{})}
		ps.bySHA[f.sha] = h
		// The work of one is the wait of many, so the first one's context
		// does not end it.
		work, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), compileTimeout, errCompileTimeout())
		h.expired = work.Done()
		ps.compiling++
		go func() {
			defer cancel()
			ps.fill(work, h, f)
		}()
	}
	h.refs++
	ps.mu.Unlock()

	sha := f.sha // and not the file, whose bytes nobody needs any more
	release = func(ctx context.Context) error { return ps.release(ctx, h, sha) }
	select {
	case <-h.ready:
		err = h.err
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-h.expired:
		// The same moment as ready, when it was in time.
		select {
		case <-h.ready:
			err = h.err
		default:
			err = errCompileTimeout()
		}
	}
	if err != nil {
		// There is nothing to close yet, or fill does it.
		_ = release(ctx)
		return nil, nil, err
	}
	return h.program, release, nil
}

// close refuses further modules and waits for running compilations, or until
// ctx ends.
func (ps *programs) close(ctx context.Context) error {
	ps.mu.Lock()
	if !ps.closed {
		ps.closed, ps.idle = true, make(chan struct{})
		if ps.compiling == 0 {
			close(ps.idle)
		}
	}
	ps.mu.Unlock()
	select {
	case <-ps.idle:
		return nil
	default:
	}
	select {
	case <-ps.idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the compiler: %w", context.Cause(ctx))
	}
}

func errClosed() error { return spi.NewError(spi.CodeUnavailable, "the WASM host is closed") }

// fill compiles and hands the result to those who wait.
func (ps *programs) fill(ctx context.Context, h *held, f file) {
	h.program, h.err = ps.build(ctx, f)
	ps.mu.Lock()
	h.done = true
	abandoned := h.refs == 0
	if h.err != nil && ps.bySHA[f.sha] == h {
		delete(ps.bySHA, f.sha)
	}
	ps.mu.Unlock()
	close(h.ready)
	if abandoned && h.program != nil {
		if err := h.program.close(ctx); err != nil {
			ps.logger.Warn("closing a module failed", "sha256", f.sha, "err", err)
		}
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.compiling--; ps.compiling == 0 && ps.closed {
		close(ps.idle)
	}
}

func (ps *programs) release(ctx context.Context, h *held, sha string) error {
	ps.mu.Lock()
	h.refs--
	last := h.refs == 0
	if last && ps.bySHA[sha] == h {
		delete(ps.bySHA, sha)
	}
	closable := last && h.done && h.program != nil
	ps.mu.Unlock()
	if !closable {
		return nil
	}
	return h.program.close(ctx)
}

// build checks the module and compiles it.
func (ps *programs) build(ctx context.Context, f file) (*program, error) {
	l, err := readLayout(f.data)
	if err != nil {
		return nil, refusal("is not a valid WebAssembly module: %v", err)
	}
	p := &program{sha: f.sha, size: len(f.data), layout: l, startTimeout: ps.startTimeout}
	if p.shape, err = shapeOf(l); err != nil {
		return nil, err
	}
	if err := ps.offers.checkImports(l); err != nil {
		return nil, err
	}
	code, err := rewrite(l, boundTables(l), ps.interrupt.rewriter())
	if err != nil {
		return nil, refusal("is not a valid WebAssembly module: %v", err)
	}
	if err := ps.compile(ctx, p, code); err != nil {
		return nil, err
	}
	if err := ps.offers.checkTypes(p.compiled); err != nil {
		_ = p.close(ctx) // the refusal is the error that counts
		return nil, err
	}
	for name, f := range p.compiled.ExportedFunctions() {
		for i := range l.exports {
			if l.exports[i].Name == name {
				l.exports[i].Type = signatureOf(f).String()
			}
		}
	}
	return p, nil
}

// compile uses the disk cache if there is one. An entry that is damaged, or
// was removed by another process at the wrong moment, costs a compilation.
func (ps *programs) compile(ctx context.Context, p *program, code []byte) error {
	if ps.cache.serves(p.sha) {
		err := ps.compileCached(ctx, p, code)
		if err == nil {
			return nil
		}
		if plain := ps.compileWith(ctx, p, code, nil); plain != nil {
			return plain // the module is at fault, not the cache
		}
		ps.logger.Warn("compile cache not used", "sha256", p.sha, "err", err)
		if err := ps.cache.drop(p.sha); err != nil {
			ps.logger.Warn("compile cache not cleaned", "err", err)
		}
		return nil
	}
	return ps.compileWith(ctx, p, code, nil)
}

func (ps *programs) compileCached(ctx context.Context, p *program, code []byte) error {
	cache, err := ps.cache.open(p.sha)
	if err != nil {
		return err
	}
	if err := ps.compileWith(ctx, p, code, cache); err != nil {
		return err
	}
	if err := ps.cache.used(p.sha); err != nil {
		ps.logger.Warn("compile cache not cleaned", "err", err)
	}
	return nil
}

func (ps *programs) compileWith(ctx context.Context, p *program, code []byte, cache wazero.CompilationCache) error {
	// Debug information is left out: it is as hostile as the rest, and would
	// be read whenever the guest traps. Function names are kept.
	config := ps.interrupt.configure(wazero.NewRuntimeConfig()).WithDebugInfoEnabled(false)
	if cache != nil {
		config = config.WithCompilationCache(cache)
	}
	return guarded(func() error {
		r := wazero.NewRuntimeWithConfig(ctx, config)
		compiled, err := r.CompileModule(experimental.WithCompilationWorkers(ctx, goruntime.GOMAXPROCS(0)), code)
		if err == nil {
			for _, host := range hostModules(r, ps.crossings) {
				if _, err = host.Instantiate(ctx); err != nil {
					break
				}
			}
		}
		if err != nil {
			_ = closeRuntime(ctx, r, cache) // the error of the compiler is the one that counts
			if cache != nil {
				return errors.New(firstLine(err.Error())) // it may be the disk's
			}
			return refusal("is not a valid WebAssembly module: %s", firstLine(err.Error()))
		}
		p.runtime, p.compiled, p.cache = r, compiled, cache
		return nil
	})
}

// listOffers asks wazero which functions the host modules have, and takes from
// it those that the crossings stand in for.
func listOffers(ctx context.Context) (o offers, crossings []crossing, err error) {
	o = offers{}
	err = guarded(func() error {
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
		defer func() { _ = r.Close(ctx) }() // holds nothing
		for _, host := range hostModules(r, nil) {
			compiled, err := host.Compile(ctx)
			if err != nil {
				return fmt.Errorf("making the host modules: %w", err)
			}
			functions := map[string]signature{}
			for name, f := range compiled.ExportedFunctions() {
				functions[name] = signatureOf(f)
			}
			o[compiled.Name()] = functions
			if compiled.Name() != wasi_snapshot_preview1.ModuleName {
				continue
			}
			if crossings, err = crossingsOf(compiled); err != nil {
				return fmt.Errorf("making the host modules: %w", err)
			}
		}
		return nil
	})
	return o, crossings, err
}

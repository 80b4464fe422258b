package wasm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	wazerosys "github.com/tetratelabs/wazero/sys"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// instance is one instance of a program. It serves one call at a time and is
// not safe for concurrent use.
type instance struct {
	module api.Module
	memory *linearMemory
	// current is the call that the streams, sleeps and random bytes of WASI
	// belong to; wazero does not hand them a context.
	current *call
	// roots are the granted directories, and openFiles counts what the guest
	// has open in them.
	roots     []*os.Root
	openFiles int
}

// startTimeout bounds how long a module may take until it can be called, so
// that one without a timeout of its own does not hang before its job begins.
const startTimeout = 10 * time.Second

// start makes an instance for its first call c and runs its start section and
// _initialize, if there are any. A command gets its arguments and its input
// here and is then run by the caller. Starting is bounded by startTimeout.
func (p *program) start(ctx context.Context, c *call, t terms, command *commandInput) (*instance, error) {
	in := &instance{memory: &linearMemory{limit: t.memory}, current: c}
	c.noMemory = p.layout.memory == nil
	c.beginRandom(t.seeded)
	config := t.config.WithNanosleep(in.sleep).WithRandSource(in.random()).
		WithStdout(in.stream(spi.StreamStdout)).WithStderr(in.stream(spi.StreamStderr))
	config, err := in.mount(config, t.dirs)
	if err != nil {
		in.close(ctx)
		return in, err
	}
	if command != nil {
		config = config.WithArgs(command.args...).WithStdin(command.stdin)
	}
	starting, cancel := context.WithTimeoutCause(ctx, p.startTimeout, spi.ErrTimeout)
	defer cancel()
	outer := c.done
	c.done = starting.Done()
	defer func() { c.done = outer }()
	err = guarded(func() error {
		var err error
		in.module, err = p.runtime.InstantiateModule(experimental.WithMemoryAllocator(c.into(starting), in.memory), p.compiled, config)
		return err
	})
	if err == nil && p.layout.hasFunc(wire.ExportInitialize) {
		_, err = in.invoke(starting, c, wire.ExportInitialize)
	}
	if err != nil {
		if c.broken == nil && starting.Err() != nil && ctx.Err() == nil {
			c.broken = spi.NewError(spi.CodeTimeout, "starting the module takes longer than "+p.startTimeout.String())
		}
		in.close(ctx)
		return in, fmt.Errorf("starting the module: %w", err)
	}
	return in, nil
}

// invoke runs an exported function for the call and returns its result, 0
// when it has none.
func (in *instance) invoke(ctx context.Context, c *call, export string) (uint32, error) {
	in.current = c
	var results []uint64
	err := guarded(func() error {
		var err error
		results, err = in.module.ExportedFunction(export).Call(c.into(ctx))
		return err
	})
	if err != nil || len(results) == 0 {
		return 0, err
	}
	return uint32(results[0]), nil
}

// close discards the instance. Nothing may run in it any more.
func (in *instance) close(ctx context.Context) {
	if in.module != nil {
		// What it holds is its memory, given back below, files that were written
		// to without waiting, and streams of ours.
		_ = guarded(func() error { return in.module.Close(ctx) })
	}
	for _, root := range in.roots {
		_ = root.Close() // only a descriptor
	}
	in.roots = nil
	in.memory.release()
}

// sleep waits for the guest. A guest whose sleep was cut short would believe
// to have slept, so it is ended instead.
func (in *instance) sleep(nanoseconds int64) {
	timer := time.NewTimer(time.Duration(nanoseconds))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-in.current.done:
		panic(errInterrupted)
	}
}

func (in *instance) stream(name spi.Stream) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		in.current.checkDone()
		in.current.out.write(name, p)
		return len(p), nil
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// hostFault is a panic out of wazero, which is a fault of this process and
// not of the guest.
type hostFault struct{ value any }

func (f *hostFault) Error() string { return fmt.Sprintf("the WASM engine panicked: %v", f.value) }

// guarded turns panics of the engine into errors.
func guarded(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &hostFault{value: r}
		}
	}()
	return f()
}

// exitStatus returns the status with which the guest called proc_exit. The
// engine reports an interruption in the same way; see fault for the order in
// which they are told apart.
func exitStatus(err error) (uint32, bool) {
	exit, ok := errors.AsType[*wazerosys.ExitError](err)
	if !ok {
		return 0, false
	}
	return exit.ExitCode(), true
}

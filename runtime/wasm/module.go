package wasm

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// module is a program on the terms of one load. It is safe for concurrent
// use.
type module struct {
	path      string
	terms     terms
	program   *program
	instances instances
	slots     chan struct{}               // holds one element for each call that runs
	release   func(context.Context) error // of the program

	mu     sync.Mutex
	users  int  // calls that run, and the load itself until it is closed
	closed bool // no more calls
	freed  chan struct{}
	err    error // of freeing; read after freed is closed
}

// enter counts a call in; it reports false once the module is closed.
func (m *module) enter() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.users++
	return true
}

// leave counts a call, or the load, out. The last one frees everything.
func (m *module) leave(ctx context.Context) {
	m.mu.Lock()
	m.users--
	last := m.users == 0
	m.mu.Unlock()
	if !last {
		return
	}
	ctx = context.WithoutCancel(ctx)
	m.instances.close(ctx)
	m.err = m.release(ctx)
	close(m.freed)
}

// close refuses further calls and waits until the running ones have returned
// or ctx ends; in that case the last of them frees the module. It may be
// called more than once.
func (m *module) close(ctx context.Context) error {
	m.mu.Lock()
	first := !m.closed
	m.closed = true
	m.mu.Unlock()
	if first {
		m.leave(ctx)
	}
	select {
	case <-m.freed:
		return m.err
	default:
	}
	select {
	case <-m.freed:
		return m.err
	case <-ctx.Done():
		return fmt.Errorf("%s: waiting for calls to return: %w", m.path, context.Cause(ctx))
	}
}

// run has one call do its work once there is room for it, within the time limit
// of the module and within most, the longest that calls of its kind may take; 0
// is no limit. A call that waits holds nothing but its request.
func (m *module) run(ctx context.Context, services spi.Services, most time.Duration, work func(context.Context, *call) *spi.Error) error {
	if !m.enter() {
		return spi.NewError(spi.CodeUnavailable, m.path+": the module is closed")
	}
	defer m.leave(ctx)
	select {
	case m.slots <- struct{}{}:
	default:
		select {
		case m.slots <- struct{}{}:
		case <-ctx.Done():
			return ended(ctx, fmt.Sprintf("the call waited for one of %d others to end", cap(m.slots)))
		}
	}
	defer func() { <-m.slots }()

	if limit := m.terms.timeout; limit > 0 && (most == 0 || limit < most) {
		most = limit
	}
	if most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, most, spi.ErrTimeout)
		defer cancel()
	}
	if ctx.Err() != nil {
		return interrupted(ctx)
	}
	c := newCall(ctx, services)
	defer c.out.finish()
	if failed := work(ctx, c); failed != nil {
		return failed
	}
	return nil
}

// runExport runs one export of a reactor as a call.
func runExport[R any](ctx context.Context, m *module, services spi.Services, most time.Duration, export string, request func(context.Context) []byte, decode func([]byte) (R, error)) (R, error) {
	var response R
	err := m.run(ctx, services, most, func(ctx context.Context, c *call) *spi.Error {
		return m.serve(ctx, c, m.instances, export, request(ctx), func(output []byte) (err error) {
			response, err = decode(output)
			return err
		})
	})
	if err != nil {
		var none R
		return none, err
	}
	return response, nil
}

// within returns the sharding context with the deadline of the call, if that is
// the earlier one. It is rounded up to the milliseconds that messages have: the
// guest's deadline shall not come before that of its host.
func within(ctx context.Context, sharding spi.ShardingContext) spi.ShardingContext {
	if deadline, ok := ctx.Deadline(); ok && (sharding.Deadline.IsZero() || deadline.Before(sharding.Deadline)) {
		sharding.Deadline = deadline
	}
	if !sharding.Deadline.IsZero() {
		sharding.Deadline = sharding.Deadline.Add(time.Millisecond - 1).Truncate(time.Millisecond)
	}
	return sharding
}

// isOver reports whether ctx has ended. A guest may be the first to see its
// deadline, and then waits for it here.
func isOver(ctx context.Context) bool {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

// serve runs one export of a reactor: an instance, the request, the result.
func (m *module) serve(ctx context.Context, c *call, from instances, export string, request []byte, decode func([]byte) error) *spi.Error {
	if !m.program.layout.hasFunc(export) {
		return spi.NewError(spi.CodeUnsupported, "the module does not export "+export)
	}
	if len(request) > wire.MaxMessage {
		return spi.NewError(spi.CodeTooLarge, fmt.Sprintf("the request of %s is larger than %d MiB", export, wire.MaxMessage>>20))
	}
	in, err := from.get(ctx, c)
	if err != nil {
		return fault(ctx, c, in.memory, err)
	}
	c.serving, c.input, c.response, c.hostResponse = true, request, nil, nil
	// A pooled instance was started in another call.
	c.beginRandom(m.terms.seeded)
	result, err := in.invoke(ctx, c, export)
	if err != nil {
		failed := fault(ctx, c, in.memory, err)
		from.put(ctx, in, false)
		return failed
	}
	failed, broken := outcome(export, result, c.response, decode)
	// An instance whose context has ended may be closed any moment, even if
	// the guest was faster.
	over := isOver(ctx)
	from.put(ctx, in, !broken && !over)
	if failed != nil && over {
		// Why the guest was asked to stop counts for more than how it says so.
		why := interrupted(ctx)
		why.Message, why.Stack = wire.Cut(why.Message+": "+failed.Message, wire.MaxText), failed.Stack
		return why
	}
	return failed
}

// outcome reads what an export returned. Broken says that the module did not
// keep to the ABI.
func outcome(export string, result uint32, output []byte, decode func([]byte) error) (failed *spi.Error, broken bool) {
	switch result {
	case wire.ResultOK:
		if err := decode(output); err != nil {
			return spi.AsError(fmt.Errorf("%s: %w", export, err)), true
		}
		return nil, false
	case wire.ResultError:
		e, err := wire.DecodeError(output)
		if err != nil {
			return spi.AsError(fmt.Errorf("%s: %w", export, err)), true
		}
		if accepted := e.Code.FromGuest(); accepted != e.Code {
			if accepted == spi.CodeProtocol {
				e.Message = fmt.Sprintf("the module may not send code %d: %s", e.Code, e.Message)
			}
			e.Code, e.Retryable = accepted, accepted.Retryable()
		}
		return e, e.Code == spi.CodeProtocol
	default:
		return refusal("%s returned %d, which is neither %d nor %d", export, int32(result), wire.ResultOK, wire.ResultError), true
	}
}

// commandInput is what a program gets from its host.
type commandInput struct {
	args  []string
	stdin *bytes.Reader
}

// runCommand runs the module like a program.
func (m *module) runCommand(ctx context.Context, c *call, sharding spi.ShardingContext) *spi.Error {
	input := wire.AppendContext(nil, sharding)
	command := &commandInput{args: []string{filepath.Base(m.path)}, stdin: bytes.NewReader(input)}
	if len(command.args[0])+1+len(input)+1 <= wire.MaxArguments {
		command.args = append(command.args, string(input))
	}
	in, err := m.program.start(ctx, c, m.terms, command)
	if err == nil {
		c.serving = true
		_, err = in.invoke(ctx, c, wire.ExportStart)
		in.close(ctx)
	}
	if err == nil {
		return nil
	}
	status, exited := exitStatus(err)
	switch {
	case exited && status == 0:
		return nil
	case c.broken != nil || ctx.Err() != nil || !exited || in.memory.refused:
		return fault(ctx, c, in.memory, err)
	}
	message := c.out.lastErrors()
	if message == "" {
		message = fmt.Sprintf("exit status %d", status)
	}
	return spi.NewError(spi.CodeFailed, message)
}

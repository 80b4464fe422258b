package wasm

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"

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

// execute runs one item with the plugin of that type name.
func (m *module) execute(ctx context.Context, plugin string, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	if !m.enter() {
		return spi.ExecuteResponse{}, spi.NewError(spi.CodeUnavailable, m.path+": the module is closed")
	}
	defer m.leave(ctx)

	if timeout := m.terms.timeout; timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, spi.ErrTimeout)
		defer cancel()
	}
	if ctx.Err() != nil {
		return spi.ExecuteResponse{}, interrupted(ctx)
	}
	if deadline, ok := ctx.Deadline(); ok && (req.Context.Deadline.IsZero() || deadline.Before(req.Context.Deadline)) {
		req.Context.Deadline = deadline
	}
	c := newCall(ctx, req.Services)
	defer c.out.finish()
	if m.program.shape == ShapeCommand {
		if failed := m.runCommand(ctx, c, req.Context); failed != nil {
			return spi.ExecuteResponse{}, failed
		}
		return spi.ExecuteResponse{}, nil
	}
	response, failed := m.runExecute(ctx, c, wire.AppendExecuteRequest(nil, plugin, req.Context))
	if failed != nil {
		return spi.ExecuteResponse{}, failed
	}
	return response, nil
}

func (m *module) runExecute(ctx context.Context, c *call, request []byte) (spi.ExecuteResponse, *spi.Error) {
	var response spi.ExecuteResponse
	failed := m.serve(ctx, c, m.instances, wire.ExportExecute, request, func(output []byte) (err error) {
		response, err = wire.DecodeExecuteResponse(output)
		return err
	})
	return response, failed
}

// serve runs one export of a reactor: an instance, the request, the result.
func (m *module) serve(ctx context.Context, c *call, from instances, export string, request []byte, decode func([]byte) error) *spi.Error {
	in, err := from.get(ctx, c)
	if err != nil {
		return fault(ctx, c, in.memory, err)
	}
	c.serving, c.input, c.response, c.hostResponse = true, request, nil, nil
	result, err := in.invoke(ctx, c, export)
	if err != nil {
		failed := fault(ctx, c, in.memory, err)
		from.put(ctx, in, false)
		return failed
	}
	failed, broken := outcome(export, result, c.response, decode)
	// An instance whose context has ended may be closed any moment, even if
	// the guest was faster.
	from.put(ctx, in, !broken && ctx.Err() == nil)
	if failed != nil && ctx.Err() != nil {
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
	in, err := m.program.start(ctx, c, m.terms.memory, command)
	if err == nil {
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

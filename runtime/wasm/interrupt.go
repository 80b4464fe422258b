package wasm

import "github.com/tetratelabs/wazero"

// interrupter is how running guests are stopped when their context ends.
type interrupter interface {
	// rewriter prepares the sections of a module before it is compiled.
	rewriter() rewriter
	// configure prepares the runtime that compiles and runs the module.
	configure(wazero.RuntimeConfig) wazero.RuntimeConfig
}

// checkpoints leaves machine code for Go at every loop and at every function
// that calls others, to see whether the context ended. The guest's error is
// then an exit, and the instance is closed.
type checkpoints struct{}

var _ interrupter = checkpoints{}

func (checkpoints) rewriter() rewriter { return checkEntries }

func (checkpoints) configure(c wazero.RuntimeConfig) wazero.RuntimeConfig {
	return c.WithCloseOnContextDone(true)
}

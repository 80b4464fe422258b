//go:build unix

package wasm

import "syscall"

// openWithoutWaiting keeps the opening of a pipe from waiting for its other end.
const openWithoutWaiting = syscall.O_NONBLOCK

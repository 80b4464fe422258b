//go:build !unix

package wasm

// openWithoutWaiting is for systems whose directories hold no pipes.
const openWithoutWaiting = 0

// Package spi is the contract between elasticjob and its plugins: the
// interfaces a plugin implements, the requests and responses that cross
// between the two, and what a plugin says about itself.
//
// A plugin is a [Plugin]: a [Descriptor], which is data, and a constructor
// that makes the implementation from checked properties. The engine meets
// every plugin through these types and cannot tell whether it is built in, a
// process or a WASM module.
//
// # Who calls whom
//
// The engine calls the interfaces of this package; an implementation calls
// back through the [Services] of its request and through nothing else.
// Calls of one implementation may run at the same time, so implementations
// must be safe for concurrent use. No host promises that state is kept
// between calls: a process may be restarted, a module instance is discarded.
//
// # Errors
//
// An error that crosses is an [*Error]: a numbered [Code], a message and a
// hint whether a retry may help. Any other error returned by a plugin counts
// as [CodeFailed]. Contexts are cancelled with a cause; see [ErrStopping],
// [ErrTimeout], [ErrLeaseLost], [ErrSuperseded] and [ErrDisabled].
//
// # Evolution
//
// The interfaces do not change. The SPI grows by fields in requests and
// responses, by optional one-method interfaces that a descriptor announces
// with a capability, and by new kinds.
//
// The package is part of guests compiled for wasip1 and imports the standard
// library only, without fmt, encoding/json, log/slog, regexp and net.
package spi

// Package wasm runs WASM modules as plugins: it is the host of the ABI
// elasticjob_v1 and of plain WASI commands.
//
// A [Host] loads files ([Host.Load]), looks into them ([Host.Inspect]) and
// brings the job type WASM ([Host.JobType]). A module is a command (it exports
// _start) or a reactor (it exports functions that begin with elasticjob_).
//
// A module brings job types, dataflows included, sharding strategies, error
// handlers, job listeners and tracing sinks. What its describe lists is checked
// when it is loaded: every kind needs its exports.
//
// # What a module can do
//
// Compute, within its memory limit and until its context ends; read clocks and
// random bytes; sleep; write log lines; and ask the host through the Services
// of the call, which hold the grants of operations. It has no network, and of
// files, environment and arguments only what follows.
//
// A command has its own name and context as arguments. The variables and
// directories that the load grants are there for instances that serve calls; a
// module that describes itself has none. The run-time libraries of languages
// read both when they start, so an instance sees them in _initialize already,
// but it can use no file before its call.
//
// A directory is an [os.Root]: neither dots nor links lead out of it, whoever
// makes them and whenever, and of what is in it only regular files and
// directories can be opened, 64 at once. A module can make no link that would
// lead others out. How much it writes is not bounded.
//
// With a frozen clock the wall clock stands still; monotonic time and sleeping
// go on. With seeded random numbers each call gets the same ones from the
// system; what the run-time library of a language makes of them at its start is
// kept by pooled instances.
//
// # Instances
//
// An instance serves one call at a time. With isolation fresh every call gets
// a new one; with isolation pooled an instance is used again unless the call
// trapped, exited, was interrupted or broke the ABI. At most as many calls of a
// load run at once as its limits say, 64 by default; more wait, holding nothing
// but their requests, until their contexts end. So a load uses at most that
// many times its memory limit.
//
// # Interruption
//
// A call ends soon after its context does, also when the guest loops,
// recurses or sleeps. Every loop and every function that calls others checks
// for it. At its deadline a guest is ended and not asked, so it never sees the
// reason timeout of should_stop. What is not interrupted in the middle is one
// instruction or WASI call over a large range of memory, such as memory.fill,
// which the memory limit bounds. Making an instance is bounded to 10 s, and so
// is every call but those that execute, fetch or process, whose limits are those
// of the load and of their contexts.
//
// # Trust
//
// Everything a module says is hostile input: pointers and lengths are
// checked, messages and log output are bounded, tables and memories are
// limited, descriptions are checked. Machine code and its compiler run inside
// this process, so a fault in wazero itself is not contained.
package wasm

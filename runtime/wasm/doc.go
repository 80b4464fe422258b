// Package wasm runs WASM modules as plugins: it is the host of the ABI
// elasticjob_v1 and of plain WASI commands.
//
// A [Host] loads files ([Host.Load]), looks into them ([Host.Inspect]) and
// brings the job type WASM ([Host.JobType]). A module is a command (it exports
// _start) or a reactor (it exports functions that begin with elasticjob_).
//
// # What a module can do
//
// Compute, within its memory limit and until its context ends; read clocks and
// random bytes; sleep; write log lines; and ask the host through the Services
// of the call. It has no files, no environment, no network and no arguments
// but its own name and context.
//
// # Instances
//
// An instance serves one call at a time. With isolation fresh every call gets
// a new one; with isolation pooled an instance is used again unless the call
// trapped, exited, was interrupted or broke the ABI. The package does not
// bound how many calls run at once; the engine does.
//
// # Interruption
//
// A call ends soon after its context does, also when the guest loops,
// recurses or sleeps. Every loop and every function that calls others checks
// for it. At its deadline a guest is ended and not asked, so it never sees the
// reason timeout of should_stop. What is not interrupted in the middle is one
// instruction or WASI call over a large range of memory, such as memory.fill,
// which the memory limit bounds. Making an instance is bounded to 10 s.
//
// # Trust
//
// Everything a module says is hostile input: pointers and lengths are
// checked, messages and log output are bounded, tables and memories are
// limited, descriptions are checked. Machine code and its compiler run inside
// this process, so a fault in wazero itself is not contained.
package wasm

// Package process runs programs as plugins: it is the host of the protocol in
// spi/pluginpb, over hashicorp/go-plugin and gRPC.
//
// A [Host] loads files ([Host.Load]). A program is started to describe itself
// and then serves all its plugins at once, also many calls at the same time.
// What it says is checked as that of a module is; an error code that only a
// host may use becomes [spi.CodeProtocol].
//
// # What is executed
//
// The file is opened once, copied while its SHA-256 is taken, and that copy is
// what runs, at every start until the bundle is closed: a file that changes
// after the check changes nothing. On Linux the copy of a binary is a sealed
// file in memory that nobody can write to, this process included. A script, and
// everything on other systems, is a file in a private directory, because an
// interpreter opens it by name. The program finds its own path in
// [pluginpb.EnvPath], since its argument 0 alone is not reliable in all languages.
//
// # What a program is given
//
// An environment of the granted variables and those of the protocol, an empty
// standard input that ends when the host is gone, a process group of its own,
// and the services of the running call. Everything else that the operating
// system allows its user, it can do: a process is not a sandbox.
//
// # Life
//
// A program that ended is started again by the next call, the first time at
// once and then after a delay that doubles. After a few failures in a row calls
// fail at once until the delay is over, with the last lines that the program
// wrote to its standard error. A program that does not answer health checks is
// ended. All calls of a program that ended fail with [spi.CodePluginGone].
//
// At most 256 calls of a program run at once, or what its limits say; more wait
// until their contexts end.
//
// # Interruption
//
// A call is told when its context ends, and why. It has until the grace is over
// to return; then the whole process group is ended, with all other calls in it.
// So no code of a call runs on after the call has returned.
//
// # The end of the host
//
// When a host ends without [Host.Close], also by force:
//
//   - On Linux the kernel ends each program at once.
//   - On Unix a small shell process, which outlives the host by a moment, ends the
//     process groups of all programs, with what these have started. It needs
//     /bin/sh, and does not reach a process that has left its group.
//   - A program sees the end of its standard input. One made with the sdk ends its
//     group then. This is all there is on Windows.
//
// The private directory of such a host is removed by the next host of the same
// user there. A lock on a file in it tells whether its host lives.
package process

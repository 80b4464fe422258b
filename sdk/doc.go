// Package sdk is what the author of a plugin imports. The same source file
// says nothing of how it will be hosted:
//
//	package main
//
//	import (
//		"context"
//
//		"github.com/elasticjob-go/elasticjob/sdk"
//	)
//
//	var _ = sdk.Register(sdk.JobType("ORDERS", "reconciles the orders of one city", reconcile))
//
//	func reconcile(ctx context.Context, job *sdk.Job) error {
//		job.Info("reconciling", "city", job.ShardingParameter)
//		job.Result = "all good"
//		return nil
//	}
//
//	func main() { sdk.Main() }
//
// # Kinds
//
// [JobType] and [Dataflow] make job types, [ShardingStrategy] decides who owns
// which items, [ErrorHandler] is told of failed items, [JobListener] of the
// begin and end of runs, and [TracingSink] keeps the history. A program may
// register any number of each. What is made is a [spi.Plugin], whose Descriptor
// may be changed before it is registered: Version, and Wants for what the
// operator should grant.
//
// Every function gets the way to its host with it: a [Host] writes to the log,
// sends HTTP requests and returns secrets, a [Job] also saves checkpoints and
// reports progress. There is no other way: a module has no network and sees
// only the files and variables that are granted.
//
// # Processes
//
// Built as it is, the program is a process plugin, which a node starts when it
// is first needed:
//
//	go build -o orders .
//
// # Modules
//
// Built for wasip1 it becomes a WASM module, a reactor of the ABI
// elasticjob_v1:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags '-s -w' -o orders.wasm .
//
// In both, the plugin is made anew for every call, and in a module so is the
// whole program, unless the operator chose pooled isolation: keep no state in
// variables. A panic fails the call with its stack and leaves the program
// alive. A goroutine must not outlive the call that started it: in a module it
// stands still until the next call, if there is one.
//
// The guest half keeps fmt, encoding/json, log/slog and reflection out, which
// leaves an empty job at 2.8 MB, most of it Go's runtime. A job that imports
// them is larger and starts later.
//
// # Stopping
//
// The context of a call ends at its deadline, when the node stops and when the
// node loses the item. A module has one thread, so it notices when it waits
// for something, or when it asks ctx.Err(), which a long computation should do
// now and then; contexts derived from ctx notice only while the module waits.
// While an operation of the host runs, no goroutine of the module does.
package sdk

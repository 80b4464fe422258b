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
// # Modules
//
// Built for wasip1 it becomes a WASM module, a reactor of the ABI
// elasticjob_v1:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags '-s -w' -o orders.wasm .
//
// In a module the plugin is made anew for every call, and unless the operator
// chose pooled isolation so is the whole program: keep no state in variables.
// A panic fails the item with its stack and leaves the module alive.
//
// The guest half keeps fmt, encoding/json, log/slog and reflection out, which
// leaves an empty job at 2.7 MB, most of it Go's runtime. A job that imports
// them is larger and starts later.
//
// # Stopping
//
// The context of a call ends at its deadline, when the node stops and when the
// node loses the item. A module has one thread, so it notices when it waits
// for something, or when it asks ctx.Err(), which a long computation should do
// now and then; contexts derived from ctx notice only while the module waits.
package sdk

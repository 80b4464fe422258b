//go:build wasip1

package sdk

import (
	"syscall"

	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// Main is the main function of a plugin. A module is a reactor whose main is
// never called; being called means that it was built as a command.
func Main() {
	println("this elasticjob module was built as a command: build it with -buildmode=c-shared")
	syscall.Exit(1)
}

// The exports of the ABI. All are there in every module: what a module offers
// is said by describe.

//go:wasmexport elasticjob_describe
func exportDescribe() int32 { return give(program.describe()) }

//go:wasmexport elasticjob_execute
func exportExecute() int32 { return give(program.execute(readAll(inputRead), &hostServices{})) }

//go:wasmexport elasticjob_fetch_data
func exportFetchData() int32 { return give(program.fetchData(readAll(inputRead), &hostServices{})) }

//go:wasmexport elasticjob_process_data
func exportProcessData() int32 { return give(program.processData(readAll(inputRead), &hostServices{})) }

//go:wasmexport elasticjob_shard
func exportShard() int32 { return give(program.shard(readAll(inputRead), &hostServices{})) }

//go:wasmexport elasticjob_handle_error
func exportHandleError() int32 { return give(program.handleError(readAll(inputRead), &hostServices{})) }

//go:wasmexport elasticjob_before_job
func exportBeforeJob() int32 {
	return give(program.listen(wire.TypeBeforeJob, readAll(inputRead), &hostServices{}))
}

//go:wasmexport elasticjob_after_job
func exportAfterJob() int32 {
	return give(program.listen(wire.TypeAfterJob, readAll(inputRead), &hostServices{}))
}

//go:wasmexport elasticjob_trace
func exportTrace() int32 { return give(program.trace(readAll(inputRead), &hostServices{})) }

func give(a answer) int32 {
	outputWrite(pointer(a.output), uint32(len(a.output)))
	return a.result
}

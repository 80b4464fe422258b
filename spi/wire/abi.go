package wire

import "time"

// Module is the name of the import module, which is the version of the ABI.
const Module = "elasticjob_v1"

// Version is the value of the member "abi" in every request.
const Version = 1

// The exports of a module. ExportStart makes it a command; any function that
// begins with ExportPrefix makes it a reactor.
const (
	ExportMemory     = "memory"
	ExportStart      = "_start"
	ExportInitialize = "_initialize"

	ExportPrefix      = "elasticjob_"
	ExportDescribe    = "elasticjob_describe"
	ExportExecute     = "elasticjob_execute"
	ExportFetchData   = "elasticjob_fetch_data"
	ExportProcessData = "elasticjob_process_data"
	ExportShard       = "elasticjob_shard"
	ExportHandleError = "elasticjob_handle_error"
	ExportBeforeJob   = "elasticjob_before_job"
	ExportAfterJob    = "elasticjob_after_job"
	ExportTrace       = "elasticjob_trace"
)

// The functions that a reactor may import from [Module].
const (
	ImportInputRead   = "input_read"
	ImportOutputWrite = "output_write"
	ImportLog         = "log"
	ImportHostCall    = "host_call"
	ImportHostRead    = "host_read"
)

// What an export returns. Any other number breaks the contract.
const (
	ResultOK    = 0 // the output is the response
	ResultError = 1 // the output is an error object
)

// The values of the member "type" in requests.
const (
	TypeDescribe    = "describe"
	TypeExecute     = "execute"
	TypeFetchData   = "fetch_data"
	TypeProcessData = "process_data"
	TypeShard       = "shard"
	TypeHandleError = "handle_error"
	TypeBeforeJob   = "before_job"
	TypeAfterJob    = "after_job"
	TypeTrace       = "trace"
)

// PluginWASM is the member "plugin" of requests to a module that describes no
// plugins and is used through the job type WASM.
const PluginWASM = "WASM"

// Bounds of what crosses, in bytes.
const (
	MaxMessage    = 16 << 20 // a request or response
	MaxLogLine    = 64 << 10 // a log line; longer ones are cut
	MaxCallLog    = 1 << 20  // all log lines of one call; the rest is dropped
	MaxCheckpoint = 64 << 10 // a checkpoint, before base64
	MaxText       = 4 << 10  // the message of a result or an error; longer ones are cut
	MaxStack      = 64 << 10 // the stack of an error; longer ones are cut
	MaxArguments  = 128 << 10
	MaxModuleFile = 64 << 20
)

// Defaults of what a module may use.
const (
	DefaultMemory   = 256 << 20 // bytes of linear memory of one instance
	DescribeTimeout = 5 * time.Second
	CallTimeout     = 10 * time.Second // of calls other than execute, fetch_data and process_data
)

// Bounds of the lists in messages. What has more elements is refused.
const (
	MaxPlugins   = 256     // of one module
	MaxItems     = 10_000  // of a job, and of each list of items
	MaxInstances = 10_000  // of a fleet
	MaxEvents    = 10_000  // of a batch for a tracing sink
	MaxData      = 1 << 20 // of a batch of a dataflow
	MaxHeaders   = 1_000   // of an HTTP message, and values of one header
)

// Cut returns text, shortened to at most most bytes at the border of a
// character and ended by "…" when it is longer.
func Cut(text string, most int) string {
	const mark = "…"
	if len(text) <= most {
		return text
	}
	end := max(most-len(mark), 0)
	for end > 0 && text[end]&0xC0 == 0x80 {
		end--
	}
	return text[:end] + mark
}

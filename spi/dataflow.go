package spi

import "context"

// FetchDataRequest asks for the next batch of data of one item.
type FetchDataRequest struct {
	Context ShardingContext
	// Cursor is what the previous fetch of this execution returned; "" for the
	// first, or what an earlier attempt has kept.
	Cursor   string
	Services Services
}

// FetchDataResponse is one batch of data. No data ends the execution.
type FetchDataResponse struct {
	// Data are JSON values, one for each datum.
	Data [][]byte
	// Cursor is handed to the next fetch of this execution.
	Cursor string
}

// ProcessDataRequest hands over what was fetched.
type ProcessDataRequest struct {
	Context ShardingContext
	// Data are the JSON values of the fetch before, never none.
	Data     [][]byte
	Services Services
}

// ProcessDataResponse is empty so far.
type ProcessDataResponse struct{}

// Dataflow is implemented by job types with [CapabilityDataflow] in addition to
// [JobType]. The engine calls it instead of Execute: it fetches and processes in
// turn, once, or with the property streaming.process until nothing is left. The
// calls for one item come one after the other, possibly on different instances
// of a module, so what they share is the cursor. With the property
// streaming.checkpoint the engine keeps the cursor of a stream as the checkpoint of
// the item, and a later attempt begins with it.
type Dataflow interface {
	// FetchData returns the next batch.
	FetchData(ctx context.Context, req FetchDataRequest) (FetchDataResponse, error)
	// ProcessData works on one batch.
	ProcessData(ctx context.Context, req ProcessDataRequest) (ProcessDataResponse, error)
}

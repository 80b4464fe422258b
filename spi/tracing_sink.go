package spi

import (
	"context"
	"time"

	"github.com/elasticjob-go/elasticjob/spi/props"
)

// TraceKind says what a trace event is about.
type TraceKind string

// The kinds of trace events.
const (
	TraceExecution TraceKind = "execution" // of one item
	TraceStatus    TraceKind = "status"    // of the part of a run on one instance
)

// TraceState is the state of a run in a status event, by ElasticJob's names.
type TraceState string

// The states.
const (
	StateStaging  TraceState = "TASK_STAGING"  // it was decided to run
	StateRunning  TraceState = "TASK_RUNNING"  // its first item has started
	StateFinished TraceState = "TASK_FINISHED" // all items have ended
	StateError    TraceState = "TASK_ERROR"    // an item has failed
)

// TraceEvent is one event of the history. Fields that do not belong to its kind
// are zero.
type TraceEvent struct {
	// ID names the event. The two execution events of an item, at its start and
	// at its end, have the same; the later replaces the earlier.
	ID   string
	Kind TraceKind
	// Time is when it happened, in UTC.
	Time            time.Time
	JobName         string
	TaskID          string
	RunID           string
	Instance        Instance
	ExecutionSource Source

	// Item, Attempt, Start, End, Success and Error are of execution events. End
	// is zero while the item runs.
	Item    int
	Attempt int
	Start   time.Time
	End     time.Time
	Success bool
	Error   *Error

	// Items, State and Message are of status events.
	Items   []int
	State   TraceState
	Message string
}

// TraceRequest hands over a batch of events in the order in which they happened
// on one instance: at most 500, of 4 MiB as a message.
type TraceRequest struct {
	Events   []TraceEvent
	Props    props.Values
	Services Services
}

// TraceResponse is empty so far.
type TraceResponse struct{}

// TracingSink keeps the history of executions. A batch whose call failed may
// come again, so a sink keeps one event of an ID. The engine bounds a call by
// 10 s.
type TracingSink interface {
	// Trace takes one batch.
	Trace(ctx context.Context, req TraceRequest) (TraceResponse, error)
}

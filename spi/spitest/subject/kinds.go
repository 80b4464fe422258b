package subject

import (
	"context"
	"strconv"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Properties of single kinds.
const (
	// PropData are the data of a batch, separated by bars: JSON values unless
	// the case is about what is none. PropTimes repeats it.
	PropData = "data"
	// PropCursor is the cursor that fetching returns.
	PropCursor = "cursor"
	// PropAssignment is an assignment: instances separated by bars, each with
	// its items, as in a=0,1|b=2.
	PropAssignment = "assignment"
	// PropDecision is what an error handler decides.
	PropDecision = "decision"
)

// job is the job type.
type job struct{ closer }

var _ spi.JobType = job{}

// Execute says what it was asked to find out.
func (job) Execute(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	text, err := tell(ctx, req.Services, req.Context.Props, func() string { return ContextText(req.Context) })
	return spi.ExecuteResponse{Message: text}, err
}

// dataflow is the job type that works in two steps.
type dataflow struct{ job }

var _ spi.Dataflow = dataflow{}

// FetchData returns the data of the properties.
func (dataflow) FetchData(ctx context.Context, req spi.FetchDataRequest) (spi.FetchDataResponse, error) {
	values := req.Context.Props
	_, err := tell(ctx, req.Services, values, func() string { return "cursor=" + strconv.Quote(req.Cursor) + " " + ContextText(req.Context) })
	response := spi.FetchDataResponse{Cursor: values[PropCursor]}
	for _, datum := range parts(values[PropData]) {
		response.Data = append(response.Data, []byte(strings.Repeat(datum, times(values))))
	}
	return response, err
}

// ProcessData says the batch.
func (dataflow) ProcessData(ctx context.Context, req spi.ProcessDataRequest) (spi.ProcessDataResponse, error) {
	_, err := tell(ctx, req.Services, req.Context.Props, func() string { return DataText(req.Data) + " " + ContextText(req.Context) })
	return spi.ProcessDataResponse{}, err
}

// strategy is the sharding strategy.
type strategy struct{ closer }

var _ spi.ShardingStrategy = strategy{}

// Shard returns the assignment of the properties.
func (strategy) Shard(ctx context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	_, err := tell(ctx, req.Services, req.Props, func() string { return ShardText(req) })
	return spi.ShardResponse{Assignment: Assignment(req.Props)}, err
}

// Assignment is the assignment of the properties, nil when they have none.
func Assignment(values props.Values) map[string][]int {
	var assignment map[string][]int
	for _, part := range parts(values[PropAssignment]) {
		if assignment == nil {
			assignment = make(map[string][]int)
		}
		id, list, _ := strings.Cut(part, "=")
		items := []int(nil)
		for _, text := range (props.Values{"items": list}).List("items") {
			n, _ := strconv.Atoi(text)
			items = append(items, n)
		}
		assignment[id] = items
	}
	return assignment
}

// handler is the error handler.
type handler struct{ closer }

var _ spi.ErrorHandler = handler{}

// HandleError decides what the properties say.
func (handler) HandleError(ctx context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
	_, err := tell(ctx, req.Services, req.Props, func() string { return FailureText(req) })
	return spi.HandleErrorResponse{Decision: spi.Decision(req.Props[PropDecision])}, err
}

// listener is the job listener.
type listener struct{ closer }

var _ spi.JobListener = listener{}

// BeforeJob says the run.
func (listener) BeforeJob(ctx context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	_, err := tell(ctx, req.Services, req.Props, func() string { return RunText("before", req) })
	return spi.JobListenerResponse{}, err
}

// AfterJob says the run.
func (listener) AfterJob(ctx context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	_, err := tell(ctx, req.Services, req.Props, func() string { return RunText("after", req) })
	return spi.JobListenerResponse{}, err
}

// sink is the tracing sink.
type sink struct{ closer }

var _ spi.TracingSink = sink{}

// Trace says the events.
func (sink) Trace(ctx context.Context, req spi.TraceRequest) (spi.TraceResponse, error) {
	_, err := tell(ctx, req.Services, req.Props, func() string { return TraceText(req) })
	return spi.TraceResponse{}, err
}

// tell acts and logs what came of it.
func tell(ctx context.Context, services spi.Services, values props.Values, echo func() string) (string, error) {
	text, err := act(ctx, services, values, echo)
	if err == nil && text != "" {
		services.Log(ctx, spi.LogRecord{Level: spi.LevelInfo, Stream: spi.StreamLog, Line: text})
	}
	return text, err
}

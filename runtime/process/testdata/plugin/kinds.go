package main

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
)

// flow fetches numbers from its cursor up to the sharding item, two at once.
type flow struct{}

func (flow) Execute(context.Context, spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	return spi.ExecuteResponse{}, errors.New("a dataflow is not executed")
}

func (flow) FetchData(ctx context.Context, req spi.FetchDataRequest) (spi.FetchDataResponse, error) {
	req.Services.Log(ctx, spi.LogRecord{Line: "fetching"})
	if wrong, ok := strings.CutPrefix(req.Context.JobParameter, "data:"); ok {
		return spi.FetchDataResponse{Data: [][]byte{[]byte("1"), []byte(wrong)}}, nil
	}
	if size, ok := strings.CutPrefix(req.Context.JobParameter, "size:"); ok {
		n, _ := strconv.Atoi(size)
		return spi.FetchDataResponse{Data: [][]byte{[]byte(`"` + strings.Repeat("x", n) + `"`)}}, nil
	}
	begin, _ := strconv.Atoi(req.Cursor)
	var out spi.FetchDataResponse
	for i := begin; i < begin+2 && i < req.Context.ShardingItem; i++ {
		out.Data = append(out.Data, []byte(`{"n":`+strconv.Itoa(i)+`}`))
		out.Cursor = strconv.Itoa(i + 1)
	}
	return out, nil
}

func (flow) ProcessData(ctx context.Context, req spi.ProcessDataRequest) (spi.ProcessDataResponse, error) {
	for _, datum := range req.Data {
		req.Services.Log(ctx, spi.LogRecord{Line: string(datum)})
	}
	return spi.ProcessDataResponse{}, nil
}

// closing is a job type that cannot be closed.
type closing struct{}

func (closing) Execute(context.Context, spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	return spi.ExecuteResponse{Message: "done"}, nil
}

func (closing) Close(context.Context) error { return errors.New("stuck") }

// badError panics when it is asked for its text.
type badError struct{}

func (badError) Error() string { panic("no text") }

// listener logs what it is told, and fails when the job parameter says so.
type listener struct{}

func (listener) BeforeJob(ctx context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	return echo[spi.JobListenerResponse](ctx, "before", req.Services, req.Run.JobParameter, struct {
		Once  bool
		Run   spi.JobRun
		Props map[string]string
	}{req.Once, req.Run, req.Props})
}

func (listener) AfterJob(ctx context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	return echo[spi.JobListenerResponse](ctx, "after", req.Services, req.Run.JobParameter, struct {
		Once  bool
		Run   spi.JobRun
		Props map[string]string
	}{req.Once, req.Run, req.Props})
}

// sink logs the events.
type sink struct{}

func (sink) Trace(ctx context.Context, req spi.TraceRequest) (spi.TraceResponse, error) {
	return echo[spi.TraceResponse](ctx, "trace", req.Services, req.Props["parameter"], req.Events)
}

// echo logs a value as JSON.
func echo[T any](ctx context.Context, what string, s spi.Services, parameter string, value any) (response T, err error) {
	if parameter == "fail" {
		return response, spi.NewError(4711, "as told")
	}
	text, err := json.Marshal(value)
	s.Log(ctx, spi.LogRecord{Line: what + " " + string(text)})
	return response, err
}

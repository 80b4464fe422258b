// A module whose job types do what the tests of the sdk ask for.
package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/sdk"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

var (
	_ = sdk.Register(sdk.JobType("ECHO", "returns its context", echo,
		props.Field{Name: "batch.size", Type: props.Int, Description: "any number", Default: "100"}))
	_ = sdk.Register(sdk.JobType("LOGS", "logs at every level", logs))
	_ = sdk.Register(sdk.JobType("FAILS", "fails as its job parameter says", fails))
	_ = sdk.Register(sdk.JobType("WAITS", "waits until it is stopped", waits))
	_ = sdk.Register(sdk.JobType("COMPUTES", "computes until it is stopped", computes))
	_ = sdk.Register(sdk.JobType("SLEEPS", "runs goroutines that sleep", sleeps))
	_ = sdk.Register(sdk.JobType("CALLS", "calls the operation of its job parameter", calls))
	_ = sdk.Register(sdk.JobType("COUNTS", "counts its calls in a variable", counts))
)

func main() { sdk.Main() }

func echo(ctx context.Context, job *sdk.Job) error {
	deadline, _ := ctx.Deadline()
	job.Result = strings.Join([]string{
		job.JobName, job.TaskID, strconv.Itoa(job.ShardingTotalCount), job.JobParameter, strconv.Itoa(job.ShardingItem),
		job.ShardingParameter, job.RunID, job.FireTime.Format(time.RFC3339Nano), string(job.ExecutionSource),
		strconv.Itoa(job.Attempt), strconv.FormatInt(job.FencingToken, 10), deadline.Format(time.RFC3339Nano),
		string(job.Checkpoint), job.Props.String("batch.size"),
	}, "|")
	return nil
}

func logs(_ context.Context, job *sdk.Job) error {
	job.Debug("debug")
	job.Info("first\nsecond\r\n")
	job.Warn("warn", "name", "two words")
	job.Error("error")
	job.Log(spi.Level(6), "between")
	return nil
}

func fails(_ context.Context, job *sdk.Job) error {
	switch job.JobParameter {
	case "panic":
		panic("on purpose")
	case "nil":
		var nobody *sdk.Job
		return errors.New(nobody.JobName)
	case "code":
		return &spi.Error{Code: 1001, Message: "own code", Retryable: true}
	default:
		return errors.New("plain")
	}
}

func waits(ctx context.Context, job *sdk.Job) error {
	select {
	case <-ctx.Done():
		job.Result = context.Cause(ctx).Error()
		return nil
	case <-time.After(time.Minute):
		return errors.New("nobody stopped the job")
	}
}

func computes(ctx context.Context, job *sdk.Job) error {
	for ctx.Err() == nil {
	}
	job.Result = context.Cause(ctx).Error()
	return nil
}

func sleeps(_ context.Context, job *sdk.Job) error {
	results := make(chan int)
	for i := range 3 {
		go func() {
			time.Sleep(time.Duration(i+1) * time.Millisecond)
			results <- i
		}()
	}
	for range 3 {
		job.Result += strconv.Itoa(<-results)
	}
	return nil
}

func calls(ctx context.Context, job *sdk.Job) error {
	response, err := job.Services.Call(ctx, job.JobParameter, []byte(`{"a":1}`))
	if err != nil {
		e := spi.AsError(err)
		return &spi.Error{Code: 1000 + e.Code, Message: e.Message, Retryable: e.Retryable}
	}
	job.Result = string(response)
	return nil
}

var called int

func counts(_ context.Context, job *sdk.Job) error {
	called++
	job.Result = strconv.Itoa(called)
	return nil
}

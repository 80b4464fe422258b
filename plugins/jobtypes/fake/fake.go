// Package fake is the job type FAKE: it does nothing, for as long and as
// badly as its properties say. It is for trying out a fleet, its alarms and
// its limits, and for the engine's own tests.
package fake

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the job type in config.
const Type = "FAKE"

// The properties of the job type.
const (
	PropDuration    = "fake.duration"
	PropFailureRate = "fake.failure.rate"
	PropPanic       = "fake.panic"
	PropHang        = "fake.hang"
	PropOutput      = "fake.output"
	PropOutputLines = "fake.output.lines"
)

// The values of PropHang.
const (
	HangNone        = "none"
	HangCancellable = "cancellable"
	HangForever     = "forever"
)

// Plugin returns the job type.
func Plugin() spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:        spi.KindJobType,
			Type:        Type,
			Version:     "1",
			Description: "Does nothing, as long and as badly as its properties say; for trials and tests.",
			Props: props.Schema{
				{Name: PropDuration, Type: props.Duration, Default: "0s", Min: "0s", Description: "how long an item takes", Example: "250ms"},
				{Name: PropFailureRate, Type: props.Float, Default: "0", Min: "0", Max: "1", Description: "share of the items that fail, drawn at random", Example: "0.1"},
				{Name: PropPanic, Type: props.Bool, Default: "false", Description: "panic instead of returning"},
				{Name: PropHang, Type: props.String, Default: HangNone, Enum: []string{HangNone, HangCancellable, HangForever}, Description: "after the duration, hang until cancelled, or for ever in spite of it"},
				{Name: PropOutput, Type: props.String, Description: "line to log and to return as the result"},
				{Name: PropOutputLines, Type: props.Int, Default: "1", Min: "1", Max: "1000000", Description: "how often the line is logged"},
			},
		},
		JobType: func(_ context.Context, values props.Values) (spi.JobType, error) {
			return &job{
				duration:    values.Duration(PropDuration),
				failureRate: values.Float(PropFailureRate),
				panics:      values.Bool(PropPanic),
				hang:        values.String(PropHang),
				output:      values.String(PropOutput),
				lines:       values.Int(PropOutputLines),
			}, nil
		},
	}
}

type job struct {
	duration    time.Duration
	failureRate float64
	panics      bool
	hang        string
	output      string
	lines       int64
}

var _ spi.JobType = (*job)(nil)

// Execute plays its part.
func (j *job) Execute(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	if j.output != "" {
		for range j.lines {
			req.Services.Log(ctx, spi.LogRecord{Level: spi.LevelInfo, Line: strings.TrimRight(j.output, "\n")})
		}
	}
	if j.duration > 0 {
		wait := time.NewTimer(j.duration)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
			return spi.ExecuteResponse{}, context.Cause(ctx)
		}
	}
	switch j.hang {
	case HangCancellable:
		<-ctx.Done()
		return spi.ExecuteResponse{}, context.Cause(ctx)
	case HangForever:
		select {}
	}
	if j.panics {
		panic("fake: this job panics because " + PropPanic + " is true")
	}
	if j.failureRate > 0 && rand.Float64() < j.failureRate {
		return spi.ExecuteResponse{}, spi.NewError(spi.CodeFailed, "fake: this item fails because "+PropFailureRate+" says so")
	}
	return spi.ExecuteResponse{Message: j.output}, nil
}

// Package log is the error handler LOG: it writes the failure to the node's
// log and lets the job go on.
package log

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the handler in config.
const Type = "LOG"

// Plugin returns the handler.
func Plugin() spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:        spi.KindErrorHandler,
			Type:        Type,
			Version:     "1",
			Description: "Writes the failure and its stack to the log; the job goes on.",
		},
		ErrorHandler: func(context.Context, props.Values) (spi.ErrorHandler, error) {
			return spi.ErrorHandlerFunc(handle), nil
		},
	}
}

func handle(ctx context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
	line := "Job '" + req.Context.JobName + "' exception occur in job processing, caused by " + req.Error.Error()
	if req.Error.Stack != "" {
		line += "\n" + req.Error.Stack
	}
	req.Services.Log(ctx, spi.LogRecord{Level: spi.LevelError, Line: line})
	return spi.HandleErrorResponse{Decision: spi.DecisionContinue}, nil
}

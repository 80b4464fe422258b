// Package ignore is the error handler IGNORE: it tells nobody of the failure
// and lets the job go on. That the item failed is in the log all the same, as
// for every item.
package ignore

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the handler in config.
const Type = "IGNORE"

// Plugin returns the handler.
func Plugin() spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:        spi.KindErrorHandler,
			Type:        Type,
			Version:     "1",
			Description: "Does nothing about a failure; the job goes on.",
		},
		ErrorHandler: func(context.Context, props.Values) (spi.ErrorHandler, error) {
			return spi.ErrorHandlerFunc(handle), nil
		},
	}
}

func handle(context.Context, spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
	return spi.HandleErrorResponse{Decision: spi.DecisionContinue}, nil
}

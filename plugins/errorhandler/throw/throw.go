// Package throw is the error handler THROW: a failed item stops its job on
// this instance, until somebody enables it there.
package throw

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the handler in config.
const Type = "THROW"

// Plugin returns the handler.
func Plugin() spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:        spi.KindErrorHandler,
			Type:        Type,
			Version:     "1",
			Description: "Stops the job on this instance until it is enabled there; its items move to other instances.",
		},
		ErrorHandler: func(context.Context, props.Values) (spi.ErrorHandler, error) {
			return spi.ErrorHandlerFunc(handle), nil
		},
	}
}

func handle(context.Context, spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
	return spi.HandleErrorResponse{Decision: spi.DecisionStop}, nil
}

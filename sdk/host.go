package sdk

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/ops"
)

// HTTPRequest is a request for [Host.HTTP].
type HTTPRequest = ops.HTTPRequest

// HTTPResponse is a response of [Host.HTTP].
type HTTPResponse = ops.HTTPResponse

// Progress is how much of an item is done, for [Job.ReportProgress].
type Progress = ops.Progress

// Host is the way from a plugin to the node that called it, valid until the
// call returns and safe for concurrent use. It is part of what every function
// of a plugin gets. The operator decides what it may do: Wants of the
// descriptor say what the plugin would like to be granted.
//
// The zero value, as in a test that makes a Job, drops the log and fails every
// operation with [spi.CodeUnsupported]; set Services to answer them.
type Host struct {
	// Services is the door to the host, for operations without a method here.
	Services spi.Services

	// log writes to Services with the context of the call; nil drops.
	log func(record spi.LogRecord)
}

func newHost(ctx context.Context, services spi.Services) Host {
	return Host{Services: services, log: func(record spi.LogRecord) { services.Log(ctx, record) }}
}

// HTTP sends a request to a granted host and returns its response, of any
// status. Redirects are followed as far as they are granted. It fails with an
// [*spi.Error]: [spi.CodeDenied] for what is not granted, and
// [spi.CodeUnavailable] when the server cannot be reached.
func (h Host) HTTP(ctx context.Context, request HTTPRequest) (HTTPResponse, error) {
	return ops.HTTP(ctx, h.Services, request)
}

// Secret returns the secret of that name, which the operator keeps and grants
// by name. Keep it out of the log.
func (h Host) Secret(ctx context.Context, name string) (string, error) {
	return ops.Secret(ctx, h.Services, name)
}

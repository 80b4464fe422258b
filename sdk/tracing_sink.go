package sdk

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Trace is a batch of events of the history.
type Trace struct {
	Host
	// Events are in the order in which they happened on one instance. The two
	// events of an execution, at its start and its end, have one ID.
	Events []spi.TraceEvent
	// Props are the properties of the sink, defaults included.
	Props props.Values
}

// TracingSink returns the tracing sink of that name, which keeps what it is
// given. A batch that failed may come again: keep one event of an ID, the
// later. A call is bounded by 10 s. The description and fields are as for
// [JobType].
func TracingSink(name, description string, keep func(ctx context.Context, trace *Trace) error, fields ...props.Field) spi.Plugin {
	return spi.Plugin{
		Descriptor:  spi.Descriptor{Kind: spi.KindTracingSink, Type: name, Description: description, Props: fields},
		TracingSink: always[spi.TracingSink](sink(keep)),
	}
}

// sink is a function that is a tracing sink.
type sink func(ctx context.Context, trace *Trace) error

var _ spi.TracingSink = sink(nil)

// Trace hands the batch over.
func (s sink) Trace(ctx context.Context, req spi.TraceRequest) (spi.TraceResponse, error) {
	return spi.TraceResponse{}, s(ctx, &Trace{Host: newHost(ctx, req.Services), Events: req.Events, Props: req.Props})
}

package sdk

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Run is a run of a job as a listener sees it.
type Run struct {
	// JobRun says which run it is, and of which items: those of this instance,
	// or all with [spi.CapabilityDistributeOnce].
	spi.JobRun
	Host
	// Once says that one instance calls the listener for the whole run.
	Once bool
	// Props are the properties of the job that belong to the listener, defaults
	// included.
	Props props.Values
}

// JobListener returns the listener of that name: before is called before the
// first item of a run starts, after when the last one has ended, with the
// outcomes. Either may be nil. Every instance calls it for its part of a run;
// put [spi.CapabilityDistributeOnce] into Descriptor.Capabilities of the result
// to be called once for the whole run instead. A call is bounded by 10 s. The
// description and fields are as for [JobType].
func JobListener(name, description string, before, after func(ctx context.Context, run *Run) error, fields ...props.Field) spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:         spi.KindJobListener,
			Type:         name,
			Description:  description,
			Props:        fields,
			Capabilities: []string{spi.CapabilityPerInstance},
		},
		JobListener: always[spi.JobListener](&listener{before, after}),
	}
}

// listener is a job listener made of two functions.
type listener struct {
	before, after func(ctx context.Context, run *Run) error
}

var _ spi.JobListener = (*listener)(nil)

// BeforeJob calls before.
func (l *listener) BeforeJob(ctx context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	return spi.JobListenerResponse{}, tell(ctx, l.before, req)
}

// AfterJob calls after.
func (l *listener) AfterJob(ctx context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	return spi.JobListenerResponse{}, tell(ctx, l.after, req)
}

func tell(ctx context.Context, listen func(context.Context, *Run) error, req spi.JobListenerRequest) error {
	if listen == nil {
		return nil
	}
	return listen(ctx, &Run{JobRun: req.Run, Host: newHost(ctx, req.Services), Once: req.Once, Props: req.Props})
}

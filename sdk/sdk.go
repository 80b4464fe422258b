package sdk

import (
	"context"
	"slices"
	"sync"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Register adds the plugin to those that this program offers and returns it.
// It is called while the program starts, from a package variable or an init
// function. The host checks the plugins when it asks for their descriptions.
func Register(plugin spi.Plugin) spi.Plugin {
	program.add(plugin)
	return plugin
}

// Job is one item to work on, and the way to speak about it. It belongs to
// one call of the job's function.
type Job struct {
	// ShardingContext says what to do: the item and its parameter, the job's
	// parameter and properties, the fencing token.
	spi.ShardingContext
	// Services is the door to the host.
	Services spi.Services
	// Result is kept as the item's result; what is above 4 KiB is cut.
	Result string

	log func(record spi.LogRecord)
}

// JobType returns the job type of that name whose items are run by run. The
// description is one or two sentences for operators; fields are the properties
// that a job of this type can set, and reach run as Props with their defaults
// filled in. Change the Descriptor of the result to say more.
func JobType(name, description string, run func(ctx context.Context, job *Job) error, fields ...props.Field) spi.Plugin {
	execute := func(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
		job := &Job{ShardingContext: req.Context, Services: req.Services}
		job.log = func(record spi.LogRecord) { req.Services.Log(ctx, record) }
		if err := run(ctx, job); err != nil {
			return spi.ExecuteResponse{}, err
		}
		return spi.ExecuteResponse{Message: job.Result}, nil
	}
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:         spi.KindJobType,
			Type:         name,
			Description:  description,
			Props:        fields,
			Capabilities: []string{spi.CapabilityExecute},
		},
		JobType: func(context.Context, props.Values) (spi.JobType, error) { return spi.JobTypeFunc(execute), nil },
	}
}

// program is what Register filled: the one list of this guest or process.
//
//nolint:gochecknoglobals // package variables of the author fill it
var program list

// list is the plugins of a program. It is safe for concurrent use.
type list struct {
	mu sync.Mutex

	plugins []spi.Plugin
}

func (l *list) add(plugin spi.Plugin) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.plugins = append(l.plugins, plugin)
}

// all returns the plugins in the order of registration.
func (l *list) all() []spi.Plugin {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.plugins)
}

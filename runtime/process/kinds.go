package process

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// remote is a plugin of a program, for one job.
type remote struct {
	program *program
	name    string // its type
	values  props.Values
}

// or returns values, or those that the plugin was made with.
func (r *remote) or(values props.Values) props.Values {
	if values == nil {
		return r.values
	}
	return values
}

// pluginOf returns the plugin that a descriptor of the program stands for.
func pluginOf(p *program, d spi.Descriptor) spi.Plugin {
	plugin := spi.Plugin{Descriptor: d}
	made := func(values props.Values) remote { return remote{program: p, name: d.Type, values: values} }
	switch d.Kind {
	case spi.KindJobType:
		plugin.JobType = func(_ context.Context, values props.Values) (spi.JobType, error) {
			if d.Has(spi.CapabilityDataflow) {
				return &dataflow{jobType{made(values)}}, nil
			}
			return &jobType{made(values)}, nil
		}
	case spi.KindShardingStrategy:
		plugin.ShardingStrategy = func(_ context.Context, values props.Values) (spi.ShardingStrategy, error) {
			return &shardingStrategy{made(values)}, nil
		}
	case spi.KindErrorHandler:
		plugin.ErrorHandler = func(_ context.Context, values props.Values) (spi.ErrorHandler, error) {
			return &errorHandler{made(values)}, nil
		}
	case spi.KindJobListener:
		plugin.JobListener = func(_ context.Context, values props.Values) (spi.JobListener, error) {
			return &jobListener{made(values)}, nil
		}
	case spi.KindTracingSink:
		plugin.TracingSink = func(_ context.Context, values props.Values) (spi.TracingSink, error) {
			return &tracingSink{made(values)}, nil
		}
	default:
		// Refused when the program was described.
	}
	return plugin
}

package wasm

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// adapter is what the implementations of all kinds have in common: the plugin
// of a type name in a module, with properties.
type adapter struct {
	module *module
	plugin string
	values props.Values
}

// pluginOf returns the plugin that a module describes, with the constructor of
// its kind, which makes nothing but an adapter.
func pluginOf(m *module, d spi.Descriptor) spi.Plugin {
	p := spi.Plugin{Descriptor: d}
	switch d.Kind {
	case spi.KindJobType:
		if d.Has(spi.CapabilityDataflow) {
			p.JobType = constructor(m, d, func(a adapter) spi.JobType { return &dataflowJob{job{a}} })
		} else {
			p.JobType = constructor(m, d, func(a adapter) spi.JobType { return &job{a} })
		}
	case spi.KindShardingStrategy:
		p.ShardingStrategy = constructor(m, d, func(a adapter) spi.ShardingStrategy { return &shardingStrategy{a} })
	case spi.KindErrorHandler:
		p.ErrorHandler = constructor(m, d, func(a adapter) spi.ErrorHandler { return &errorHandler{a} })
	case spi.KindJobListener:
		p.JobListener = constructor(m, d, func(a adapter) spi.JobListener { return &jobListener{a} })
	case spi.KindTracingSink:
		p.TracingSink = constructor(m, d, func(a adapter) spi.TracingSink { return &tracingSink{a} })
	default: // checkPlugins has refused it
	}
	return p
}

func constructor[T any](m *module, d spi.Descriptor, adapt func(adapter) T) spi.Constructor[T] {
	return func(_ context.Context, values props.Values) (T, error) {
		return adapt(adapter{module: m, plugin: d.Type, values: values}), nil
	}
}

// exportsOf lists what a module must export to serve a plugin, and knows which
// capabilities its kind can have. Kinds that have no place here are not known.
func exportsOf(d spi.Descriptor) (exports, capabilities []string, known bool) {
	switch d.Kind {
	case spi.KindJobType:
		if d.Has(spi.CapabilityExecute) {
			exports = append(exports, wire.ExportExecute)
		}
		if d.Has(spi.CapabilityDataflow) {
			exports = append(exports, wire.ExportFetchData, wire.ExportProcessData)
		}
		return exports, []string{spi.CapabilityExecute, spi.CapabilityDataflow}, true
	case spi.KindShardingStrategy:
		return []string{wire.ExportShard}, nil, true
	case spi.KindErrorHandler:
		return []string{wire.ExportHandleError}, []string{spi.CapabilityNotify}, true
	case spi.KindJobListener:
		return []string{wire.ExportBeforeJob, wire.ExportAfterJob}, []string{spi.CapabilityPerInstance, spi.CapabilityDistributeOnce}, true
	case spi.KindTracingSink:
		return []string{wire.ExportTrace}, nil, true
	default:
		return nil, nil, false
	}
}

// orValues returns the properties of a request, or those of the adapter when
// the request has none.
func (a adapter) orValues(values props.Values) props.Values {
	if values == nil {
		return a.values
	}
	return values
}

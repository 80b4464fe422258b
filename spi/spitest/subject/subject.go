// Package subject is the plugins that the conformance suites call: one of each
// kind and a dataflow, written once against spi and spi/ops, so that they run
// built in, as a process and as a module. All but the dataflow have the same
// type name, which only kinds tell apart.
//
// What a call does is said by the property [PropDo]. What it finds out it logs
// as one line, and a job type returns it as its result too.
//
// The package is part of a guest and imports as little as one.
package subject

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// The type names of the plugins.
const (
	Type         = "SUBJECT"
	TypeDataflow = "SUBJECT_FLOW"
)

// Plugins returns the plugins.
func Plugins() []spi.Plugin {
	return []spi.Plugin{
		{
			Descriptor: describe(spi.KindJobType, Type, spi.CapabilityExecute),
			JobType:    constructor(func(c closer) spi.JobType { return job{c} }),
		},
		{
			Descriptor: describe(spi.KindJobType, TypeDataflow, spi.CapabilityDataflow),
			JobType:    constructor(func(c closer) spi.JobType { return dataflow{job{c}} }),
		},
		{
			Descriptor:       describe(spi.KindShardingStrategy, Type),
			ShardingStrategy: constructor(func(c closer) spi.ShardingStrategy { return strategy{c} }),
		},
		{
			Descriptor:   describe(spi.KindErrorHandler, Type),
			ErrorHandler: constructor(func(c closer) spi.ErrorHandler { return handler{c} }),
		},
		{
			Descriptor:  describe(spi.KindJobListener, Type, spi.CapabilityPerInstance, spi.CapabilityDistributeOnce),
			JobListener: constructor(func(c closer) spi.JobListener { return listener{c} }),
		},
		{
			Descriptor:  describe(spi.KindTracingSink, Type),
			TracingSink: constructor(func(c closer) spi.TracingSink { return sink{c} }),
		},
	}
}

// describe has every member of a descriptor and every type of a property.
func describe(kind spi.Kind, name string, capabilities ...string) spi.Descriptor {
	return spi.Descriptor{
		Kind: kind, Type: name, Version: "1.2.3-β", Description: "Does what the conformance suite asks for: “" + string(kind) + "”.",
		Capabilities: capabilities,
		Wants: []spi.Want{
			{Op: spi.OpHTTPRequest, Value: "api.example.com", Why: "to test, and 测试"},
			{Op: spi.OpSecretGet, Value: "token"},
		},
		Props: props.Schema{
			{Name: PropDo, Type: props.String, Description: "what a call does", Default: DoEcho},
			{Name: "count", Type: props.Int, Description: "a number", Default: "100", Min: "1", Max: "9007199254740993"},
			{Name: "rate", Type: props.Float, Description: "a share", Default: "0.5", Min: "0", Max: "1"},
			{Name: "on", Type: props.Bool, Description: "a switch", Default: "false"},
			{Name: "pause", Type: props.Duration, Description: "a time", Default: "1m30s", Example: "250ms"},
			{Name: "space", Type: props.Size, Description: "a size", Max: "64MiB"},
			{Name: "zones", Type: props.List, Description: "a list", Default: "a,b", Max: "3", Deprecated: "use zone"},
			{Name: "color", Type: props.String, Description: "one of a few", Enum: []string{"red", "grün", ""}},
			{Name: "code name", Type: props.String, Description: "what matches", Pattern: `[a-z]+(-\d+)?`},
			{Name: "file", Type: props.Path, Description: "a file"},
			{Name: "address", Type: props.URL, Description: "a place"},
			{Name: "token", Type: props.String, Description: "a secret", Secret: true},
			{Name: "label.*", Type: props.String, Description: "any label"},
			{Name: "*", Type: props.String, Description: "what the suite says besides"},
		},
	}
}

// constructor refuses properties when they say so.
func constructor[T any](of func(closer) T) spi.Constructor[T] {
	return func(_ context.Context, values props.Values) (T, error) {
		switch values[PropDo] {
		case DoRefuse:
			var none T
			return none, failure(values)
		case DoRefuseByPanic:
			panic(values[PropMessage])
		}
		return of(closer{fails: values[PropDo] == DoFailToClose}), nil
	}
}

// closer is what all implementations have in common.
type closer struct{ fails bool }

var _ spi.Closer = closer{}

// Close fails when it is told to.
func (c closer) Close(context.Context) error {
	if c.fails {
		return spi.NewError(spi.FirstAuthorCode, "closing failed")
	}
	return nil
}

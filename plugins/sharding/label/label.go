// Package label is the sharding strategy LABEL: only instances with certain labels
// own items, and another strategy spreads the items over those.
package label

import (
	"context"
	"fmt"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the strategy in config.
const Type = "LABEL"

const (
	propSelector = "label.selector"
	propStrategy = "label.strategy"
)

// Plugin returns the strategy; with are the strategies that it composes with, of
// which the first is the default. One that is to be asked after every run, or that
// broadcasts, cannot be among them: the engine asks LABEL, which is neither.
func Plugin(with ...spi.Plugin) spi.Plugin {
	selection := props.Field{
		Name: propSelector, Type: props.String, Required: true, Max: "4096", Example: "zone=a,disk!=hdd",
		Description: "What the labels of instances must be: key=value, key=value|other, key!=value, key or !key, separated by commas. An instance must meet all.",
	}
	strategy := props.Field{
		Name: propStrategy, Type: props.String,
		Description: "The strategy that spreads the items over the selected instances. Its properties are given beside this one.",
	}
	var others props.Schema
	constructors := make(map[string]spi.Constructor[spi.ShardingStrategy], len(with))
	needsLoad := false
	for i, p := range with {
		if i == 0 {
			strategy.Default = p.Descriptor.Type
		}
		strategy.Enum = append(strategy.Enum, p.Descriptor.Type)
		others = append(others, p.Descriptor.Props...)
		constructors[p.Descriptor.Type] = p.ShardingStrategy
		needsLoad = needsLoad || p.Descriptor.Has(spi.CapabilityLoad)
	}
	plugin := spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:        spi.KindShardingStrategy,
			Type:        Type,
			Version:     "1",
			Description: "Spreads the items over the instances whose labels match a selector, by another strategy.",
			Props:       append(props.Schema{selection, strategy}, others...),
		},
		ShardingStrategy: func(ctx context.Context, values props.Values) (spi.ShardingStrategy, error) {
			s, err := parseSelector(values.String(propSelector))
			if err != nil {
				return nil, &spi.Error{Code: spi.CodeInvalidProperties, Property: propSelector, Message: err.Error()}
			}
			construct := constructors[values.String(propStrategy)]
			if construct == nil {
				return nil, &spi.Error{Code: spi.CodeInvalidProperties, Property: propStrategy, Message: fmt.Sprintf("%q is not one of %s", values.String(propStrategy), strings.Join(strategy.Enum, ", "))}
			}
			inner, err := construct(ctx, values)
			if err != nil {
				return nil, err
			}
			return &labeled{selector: s, inner: inner, text: values.String(propSelector)}, nil
		},
	}
	if needsLoad {
		plugin.Descriptor.Capabilities = []string{spi.CapabilityLoad}
	}
	return plugin
}

// labeled is a strategy on selected instances. It is safe for concurrent use if
// the other strategy is.
type labeled struct {
	selector selector
	text     string
	inner    spi.ShardingStrategy
}

var _ spi.ShardingStrategy = (*labeled)(nil)

// Shard asks the other strategy about the selected instances. Without any it
// fails, so that items stay where they are until there is one.
func (l *labeled) Shard(ctx context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	var selected []spi.Instance
	for _, instance := range req.Instances {
		if l.selector.selects(instance) {
			selected = append(selected, instance)
		}
	}
	if len(selected) == 0 {
		return spi.ShardResponse{}, spi.NewError(spi.CodeNotFound, fmt.Sprintf("no instance of %d matches %s %q", len(req.Instances), propSelector, l.text))
	}
	req.Instances = selected
	return l.inner.Shard(ctx, req)
}

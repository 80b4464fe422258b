// Package function holds the job types SIMPLE and DATAFLOW: functions of the
// program that embeds a node, which jobs name by a property.
//
// A node has both types always, and the functions that its program has
// registered. A job whose function is not among them is refused when it is made,
// so a node does not host what another program runs.
package function

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// The names of the job types in config.
const (
	TypeSimple   = "SIMPLE"
	TypeDataflow = "DATAFLOW"
)

// The properties that name the function of a job. A host fills in the name of
// the job when it is not given.
const (
	PropSimple   = "simple.function"
	PropDataflow = "dataflow.function"
)

// Set is functions by name, as constructors of what runs them. It is only read.
type Set map[string]spi.Constructor[spi.JobType]

// Simple returns the job type SIMPLE, whose functions work on one item.
func Simple(functions Set) spi.Plugin {
	return plugin(TypeSimple, PropSimple, spi.CapabilityExecute, functions,
		"Calls a function of the program that embeds the node, for each item.")
}

// Dataflow returns the job type DATAFLOW, of pairs of functions that fetch and
// process data. What the set constructs implements [spi.Dataflow].
func Dataflow(functions Set) spi.Plugin {
	return plugin(TypeDataflow, PropDataflow, spi.CapabilityDataflow, functions,
		"Calls two functions of the program that embeds the node, one to fetch data of an item and one to process them.")
}

func plugin(typeName, property, capability string, functions Set, description string) spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:         spi.KindJobType,
			Type:         typeName,
			Version:      "1",
			Description:  description,
			Capabilities: []string{capability},
			Props: props.Schema{
				{Name: property, Type: props.String, Max: "256", Description: "name of the function; the name of the job when it is not given", Example: "reconcileOrders"},
				{Name: "*", Type: props.String, Description: "what the function reads itself"},
			},
		},
		JobType: func(ctx context.Context, values props.Values) (spi.JobType, error) {
			name := values.String(property)
			construct, ok := functions[name]
			if !ok {
				return nil, unknown(name, property, functions)
			}
			return construct(ctx, values)
		},
	}
}

// maxListed is how many functions a message lists.
const maxListed = 20

// unknown says which functions there are.
func unknown(name, property string, functions Set) error {
	names := slices.Sorted(maps.Keys(functions))
	message := "this program has no function " + strconv.Quote(name) + " for " + property
	if near, ok := props.Suggest(name, names); ok {
		message += "; did you mean " + strconv.Quote(near) + "?"
	} else if len(names) == 0 {
		message += "; it has none: functions belong to a program that embeds a node and registers them"
	} else if len(names) > maxListed {
		message += "; there are " + strings.Join(names[:maxListed], ", ") + " and " + strconv.Itoa(len(names)-maxListed) + " more"
	} else {
		message += "; there are " + strings.Join(names, ", ")
	}
	return &spi.Error{Code: spi.CodeInvalidProperties, Message: message, Property: property}
}

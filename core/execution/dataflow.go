package execution

import "github.com/elasticjob-go/elasticjob/spi/props"

// PropStreaming is the property of dataflow jobs that makes an item go on until
// nothing is left to fetch.
const PropStreaming = "streaming.process"

// DataflowProps are the properties that every job of a type with the dataflow
// capability has besides those of its plugin.
func DataflowProps() props.Schema {
	return props.Schema{{
		Name: PropStreaming, Type: props.Bool, Default: "false",
		Description: "fetch and process again until nothing is left, the node drains or the item moves",
	}}
}

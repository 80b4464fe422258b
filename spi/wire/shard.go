package wire

import (
	"github.com/elasticjob-go/elasticjob/spi"
)

// AppendShardRequest adds the request of elasticjob_shard for the strategy of
// that type name. Instances and items keep their order.
func AppendShardRequest(b []byte, plugin string, r spi.ShardRequest) []byte {
	b = appendPluginRequest(b, TypeShard, plugin)
	b = appendText(b, "jobName", r.JobName)
	b = appendInt(b, "shardingTotalCount", int64(r.ShardingTotalCount))
	b = appendList(appendName(b, "instances"), r.Instances, appendInstance)
	b = appendList(appendName(b, "items"), r.Items, func(b []byte, item spi.Item) []byte {
		b = appendInt(append(b, '{'), "item", int64(item.Item))
		return append(appendText(b, "parameter", item.Parameter), '}')
	})
	b = appendMap(appendName(b, "previous"), r.Previous, appendInts)
	b = appendTextMap(b, "props", r.Props)
	return append(b, '}')
}

// DecodeShardRequest reads the request of elasticjob_shard.
func DecodeShardRequest(data []byte) (plugin string, r spi.ShardRequest, err error) {
	err = decode(data, "shard request", requestFields(TypeShard,
		must("plugin", text(&plugin)),
		must("jobName", text(&r.JobName)),
		must("shardingTotalCount", integer(&r.ShardingTotalCount, 0, maxInteger)),
		must("instances", objects(MaxInstances, &r.Instances, instanceFields)),
		must("items", objects(MaxItems, &r.Items, func(item *spi.Item) []field {
			return []field{must("item", integer(&item.Item, 0, maxInteger)), must("parameter", text(&item.Parameter))}
		})),
		must("previous", mapOf(MaxInstances, &r.Previous, integers(MaxItems))),
		must("props", textMap(&r.Props)),
	)...)
	if err != nil {
		return "", spi.ShardRequest{}, err
	}
	return plugin, r, nil
}

// AppendShardResponse adds the response of elasticjob_shard.
func AppendShardResponse(b []byte, r spi.ShardResponse) []byte {
	b = appendMap(appendName(append(b, '{'), "assignment"), r.Assignment, appendInts)
	return append(b, '}')
}

// DecodeShardResponse reads the response of elasticjob_shard. It checks the
// form only: whether each item has one owner is the engine's to say.
func DecodeShardResponse(data []byte) (spi.ShardResponse, error) {
	var r spi.ShardResponse
	if err := decode(data, "shard response", must("assignment", mapOf(MaxInstances, &r.Assignment, integers(MaxItems)))); err != nil {
		return spi.ShardResponse{}, err
	}
	return r, nil
}

func appendInstance(b []byte, i spi.Instance) []byte {
	b = appendText(append(b, '{'), "id", i.ID)
	b = appendText(b, "ip", i.IP)
	b = appendTextMap(b, "labels", i.Labels)
	if i.Load != 0 {
		b = appendInt(b, "load", int64(i.Load))
	}
	return append(b, '}')
}

func instanceFields(i *spi.Instance) []field {
	return []field{
		must("id", text(&i.ID)),
		must("ip", text(&i.IP)),
		must("labels", textMap(&i.Labels)),
		may("load", integer(&i.Load, 0, maxInteger)),
	}
}

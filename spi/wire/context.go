package wire

import (
	"github.com/elasticjob-go/elasticjob/spi"
)

// maxInteger is the largest number of a message: 2^53-1, up to which every
// language that reads numbers as doubles is exact.
const maxInteger = 1<<53 - 1

// AppendContext adds the sharding context as JSON, which commands get as it
// is and requests carry as their member "context". The deadline is absent
// when zero and the checkpoint when nil.
func AppendContext(b []byte, c spi.ShardingContext) []byte {
	b = append(b, '{')
	b = appendText(b, "jobName", c.JobName)
	b = appendText(b, "taskId", c.TaskID)
	b = appendInt(b, "shardingTotalCount", int64(c.ShardingTotalCount))
	b = appendText(b, "jobParameter", c.JobParameter)
	b = appendInt(b, "shardingItem", int64(c.ShardingItem))
	b = appendText(b, "shardingParameter", c.ShardingParameter)
	b = appendText(b, "runId", c.RunID)
	b = appendTime(b, "fireTime", c.FireTime)
	b = appendText(b, "executionSource", string(c.ExecutionSource))
	b = appendInt(b, "attempt", int64(c.Attempt))
	b = appendDecimal(b, "fencingToken", c.FencingToken)
	if !c.Deadline.IsZero() {
		b = appendTime(b, "deadline", c.Deadline)
	}
	if c.Checkpoint != nil {
		b = appendBytes(b, "checkpoint", c.Checkpoint)
	}
	b = appendTextMap(b, "props", c.Props)
	return append(b, '}')
}

// DecodeContext reads what [AppendContext] writes.
func DecodeContext(data []byte) (spi.ShardingContext, error) {
	var c spi.ShardingContext
	if err := decode(data, "context", contextFields(&c)...); err != nil {
		return spi.ShardingContext{}, err
	}
	return c, nil
}

func contextFields(c *spi.ShardingContext) []field {
	return []field{
		must("jobName", text(&c.JobName)),
		must("taskId", text(&c.TaskID)),
		must("shardingTotalCount", integer(&c.ShardingTotalCount, 0, maxInteger)),
		must("jobParameter", text(&c.JobParameter)),
		must("shardingItem", integer(&c.ShardingItem, 0, maxInteger)),
		must("shardingParameter", text(&c.ShardingParameter)),
		must("runId", text(&c.RunID)),
		must("fireTime", instant(&c.FireTime)),
		must("executionSource", text(&c.ExecutionSource)),
		must("attempt", integer(&c.Attempt, 0, maxInteger)),
		must("fencingToken", decimal(&c.FencingToken)),
		may("deadline", instant(&c.Deadline)),
		may("checkpoint", base64Bytes(MaxCheckpoint, &c.Checkpoint)),
		must("props", textMap(&c.Props)),
	}
}

package wire

import (
	"github.com/elasticjob-go/elasticjob/spi"
)

// AppendJobListenerRequest adds the request of elasticjob_before_job or
// elasticjob_after_job, as requestType says, for the listener of that type
// name.
func AppendJobListenerRequest(b []byte, requestType, plugin string, r spi.JobListenerRequest) []byte {
	b = appendPluginRequest(b, requestType, plugin)
	b = appendBool(b, "once", r.Once)
	b = appendRun(appendName(b, "run"), r.Run)
	b = appendTextMap(b, "props", r.Props)
	return append(b, '}')
}

// DecodeJobListenerRequest reads the request of elasticjob_before_job or
// elasticjob_after_job, as requestType says.
func DecodeJobListenerRequest(requestType string, data []byte) (plugin string, r spi.JobListenerRequest, err error) {
	err = decode(data, requestType+" request", requestFields(requestType,
		must("plugin", text(&plugin)),
		must("once", boolean(&r.Once)),
		must("run", object(runFields(&r.Run)...)),
		must("props", textMap(&r.Props)),
	)...)
	if err != nil {
		return "", spi.JobListenerRequest{}, err
	}
	return plugin, r, nil
}

// AppendJobListenerResponse adds the response of elasticjob_before_job and
// elasticjob_after_job.
func AppendJobListenerResponse(b []byte, _ spi.JobListenerResponse) []byte { return AppendNothing(b) }

// DecodeJobListenerResponse reads the response of elasticjob_before_job and
// elasticjob_after_job. Empty data counts as {}.
func DecodeJobListenerResponse(data []byte) (spi.JobListenerResponse, error) {
	return spi.JobListenerResponse{}, decodeNothing(data, "job listener response")
}

func appendRun(b []byte, run spi.JobRun) []byte {
	b = appendText(append(b, '{'), "jobName", run.JobName)
	b = appendText(b, "taskId", run.TaskID)
	b = appendText(b, "runId", run.RunID)
	b = appendTime(b, "fireTime", run.FireTime)
	b = appendText(b, "executionSource", string(run.ExecutionSource))
	b = appendInt(b, "shardingTotalCount", int64(run.ShardingTotalCount))
	b = appendText(b, "jobParameter", run.JobParameter)
	b = appendList(appendName(b, "items"), run.Items, appendRunItem)
	return append(b, '}')
}

func runFields(run *spi.JobRun) []field {
	return []field{
		must("jobName", text(&run.JobName)),
		must("taskId", text(&run.TaskID)),
		must("runId", text(&run.RunID)),
		must("fireTime", instant(&run.FireTime)),
		must("executionSource", text(&run.ExecutionSource)),
		must("shardingTotalCount", integer(&run.ShardingTotalCount, 0, maxInteger)),
		must("jobParameter", text(&run.JobParameter)),
		must("items", objects(MaxItems, &run.Items, runItemFields)),
	}
}

func appendRunItem(b []byte, item spi.RunItem) []byte {
	b = appendInt(append(b, '{'), "item", int64(item.Item))
	b = appendText(b, "parameter", item.Parameter)
	b = appendGiven(b, "outcome", string(item.Outcome))
	if item.Error != nil {
		b = AppendError(appendName(b, "error"), item.Error)
	}
	return append(b, '}')
}

func runItemFields(item *spi.RunItem) []field {
	return []field{
		must("item", integer(&item.Item, 0, maxInteger)),
		must("parameter", text(&item.Parameter)),
		may("outcome", text(&item.Outcome)),
		may("error", errorObject(&item.Error)),
	}
}

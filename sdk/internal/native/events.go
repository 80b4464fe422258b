//go:build !wasip1

package native

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
)

// instant reads an instant; an absent one is zero.
func instant(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func fromRun(r *pluginpb.JobRun) spi.JobRun {
	out := spi.JobRun{
		JobName: r.GetJobName(), TaskID: r.GetTaskId(), RunID: r.GetRunId(), FireTime: instant(r.GetFireTime()),
		ExecutionSource: spi.Source(r.GetExecutionSource()), ShardingTotalCount: int(r.GetShardingTotalCount()), JobParameter: r.GetJobParameter(),
	}
	for _, i := range r.GetItems() {
		out.Items = append(out.Items, spi.RunItem{
			Item: int(i.GetItem()), Parameter: i.GetParameter(), Outcome: spi.Outcome(i.GetOutcome()), Error: fromError(i.GetError()),
		})
	}
	return out
}

func fromEvents(events []*pluginpb.TraceEvent) []spi.TraceEvent {
	out := make([]spi.TraceEvent, len(events))
	for i, e := range events {
		out[i] = spi.TraceEvent{
			ID: e.GetId(), Kind: spi.TraceKind(e.GetKind()), Time: instant(e.GetTime()), JobName: e.GetJobName(), TaskID: e.GetTaskId(), RunID: e.GetRunId(),
			Instance: fromInstance(e.GetInstance()), ExecutionSource: spi.Source(e.GetExecutionSource()), Item: int(e.GetItem()), Attempt: int(e.GetAttempt()),
			Start: instant(e.GetStart()), End: instant(e.GetEnd()), Success: e.GetSuccess(), Error: fromError(e.GetError()),
			State: spi.TraceState(e.GetState()), Message: e.GetMessage(),
		}
		for _, item := range e.GetItems() {
			out[i].Items = append(out[i].Items, int(item))
		}
	}
	return out
}

func fromInstance(i *pluginpb.Instance) spi.Instance {
	return spi.Instance{ID: i.GetId(), IP: i.GetIp(), Labels: i.GetLabels(), Load: int(i.GetLoad())}
}

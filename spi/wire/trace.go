package wire

import (
	"github.com/elasticjob-go/elasticjob/spi"
)

// AppendTraceRequest adds the request of elasticjob_trace for the tracing sink
// of that type name. Events keep their order; one of no known kind carries
// only what all events have.
func AppendTraceRequest(b []byte, plugin string, r spi.TraceRequest) []byte {
	b = appendPluginRequest(b, TypeTrace, plugin)
	b = appendList(appendName(b, "events"), r.Events, appendEvent)
	b = appendTextMap(b, "props", r.Props)
	return append(b, '}')
}

// DecodeTraceRequest reads the request of elasticjob_trace.
func DecodeTraceRequest(data []byte) (plugin string, r spi.TraceRequest, err error) {
	err = decode(data, "trace request", requestFields(TypeTrace,
		must("plugin", text(&plugin)),
		must("events", list(MaxEvents, func(element raw) *mismatch {
			var event spi.TraceEvent
			bad := decodeEvent(element, &event)
			r.Events = append(r.Events, event)
			return bad
		})),
		must("props", textMap(&r.Props)),
	)...)
	if err != nil {
		return "", spi.TraceRequest{}, err
	}
	return plugin, r, nil
}

// AppendTraceResponse adds the response of elasticjob_trace.
func AppendTraceResponse(b []byte, _ spi.TraceResponse) []byte { return AppendNothing(b) }

// DecodeTraceResponse reads the response of elasticjob_trace. Empty data
// counts as {}.
func DecodeTraceResponse(data []byte) (spi.TraceResponse, error) {
	return spi.TraceResponse{}, decodeNothing(data, "trace response")
}

func appendEvent(b []byte, e spi.TraceEvent) []byte {
	b = appendText(append(b, '{'), "id", e.ID)
	b = appendText(b, "kind", string(e.Kind))
	b = appendTime(b, "time", e.Time)
	b = appendText(b, "jobName", e.JobName)
	b = appendText(b, "taskId", e.TaskID)
	b = appendText(b, "runId", e.RunID)
	b = appendInstance(appendName(b, "instance"), e.Instance)
	b = appendText(b, "executionSource", string(e.ExecutionSource))
	switch e.Kind {
	case spi.TraceExecution:
		b = appendInt(b, "item", int64(e.Item))
		b = appendInt(b, "attempt", int64(e.Attempt))
		b = appendTime(b, "start", e.Start)
		if !e.End.IsZero() {
			b = appendTime(b, "end", e.End)
		}
		b = appendBool(b, "success", e.Success)
		if e.Error != nil {
			b = AppendError(appendName(b, "error"), e.Error)
		}
	case spi.TraceStatus:
		b = appendInts(appendName(b, "items"), e.Items)
		b = appendText(b, "state", string(e.State))
		b = appendText(b, "message", Cut(e.Message, MaxText))
	}
	return append(b, '}')
}

// decodeEvent reads what all events have and then what those of its kind have.
func decodeEvent(value raw, e *spi.TraceEvent) *mismatch {
	bad := decodeObject(value,
		must("id", text(&e.ID)),
		must("kind", text(&e.Kind)),
		must("time", instant(&e.Time)),
		must("jobName", text(&e.JobName)),
		must("taskId", text(&e.TaskID)),
		must("runId", text(&e.RunID)),
		must("instance", object(instanceFields(&e.Instance)...)),
		must("executionSource", text(&e.ExecutionSource)),
	)
	if bad != nil {
		return bad
	}
	switch e.Kind {
	case spi.TraceExecution:
		return decodeObject(value,
			must("item", integer(&e.Item, 0, maxInteger)),
			must("attempt", integer(&e.Attempt, 0, maxInteger)),
			must("start", instant(&e.Start)),
			may("end", instant(&e.End)),
			must("success", boolean(&e.Success)),
			may("error", errorObject(&e.Error)),
		)
	case spi.TraceStatus:
		return decodeObject(value,
			must("items", integers(MaxItems)(&e.Items)),
			must("state", text(&e.State)),
			must("message", text(&e.Message)),
		)
	default:
		return nil
	}
}

package subject

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/ops"
)

// texts writes fields as name=value.
type texts struct{ b strings.Builder }

func (t *texts) raw(name, value string) {
	if t.b.Len() > 0 {
		t.b.WriteByte(' ')
	}
	t.b.WriteString(name + "=" + value)
}

func (t *texts) text(name, value string)    { t.raw(name, strconv.Quote(value)) }
func (t *texts) number(name string, n int)  { t.raw(name, strconv.Itoa(n)) }
func (t *texts) truth(name string, is bool) { t.raw(name, strconv.FormatBool(is)) }

func (t *texts) instant(name string, at time.Time) {
	if at.IsZero() {
		t.raw(name, "none")
		return
	}
	t.raw(name, at.Format(time.RFC3339Nano))
}

func (t *texts) texts(name string, values map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		t.text(name+"["+strconv.Quote(key)+"]", values[key])
	}
}

func (t *texts) numbers(name string, numbers []int) {
	all := make([]string, len(numbers))
	for i, n := range numbers {
		all[i] = strconv.Itoa(n)
	}
	t.raw(name, "["+strings.Join(all, ",")+"]")
}

// ContextText says all of a sharding context.
func ContextText(c spi.ShardingContext) string {
	var t texts
	t.text("jobName", c.JobName)
	t.text("taskId", c.TaskID)
	t.number("shardingTotalCount", c.ShardingTotalCount)
	t.text("jobParameter", c.JobParameter)
	t.number("shardingItem", c.ShardingItem)
	t.text("shardingParameter", c.ShardingParameter)
	t.text("runId", c.RunID)
	t.instant("fireTime", c.FireTime)
	t.text("executionSource", string(c.ExecutionSource))
	t.number("attempt", c.Attempt)
	t.raw("fencingToken", strconv.FormatInt(c.FencingToken, 10))
	t.instant("deadline", c.Deadline)
	if c.Checkpoint == nil {
		t.raw("checkpoint", "none")
	} else {
		t.text("checkpoint", string(c.Checkpoint))
	}
	t.texts("props", c.Props)
	return t.b.String()
}

// ErrorText says all of an error but its stack, of which it says whether there
// is one.
func ErrorText(e *spi.Error) string {
	if e == nil {
		return "none"
	}
	var t texts
	t.raw("code", strconv.Itoa(int(e.Code)))
	t.text("message", e.Message)
	t.truth("stack", e.Stack != "")
	t.truth("retryable", e.Retryable)
	t.text("property", e.Property)
	t.raw("retryAfter", e.RetryAfter.String())
	return t.b.String()
}

// SizeText is the text of a response, or its size when it is long.
func SizeText(response []byte) string {
	if len(response) > 1<<10 {
		return strconv.Itoa(len(response)) + " bytes"
	}
	return string(response)
}

// HTTPText says all of an HTTP response.
func HTTPText(r ops.HTTPResponse) string {
	var t texts
	t.number("status", r.Status)
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		t.text("header["+name+"]", strings.Join(r.Headers[name], "|"))
	}
	t.text("body", string(r.Body))
	return t.b.String()
}

// DataText says the data of a batch, and what a dataflow goes on with.
func DataText(data [][]byte) string {
	var t texts
	for i, datum := range data {
		t.text(strconv.Itoa(i), string(datum))
	}
	return t.b.String()
}

// ShardText says all of a request to shard.
func ShardText(r spi.ShardRequest) string {
	var t texts
	t.text("jobName", r.JobName)
	t.number("shardingTotalCount", r.ShardingTotalCount)
	for _, instance := range r.Instances {
		t.raw("instance", instanceText(instance))
	}
	for _, item := range r.Items {
		t.text("item["+strconv.Itoa(item.Item)+"]", item.Parameter)
	}
	for _, id := range slices.Sorted(maps.Keys(r.Previous)) {
		t.numbers("previous["+strconv.Quote(id)+"]", r.Previous[id])
	}
	t.texts("props", r.Props)
	return t.b.String()
}

func instanceText(i spi.Instance) string {
	var t texts
	t.text("id", i.ID)
	t.text("ip", i.IP)
	t.texts("labels", i.Labels)
	t.number("load", i.Load)
	return "{" + t.b.String() + "}"
}

// FailureText says all of a request to handle an error.
func FailureText(r spi.HandleErrorRequest) string {
	var t texts
	t.raw("context", "{"+ContextText(r.Context)+"}")
	t.raw("error", "{"+ErrorText(r.Error)+"}")
	t.texts("props", r.Props)
	t.number("count", r.Count)
	t.instant("first", r.First)
	t.instant("last", r.Last)
	t.numbers("items", r.Items)
	return t.b.String()
}

// RunText says all of a request to a listener, and of which of its methods.
func RunText(method string, r spi.JobListenerRequest) string {
	var t texts
	t.raw("method", method)
	t.truth("once", r.Once)
	t.text("jobName", r.Run.JobName)
	t.text("taskId", r.Run.TaskID)
	t.text("runId", r.Run.RunID)
	t.instant("fireTime", r.Run.FireTime)
	t.text("executionSource", string(r.Run.ExecutionSource))
	t.number("shardingTotalCount", r.Run.ShardingTotalCount)
	t.text("jobParameter", r.Run.JobParameter)
	for _, item := range r.Run.Items {
		var of texts
		of.number("item", item.Item)
		of.text("parameter", item.Parameter)
		of.text("outcome", string(item.Outcome))
		of.raw("error", "{"+ErrorText(item.Error)+"}")
		t.raw("item", "{"+of.b.String()+"}")
	}
	t.texts("props", r.Props)
	return t.b.String()
}

// EventText says all of an event.
func EventText(e spi.TraceEvent) string {
	var t texts
	t.text("id", e.ID)
	t.text("kind", string(e.Kind))
	t.instant("time", e.Time)
	t.text("jobName", e.JobName)
	t.text("taskId", e.TaskID)
	t.text("runId", e.RunID)
	t.raw("instance", instanceText(e.Instance))
	t.text("executionSource", string(e.ExecutionSource))
	t.number("item", e.Item)
	t.number("attempt", e.Attempt)
	t.instant("start", e.Start)
	t.instant("end", e.End)
	t.truth("success", e.Success)
	t.raw("error", "{"+ErrorText(e.Error)+"}")
	t.numbers("items", e.Items)
	t.text("state", string(e.State))
	t.text("message", e.Message)
	return t.b.String()
}

// TraceText says all of a batch of events.
func TraceText(r spi.TraceRequest) string {
	var t texts
	for _, e := range r.Events {
		t.raw("event", "{"+EventText(e)+"}")
	}
	t.texts("props", r.Props)
	return t.b.String()
}

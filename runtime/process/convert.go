package process

import (
	"math"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// valid makes text valid UTF-8, which protobuf insists on.
func valid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return string([]rune(text))
}

func validMap(texts map[string]string) map[string]string {
	out := make(map[string]string, len(texts))
	for name, text := range texts {
		out[valid(name)] = valid(text)
	}
	return out
}

// instant cuts an instant to milliseconds, as the ABI has it.
func instant(t time.Time) *timestamppb.Timestamp {
	return timestamppb.New(t.Truncate(time.Millisecond))
}

// optionalInstant leaves a zero instant out.
func optionalInstant(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return instant(t)
}

func toContext(c spi.ShardingContext) *pluginpb.ShardingContext {
	return &pluginpb.ShardingContext{
		JobName: valid(c.JobName), TaskId: valid(c.TaskID), ShardingTotalCount: int64(c.ShardingTotalCount), JobParameter: valid(c.JobParameter),
		ShardingItem: int64(c.ShardingItem), ShardingParameter: valid(c.ShardingParameter), RunId: valid(c.RunID), FireTime: instant(c.FireTime),
		ExecutionSource: valid(string(c.ExecutionSource)), Attempt: int64(c.Attempt), FencingToken: c.FencingToken, Checkpoint: c.Checkpoint, Props: validMap(c.Props),
		Deadline: optionalInstant(c.Deadline),
	}
}

// toError writes an error with the bounds of the ABI.
func toError(e *spi.Error) *pluginpb.Error {
	return &pluginpb.Error{
		Code: int32(e.Code), Message: wire.Cut(valid(e.Message), wire.MaxText), Stack: wire.Cut(valid(e.Stack), wire.MaxStack),
		Retryable: &e.Retryable, Property: wire.Cut(valid(e.Property), wire.MaxText), RetryAfterMillis: e.RetryAfter.Milliseconds(),
	}
}

// fromError reads the error of a plugin. Codes that only a host may use become
// spi.CodeProtocol.
func fromError(e *pluginpb.Error) *spi.Error {
	out := &spi.Error{
		Code: spi.Code(e.GetCode()), Message: wire.Cut(e.GetMessage(), wire.MaxText),
		Stack: wire.Cut(e.GetStack(), wire.MaxStack), Property: wire.Cut(e.GetProperty(), wire.MaxText),
		RetryAfter: time.Duration(min(max(0, e.GetRetryAfterMillis()), math.MaxInt32)) * time.Millisecond,
	}
	sent := out.Code
	out.Code = sent.FromGuest()
	out.Retryable = out.Code.Retryable()
	if out.Code == spi.CodeProtocol {
		out.Message = wire.Cut("the plugin may not send code "+sent.String()+": "+out.Message, wire.MaxText)
	} else if e.Retryable != nil {
		out.Retryable = e.GetRetryable()
	}
	return out
}

func toInstance(i spi.Instance) *pluginpb.Instance {
	return &pluginpb.Instance{Id: valid(i.ID), Ip: valid(i.IP), Labels: validMap(i.Labels), Load: int64(i.Load)}
}

func toItems(assignment map[string][]int) map[string]*pluginpb.Items {
	out := make(map[string]*pluginpb.Items, len(assignment))
	for id, items := range assignment {
		list := &pluginpb.Items{Items: make([]int64, len(items))}
		for i, item := range items {
			list.Items[i] = int64(item)
		}
		out[valid(id)] = list
	}
	return out
}

func fromItems(assignment map[string]*pluginpb.Items) map[string][]int {
	out := make(map[string][]int, len(assignment))
	for id, list := range assignment {
		items := make([]int, len(list.GetItems()))
		for i, item := range list.GetItems() {
			items[i] = int(item)
		}
		out[id] = items
	}
	return out
}

func fromDescriptor(d *pluginpb.Descriptor) spi.Descriptor {
	out := spi.Descriptor{
		Kind: spi.Kind(d.GetKind()), Type: d.GetType(), Version: d.GetVersion(), Description: d.GetDescription(), Capabilities: d.GetCapabilities(),
	}
	for _, f := range d.GetProps() {
		out.Props = append(out.Props, props.Field{
			Name: f.GetName(), Type: props.Type(f.GetType()), Description: f.GetDescription(), Default: f.GetDefault(), Required: f.GetRequired(),
			Enum: f.GetEnum(), Min: f.GetMin(), Max: f.GetMax(), Pattern: f.GetPattern(), Secret: f.GetSecret(), Example: f.GetExample(), Deprecated: f.GetDeprecated(),
		})
	}
	for _, w := range d.GetWants() {
		out.Wants = append(out.Wants, spi.Want{Op: w.GetOp(), Value: w.GetValue(), Why: w.GetWhy()})
	}
	return out
}

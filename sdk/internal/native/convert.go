//go:build !wasip1

package native

import (
	"time"
	"unicode/utf8"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// text makes a string valid UTF-8, which protobuf insists on.
func text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

func fromContext(c *pluginpb.ShardingContext) spi.ShardingContext {
	return spi.ShardingContext{
		JobName: c.GetJobName(), TaskID: c.GetTaskId(), ShardingTotalCount: int(c.GetShardingTotalCount()), JobParameter: c.GetJobParameter(),
		ShardingItem: int(c.GetShardingItem()), ShardingParameter: c.GetShardingParameter(), RunID: c.GetRunId(), FireTime: instant(c.GetFireTime()),
		ExecutionSource: spi.Source(c.GetExecutionSource()), Attempt: int(c.GetAttempt()), FencingToken: c.GetFencingToken(), Deadline: instant(c.GetDeadline()), Checkpoint: c.GetCheckpoint(), Props: c.GetProps(),
	}
}

func fromShard(req *pluginpb.ShardRequest) spi.ShardRequest {
	out := spi.ShardRequest{
		JobName: req.GetJobName(), ShardingTotalCount: int(req.GetShardingTotalCount()), Props: req.GetProps(), Previous: make(map[string][]int, len(req.GetPrevious())),
	}
	for _, i := range req.GetInstances() {
		out.Instances = append(out.Instances, fromInstance(i))
	}
	for _, i := range req.GetItems() {
		out.Items = append(out.Items, spi.Item{Item: int(i.GetItem()), Parameter: i.GetParameter()})
	}
	for id, list := range req.GetPrevious() {
		out.Previous[id] = make([]int, 0, len(list.GetItems()))
		for _, item := range list.GetItems() {
			out.Previous[id] = append(out.Previous[id], int(item))
		}
	}
	return out
}

func toItems(assignment map[string][]int) map[string]*pluginpb.Items {
	out := make(map[string]*pluginpb.Items, len(assignment))
	for id, items := range assignment {
		list := &pluginpb.Items{}
		for _, item := range items {
			list.Items = append(list.Items, int64(item))
		}
		out[text(id)] = list
	}
	return out
}

// toError writes an error with the bounds of the ABI.
func toError(e *spi.Error) *pluginpb.Error {
	return &pluginpb.Error{
		Code: int32(e.Code), Message: wire.Cut(text(e.Message), wire.MaxText), Stack: wire.Cut(text(e.Stack), wire.MaxStack),
		Retryable: &e.Retryable, Property: wire.Cut(text(e.Property), wire.MaxText), RetryAfterMillis: e.RetryAfter.Milliseconds(),
	}
}

// fromError reads an error of the host.
func fromError(e *pluginpb.Error) *spi.Error {
	if e == nil {
		return nil
	}
	return &spi.Error{
		Code: spi.Code(e.GetCode()), Message: e.GetMessage(), Stack: e.GetStack(), Retryable: e.GetRetryable(), Property: e.GetProperty(),
		RetryAfter: time.Duration(e.GetRetryAfterMillis()) * time.Millisecond,
	}
}

func toDescriptor(d spi.Descriptor) *pluginpb.Descriptor {
	out := &pluginpb.Descriptor{Kind: string(d.Kind), Type: text(d.Type), Version: text(d.Version), Description: text(d.Description)}
	for _, capability := range d.Capabilities {
		out.Capabilities = append(out.Capabilities, text(capability))
	}
	for _, f := range d.Props {
		field := &pluginpb.Field{
			Name: text(f.Name), Type: text(string(f.Type)), Description: text(f.Description), Default: text(f.Default), Required: f.Required,
			Min: text(f.Min), Max: text(f.Max), Pattern: text(f.Pattern), Secret: f.Secret, Example: text(f.Example), Deprecated: text(f.Deprecated),
		}
		for _, value := range f.Enum {
			field.Enum = append(field.Enum, text(value))
		}
		out.Props = append(out.Props, field)
	}
	for _, w := range d.Wants {
		out.Wants = append(out.Wants, &pluginpb.Want{Op: text(w.Op), Value: text(w.Value), Why: text(w.Why)})
	}
	return out
}

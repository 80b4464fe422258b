package spitest

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/spitest/subject"
)

// ShardingStrategy calls the sharding strategy.
func ShardingStrategy(t *testing.T, h Host) {
	t.Helper()
	p := h.plugin(t, spi.KindShardingStrategy, subject.Type)
	shard := func(ctx context.Context, req spi.ShardRequest) (assignment map[string][]int, failed *spi.Error) {
		failed = use(ctx, h, p.ShardingStrategy, req.Props, func(strategy spi.ShardingStrategy) error {
			response, err := strategy.Shard(ctx, req)
			assignment = response.Assignment
			return err
		})
		return assignment, failed
	}
	performAll(t, h, some(), func(ctx context.Context, values props.Values, services spi.Services) *spi.Error {
		req := sampleShardRequest()
		req.Props, req.Services = values, services
		_, failed := shard(ctx, req)
		return failed
	})
	requests := map[string]spi.ShardRequest{
		"whole request": sampleShardRequest(),
		"least request": {JobName: "j", ShardingTotalCount: 1, Instances: []spi.Instance{{ID: "a"}}, Items: []spi.Item{{}}},
		"many items":    manyItems(),
	}
	for name, req := range requests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder := &Recorder{}
			req.Props, req.Services = do(subject.DoEcho, "label.区", "一"), recorder
			if _, failed := shard(t.Context(), req); failed != nil {
				t.Fatalf("Shard() fails with %s, want success", subject.ErrorText(failed))
			}
			if diff := cmp.Diff([]string{subject.ShardText(req)}, recorder.Lines()); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
	assignments := map[string]string{
		"no assignment":            "",
		"all items":                "a=0,2|名 \"b\"=1,3",
		"no items for an instance": "a=|b=0,1,2,3",
		"an item twice":            "a=0,0|b=0",
		"items out of order":       "a=3,1,2,0",
		"items beyond the job":     "a=4,10000",
		"strangers":                "nobody=0",
	}
	for name, text := range assignments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := sampleShardRequest()
			req.Props, req.Services = do(subject.DoSay, subject.PropAssignment, text), &Recorder{}
			got, failed := shard(t.Context(), req)
			if failed != nil {
				t.Fatalf("Shard() fails with %s, want success", subject.ErrorText(failed))
			}
			if diff := cmp.Diff(subject.Assignment(req.Props), got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("assignment (-want +got):\n%s", diff)
			}
		})
	}
}

func sampleShardRequest() spi.ShardRequest {
	return spi.ShardRequest{
		JobName: "orders.夜", ShardingTotalCount: 4,
		Instances: []spi.Instance{
			{ID: "10.0.0.2@-@7@-@0a1b2c3d", IP: "10.0.0.2", Labels: map[string]string{"zone": "甲", "": ""}},
			{ID: "10.0.0.10@-@7@-@0a1b2c3d", IP: "10.0.0.10", Load: 12},
			{ID: "node \"3\"", IP: ""},
		},
		Items:    []spi.Item{{Item: 0, Parameter: "北京"}, {Item: 1}, {Item: 2, Parameter: "\"c\"\n"}, {Item: 3}},
		Previous: map[string][]int{"gone": {0, 1}, "10.0.0.2@-@7@-@0a1b2c3d": {}, "node \"3\"": {3, 2}},
	}
}

// manyItems is the largest job, on as many instances as make its text fit a log
// line.
func manyItems() spi.ShardRequest {
	req := spi.ShardRequest{JobName: "large", ShardingTotalCount: 2000, Instances: []spi.Instance{{ID: "a", IP: "::1"}}}
	for item := range req.ShardingTotalCount {
		req.Items = append(req.Items, spi.Item{Item: item, Parameter: "p"})
	}
	return req
}

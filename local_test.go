package elasticjob_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob"
)

// TestRunLocalRunsItemsOfAJob runs functions, with nothing but what the
// configuration says of the job.
func TestRunLocalRunsItemsOfAJob(t *testing.T) {
	t.Parallel()
	orders := elasticjob.NewJob("orders")
	orders.ShardingTotalCount, orders.ShardingItemParameters = 3, "0=Beijing,2=Shanghai"
	c := scheduled(t, orders)
	other := scheduled(t, elasticjob.NewJob("other")).Jobs[0] // whose function is not there
	c.Jobs = append(c.Jobs, other)
	run := elasticjob.WithFunc("orders", func(ctx context.Context, job *elasticjob.Job) error {
		if job.ShardingItem == 1 {
			panic("nobody lives here")
		}
		job.Result = job.ShardingParameter
		return job.SaveCheckpoint(ctx, []byte(job.ShardingParameter))
	})
	log := &records{}
	items, err := elasticjob.RunLocal(t.Context(), c, elasticjob.LocalRun{Job: "orders"}, run, elasticjob.WithLogger(log.logger()))
	if err != nil {
		t.Fatal(err)
	}
	if len(items) != 3 || items[0].Result != "Beijing" || items[0].Parameter != "Beijing" || string(items[2].Checkpoint) != "Shanghai" ||
		items[1].Outcome != elasticjob.OutcomeFailure || items[1].Error.Message != "panic: nobody lives here" || items[1].Error.Stack == "" {
		t.Errorf("RunLocal() = %+v, want two successes beside a panic", items)
	}
	if len(log.with(t, "item started", "orders")) != 3 || len(log.with(t, "item finished", "orders")) != 3 || len(log.with(t, "checkpoint", "orders")) != 2 {
		t.Error("the log lacks records of the items")
	}
	if len(log.with(t, "node started", "")) > 0 {
		t.Error("RunLocal() has started a node")
	}

	items, err = elasticjob.RunLocal(t.Context(), c, elasticjob.LocalRun{Job: "orders", Items: []int{2, 0}}, run)
	if err != nil || len(items) != 2 || items[0].Item != 0 || items[1].Item != 2 {
		t.Errorf("RunLocal() of items 2 and 0 = %+v, %v, want them alone", items, err)
	}
}

// TestRunLocalRunsAJobOfAFile runs a module with what its plugins entry grants,
// and reads its properties as a node does.
func TestRunLocalRunsAJobOfAFile(t *testing.T) {
	t.Parallel()
	c := load(t, fmt.Sprintf(`
elasticjob:
  plugins: [{wasm: %[1]q, limits: {memory: 32MiB}}]
  jobs:
    loops: {elasticJobType: WASM, every: 1s, shardingTotalCount: 2, timeout: 200ms, jobParameter: loop, props: {wasm.module: %[1]q}}
    streams: {elasticJobType: DATAFLOW, every: 1s, shardingTotalCount: 1, props: {dataflow.function: count, streaming.process: true}}
    wrong: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 1, props: {fake.duration: soon}}
`, absolute(t, guest)))
	count := elasticjob.WithDataflow("count",
		func(_ context.Context, _ *elasticjob.Job, cursor string) ([]int, string, error) {
			if len(cursor) == 3 {
				return nil, "", nil
			}
			return []int{len(cursor)}, cursor + "x", nil
		},
		func(context.Context, *elasticjob.Job, []int) error { return nil })
	items, err := elasticjob.RunLocal(t.Context(), c, elasticjob.LocalRun{Job: "loops", Items: []int{1}})
	if err != nil || len(items) != 1 || items[0].Outcome != elasticjob.OutcomeFailure || items[0].Error.Message != "timeout of 200ms exceeded" {
		t.Errorf("RunLocal() of a loop = %+v, %v, want its timeout", items, err)
	}
	items, err = elasticjob.RunLocal(t.Context(), c, elasticjob.LocalRun{Job: "streams"}, count)
	if err != nil || len(items) != 1 || items[0].Result != "batches: 3, data: 3" {
		t.Errorf("RunLocal() of a stream = %+v, %v, want three batches", items, err)
	}
	_, err = elasticjob.RunLocal(t.Context(), c, elasticjob.LocalRun{Job: "wrong"})
	var problems elasticjob.Problems
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Line != 7 {
		t.Errorf("RunLocal() of a job with a bad property = %v, want its problem at line 7", err)
	}
}

func TestRunLocalSaysWhyNothingRan(t *testing.T) {
	t.Parallel()
	c := scheduled(t, elasticjob.NewJob("orders"))
	two := c
	two.Jobs = append(slices.Clone(c.Jobs), scheduled(t, elasticjob.NewJob("bills")).Jobs...)
	tests := []struct {
		name   string
		config elasticjob.Config
		run    elasticjob.LocalRun
		want   string
	}{
		{"unknown job", c, elasticjob.LocalRun{Job: "order"}, `job "order" locally: unknown job`},
		{"none of two", two, elasticjob.LocalRun{}, "none is named, and the configuration has 2"},
		{"item too large", c, elasticjob.LocalRun{Items: []int{1}}, "there is no item 1"},
		{"item below zero", c, elasticjob.LocalRun{Items: []int{-1}}, "there is no item -1"},
		{"item twice", c, elasticjob.LocalRun{Items: []int{0, 0}}, "item 0 is named twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			items, err := elasticjob.RunLocal(t.Context(), tt.config, tt.run, elasticjob.WithFunc("orders", nothing))
			if items != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("RunLocal() = %v, %v, want an error with %q", items, err, tt.want)
			}
		})
	}
}

package main

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob"
)

// setup returns the folder's configuration, changed to keep its data elsewhere,
// and a table of the test's own.
func setup(t *testing.T) (elasticjob.Config, *table) {
	t.Helper()
	config, problems := elasticjob.LoadFile("elasticjob.yaml")
	if len(problems) > 0 {
		t.Fatalf("LoadFile() = %v, want no problems", problems)
	}
	config.OverrideDataDir(filepath.Join(t.TempDir(), "data"))
	orders, err := openTable(t.Context(), filepath.Join(t.TempDir(), "orders.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := orders.db.Close(); err != nil {
			t.Errorf("closing the table: %v", err)
		}
	})
	return config, orders
}

// results runs all items of a job once, and returns what they say.
func results(t *testing.T, config elasticjob.Config, orders *table, job string) (said []string) {
	t.Helper()
	items, err := elasticjob.RunLocal(t.Context(), config, elasticjob.LocalRun{Job: job}, orders.functions()...)
	if err != nil {
		t.Fatalf("RunLocal(%s) = %v, want nil", job, err)
	}
	for _, item := range items {
		if item.Error != nil {
			t.Errorf("item %d of %s fails: %v", item.Item, job, item.Error)
		}
		said = append(said, item.Result)
	}
	return said
}

// done counts the orders that are shipped.
func done(t *testing.T, orders *table) (n int) {
	t.Helper()
	if err := orders.db.QueryRowContext(t.Context(), `SELECT sum(done) FROM orders`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAFireShipsOneBatch(t *testing.T) {
	t.Parallel()
	config, orders := setup(t)
	for fire, want := range []struct {
		results []string
		done    int
	}{
		{[]string{"batches: 1, data: 10", "batches: 1, data: 10", "batches: 1, data: 10"}, 30},
		{[]string{"batches: 1, data: 10", "batches: 1, data: 10", "batches: 1, data: 10"}, 60},
		{[]string{"batches: 1, data: 10", "batches: 1, data: 10", "batches: 1, data: 10"}, 90},
		{[]string{"batches: 1, data: 3", "batches: 1, data: 3", "batches: 1, data: 4"}, 100},
		{[]string{"batches: 0, data: 0", "batches: 0, data: 0", "batches: 0, data: 0"}, 100},
	} {
		got := results(t, config, orders, "ship")
		// Shanghai has the orders 1, 4, … 100, which is one more than the others.
		slices.Sort(got)
		if diff := cmp.Diff(want.results, got); diff != "" {
			t.Errorf("results of fire %d (-want +got):\n%s", fire, diff)
		}
		if got := done(t, orders); got != want.done {
			t.Errorf("after fire %d %d orders are shipped, want %d", fire, got, want.done)
		}
	}
}

// TestAStreamShipsEverything does the first thing that the README proposes.
func TestAStreamShipsEverything(t *testing.T) {
	t.Parallel()
	config, orders := setup(t)
	config.Jobs[0].Props["streaming.process"] = "true"
	want := []string{"batches: 4, data: 33", "batches: 4, data: 34", "batches: 4, data: 33"}
	if diff := cmp.Diff(want, results(t, config, orders, "ship")); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if got := done(t, orders); got != 100 {
		t.Errorf("%d orders are shipped, want all 100", got)
	}
}

// TestARetryGoesOnBehindTheCheckpoint runs the job in a node, and the same without
// the checkpoint, as the README proposes.
func TestARetryGoesOnBehindTheCheckpoint(t *testing.T) {
	t.Parallel()
	for checkpoint, want := range map[string]string{"true": "batches: 2, data: 13", "false": "batches: 4, data: 33"} {
		t.Run(checkpoint, func(t *testing.T) {
			t.Parallel()
			config, orders := setup(t)
			config.Jobs = slices.DeleteFunc(config.Jobs, func(j elasticjob.JobConfig) bool { return j.Name != "report" })
			config.Jobs[0].Props["streaming.checkpoint"] = checkpoint
			config.Jobs[0].Every = time.Second
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			var mu sync.Mutex
			got := map[int]elasticjob.ItemFinished{} // by attempt, of Beijing
			observer := elasticjob.Observer{Finished: func(e elasticjob.ItemFinished) {
				mu.Lock()
				defer mu.Unlock()
				if _, seen := got[e.Attempt]; e.Item != 0 || seen {
					return
				}
				if got[e.Attempt] = e; e.Attempt == 2 {
					stop()
				}
			}}
			if err := elasticjob.Run(ctx, config, append(orders.functions(), elasticjob.WithObserver(observer))...); err != nil {
				t.Fatal(err)
			}
			if first := got[1]; first.Error == nil || first.Error.Message != "processing batch 3: the service is away" {
				t.Errorf("the first attempt ends with %s, %v, want a failure", first.Outcome, first.Error)
			}
			if second := got[2]; second.Result != want || second.Run != got[1].Run {
				t.Errorf("the second attempt of run %s says %q of run %s, want %q of the same", got[1].Run, second.Result, second.Run, want)
			}
		})
	}
}

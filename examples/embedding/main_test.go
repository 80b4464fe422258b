package main

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/elasticjob-go/elasticjob"
)

// TestANodeShipsTheOrders runs the program's node until both jobs have done
// their work.
func TestANodeShipsTheOrders(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	config, s := configuration(), newShop()
	config.OverrideDataDir(filepath.Join(t.TempDir(), "data"))
	counted := make(chan string, 100)
	observer := elasticjob.Observer{Finished: func(e elasticjob.ItemFinished) {
		if e.Outcome != elasticjob.OutcomeSuccess {
			t.Errorf("item %d of %s ended with %s: %v", e.Item, e.Job, e.Outcome, e.Error)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if e.Job == "countStock" && len(s.open) == 0 {
			counted <- e.Result
			stop()
		}
	}}
	if err := elasticjob.Run(ctx, config, append(s.functions(), elasticjob.WithObserver(observer))...); err != nil {
		t.Fatal(err)
	}
	if len(s.shipped) != 30 {
		t.Errorf("%d orders were shipped, want each of the 30 once", len(s.shipped))
	}
	seen := map[int]bool{}
	for _, o := range s.shipped {
		if seen[o.ID] {
			t.Errorf("order %d was shipped twice", o.ID)
		}
		seen[o.ID] = true
	}
	if result := <-counted; result[:len("0 orders")] != "0 orders" {
		t.Errorf("the last count says %q, want no open order", result)
	}
}

// TestOneCityWithoutANode tests a job as a function of its item, as unit tests of
// embedding programs may.
func TestOneCityWithoutANode(t *testing.T) {
	t.Parallel()
	s := newShop()
	config := configuration()
	config.OverrideDataDir(filepath.Join(t.TempDir(), "data"))
	items, err := elasticjob.RunLocal(t.Context(), config, elasticjob.LocalRun{Job: "shipOrders", Items: []int{1}}, s.functions()...)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := items[0].Result, "batches: 3, data: 10"; got != want || len(s.shipped) != 10 {
		t.Errorf("RunLocal() = %q with %d orders shipped, want %q and 10", got, len(s.shipped), want)
	}
	if got := items[0].Progress; got.Done != 10 || got.Total != 30 {
		t.Errorf("progress = %+v, want 10 of 30", got)
	}
}

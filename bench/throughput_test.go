package main

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// TestThroughputIsMeasured runs a row of each kind with little to run.
func TestThroughputIsMeasured(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(context.Context, *atomic.Int64) (flowing, error){
		"node":  startFlow(3, 5),
		"asynq": startTasks(2000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &settings{window: 2 * time.Second, hot: func() error { return nil }}
			results, err := measureFlow(t.Context(), s, flow{row: "few", who: name, start: start})
			if err != nil {
				t.Fatal(err)
			}
			if rate, calls := number(t, results, "items/s"), number(t, results, "calls/item"); rate <= 0 || calls <= 0 {
				t.Errorf("measureFlow() = %+v, want items and calls above zero", results)
			}
		})
	}
}

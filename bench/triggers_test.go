package main

import (
	"context"
	"testing"
	"time"
)

// TestTriggersAreMeasured runs each row of the triggers a few times.
func TestTriggersAreMeasured(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		start func(context.Context, chan<- time.Time) (triggered, error)
		knows bool
	}{
		"node":      {startTriggered(false, 1, true), true},
		"two nodes": {startTriggered(true, 2, false), true},
		"asynq":     {startAsynq(10 * time.Millisecond), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &settings{hot: func() error { return nil }}
			results, err := measureTriggers(t.Context(), s, triggering{row: "few", who: name, count: 5, start: tt.start})
			if err != nil {
				t.Fatal(err)
			}
			if n := number(t, results, "triggers"); n != 5 {
				t.Errorf("measureTriggers() saw %v triggers, want 5", n)
			}
			start, call, end := number(t, results, "p50"), number(t, results, "call p50"), number(t, results, "end known p99")
			if start <= 0 || call <= 0 || (end > 0) != tt.knows || tt.knows && end < start {
				t.Errorf("measureTriggers() = %+v, want times above zero, and the end after the start if it is known", results)
			}
		})
	}
}

package host_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/fake"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// TestFailuresAreCountedForTheirWindow lets a job fail every 7 s and looks at the
// messages of 70 s. The window is that of the job, and a minute unless it says so.
func TestFailuresAreCountedForTheirWindow(t *testing.T) {
	t.Parallel()
	type message struct {
		Second int // since the first
		Count  int
	}
	for window, want := range map[string][]message{
		"":    {{0, 1}, {60, 8}},
		"25s": {{0, 1}, {25, 3}, {50, 4}},
		"0s":  {{0, 1}, {7, 1}, {14, 1}, {21, 1}, {28, 1}, {35, 1}, {42, 1}, {49, 1}, {56, 1}, {63, 1}},
	} {
		t.Run("window="+window, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var got []message
				var first time.Time
				channel := spi.Plugin{
					Descriptor: spi.Descriptor{Kind: spi.KindErrorHandler, Type: "CHANNEL", Description: "notes messages", Capabilities: []string{spi.CapabilityNotify}},
					ErrorHandler: func(context.Context, props.Values) (spi.ErrorHandler, error) {
						return spi.ErrorHandlerFunc(func(_ context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
							mu.Lock()
							defer mu.Unlock()
							if got == nil {
								first = time.Now()
							}
							got = append(got, message{int(time.Since(first).Seconds()), req.Count})
							return spi.HandleErrorResponse{Decision: spi.DecisionContinue}, nil
						}), nil
					},
				}
				c := fakeJob("orders", 1, map[string]string{fake.PropFailureRate: "1"})
				c.Every, c.ErrorHandlerTypes = 7*time.Second, []string{"CHANNEL"}
				if window != "" {
					c.Props[execution.PropWindow] = window
				}
				n := startNode(t, settings{jobs: []job.Config{c}, plugins: []spi.Plugin{channel}})
				for isTold := false; !isTold; {
					time.Sleep(500 * time.Millisecond)
					mu.Lock()
					isTold = got != nil
					mu.Unlock()
				}
				time.Sleep(69 * time.Second)
				mu.Lock()
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("messages (-want +got):\n%s", diff)
				}
				mu.Unlock()
				n.stop(t)
			})
		})
	}
}

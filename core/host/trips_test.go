package host

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
)

// TestCallsOfAFiring counts the scripts that a fleet runs in a minute in which a job
// fires every second, beside one in which it does not. What the registry does in one
// of them is counted by its own tests.
func TestCallsOfAFiring(t *testing.T) {
	t.Parallel()
	// late lets one item end so much later than the others that they are reported first.
	late := func(_ context.Context, req spi.ExecuteRequest) error {
		if req.Context.ShardingItem == 0 {
			time.Sleep(600 * time.Millisecond)
		}
		return nil
	}
	for name, test := range map[string]struct {
		nodes, items int
		monitored    bool
		code         func(context.Context, spi.ExecuteRequest) error
		want         int64
	}{
		"one node":                   {1, 4, true, quick, 2},
		"an item that ends late":     {1, 4, true, late, 3},
		"two nodes":                  {2, 4, true, quick, 4},
		"a node without items":       {2, 1, true, quick, 2},
		"not monitored":              {2, 4, false, quick, 0},
		"not monitored, without any": {2, 1, false, quick, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls := func(every time.Duration) int64 {
					var n atomic.Int64
					f := newFleet(t, setup{
						jobs: []job.Config{fleetJob(every, test.items, test.monitored)}, plugins: []spi.Plugin{probe(test.code)},
						before: func(args []any) error {
							if text, ok := args[0].(string); ok && strings.HasPrefix(strings.ToLower(text), "eval") {
								n.Add(1)
							}
							return nil
						},
					})
					// Leases are renewed every five seconds from here on, not where the
					// count begins and ends.
					sleepUntil(nextMultiple(time.Minute))
					for range test.nodes {
						f.join()
					}
					time.Sleep(time.Minute + 2900*time.Millisecond)
					n.Store(0)
					time.Sleep(time.Minute)
					all := n.Load()
					f.leaveAll()
					return all
				}
				const firings = int64(time.Minute / time.Second)
				if got := calls(time.Second) - calls(24*time.Hour); got != test.want*firings {
					t.Errorf("scripts of %d firings = %d, want %d", firings, got, test.want*firings)
				}
			})
		})
	}
}

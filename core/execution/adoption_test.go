package execution

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
)

// TestAGapEndsWhereOthersOwnedTheItem lets a node get an item back that was
// another's meanwhile, without its having heard of that: what it misses from then
// on is another gap.
func TestAGapEndsWhereOthersOwnedTheItem(t *testing.T) {
	t.Parallel()
	at := func(second int) time.Time { return time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC) }
	cases := map[string]struct {
		previous int64
		want     []ItemMisfired
	}{
		"kept all the time": {previous: 1},
		"another's in between": {
			previous: 2,
			want:     []ItemMisfired{{Job: "orders", Item: 0, Reason: ReasonStillRunning, Count: 2, From: at(1), To: at(2)}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []ItemMisfired
			events := &Events{}
			events.Misfired.Subscribe(func(e ItemMisfired) { got = append(got, e) })
			e := New(Config{Partitions: []Center{nil}, MaxRunningItems: 1, Now: func() time.Time { return at(9) }, Events: events})
			j := e.Add("orders", &Spec{Config: job.Config{MonitorExecution: true, ShardingTotalCount: 1}}, 0)
			items := registry.NewItems(0)
			j.takeOver(registry.Assignment{Job: "orders", Generation: 1, Items: items})
			j.mu.Lock()
			j.miss(0, ReasonStillRunning, 2, at(1), at(2))
			j.unlock()
			j.takeOver(registry.Assignment{Job: "orders", Generation: 3, Previous: c.previous, Items: items})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("records of gaps after takeOver() (-want +got):\n%s", diff)
			}
		})
	}
}

package elasticjob_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// TestTriggersOnTwoNodes triggers jobs with and without schedule and marks from
// either of two nodes on a real Redis.
func TestTriggersOnTwoNodes(t *testing.T) {
	t.Parallel()
	file := fmt.Sprintf(`
elasticjob:
  regCenter: {serverLists: %s, namespace: orders, sessionTimeoutMilliseconds: 3000}
  jobs:
    rebuild: {elasticJobType: FAKE, shardingTotalCount: 4}
    export: {elasticJobType: FAKE, shardingTotalCount: 4, monitorExecution: false}
    reconcile: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 4}
`, redistest.Start(t).Addr())
	first, firstLog := start(t, load(t, file))
	second, secondLog := start(t, load(t, file))
	for _, name := range []string{"rebuild", "export", "reconcile"} {
		waitFor(t, name+" shared by both nodes", func() bool {
			items, err := first.Items(t.Context(), name)
			owners := map[string]bool{}
			for _, i := range items {
				owners[i.Owner] = true
			}
			return err == nil && len(owners) == 2 && !owners[""]
		})
		for _, node := range []*elasticjob.Node{first, second} {
			result, err := node.Trigger(t.Context(), elasticjob.Trigger{Job: name, By: "test"})
			if err != nil || len(result.Accepted) != 4 {
				t.Fatalf("Trigger(%s) = %+v, %v, want all items accepted", name, result, err)
			}
			info, err := second.AwaitTrigger(t.Context(), name, result.ID)
			if err != nil || !slices.Equal(info.Succeeded, []int{0, 1, 2, 3}) || info.By != "test" {
				t.Errorf("AwaitTrigger(%s) = %+v, %v, want all items to have succeeded", name, info, err)
			}
			if state, err := first.TriggerState(t.Context(), name, result.ID); err != nil || !cmp.Equal(state, info) {
				t.Errorf("TriggerState(%s) = %+v, %v, want what the wait has returned, %+v", name, state, err, info)
			}
			started := map[any]int{}
			for _, log := range []*records{firstLog, secondLog} {
				for _, r := range log.with(t, "item started", name) {
					if r["run"] == result.ID {
						started[r["item"]]++
						if r["source"] != "ONE_OFF" {
							t.Errorf("item started with source %v, want ONE_OFF", r["source"])
						}
					}
				}
			}
			for item, n := range started {
				if n != 1 {
					t.Errorf("item %v of %s was started %d times, want once", item, name, n)
				}
			}
			if len(started) != 4 {
				t.Errorf("trigger of %s started items %v, want four", name, started)
			}
		}
	}
	if _, err := first.Trigger(t.Context(), elasticjob.Trigger{Job: "nobody"}); !errors.Is(err, elasticjob.ErrUnknownJob) {
		t.Errorf("Trigger of an unknown job = %v, want %v", err, elasticjob.ErrUnknownJob)
	}
	if _, err := first.Disable(t.Context(), elasticjob.WholeJob("rebuild"), "test"); err != nil {
		t.Fatal(err)
	}
	if result, err := second.Trigger(t.Context(), elasticjob.Trigger{Job: "rebuild"}); !errors.Is(err, elasticjob.ErrRefused) || len(result.Refused) != 1 || result.Refused[0].Reason != elasticjob.RefusedJobDisabled {
		t.Errorf("Trigger of a disabled job = %+v, %v, want it refused", result, err)
	}
	if _, err := first.AwaitTrigger(t.Context(), "rebuild", "00000000-0000-7000-8000-000000000001"); !errors.Is(err, elasticjob.ErrUnknownTrigger) {
		t.Errorf("AwaitTrigger of an unknown id = %v, want %v", err, elasticjob.ErrUnknownTrigger)
	}
	for _, node := range []*elasticjob.Node{first, second} {
		if err := node.Stop(t.Context()); err != nil {
			t.Errorf("Stop() = %v, want nil", err)
		}
	}
}

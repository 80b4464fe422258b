package execution

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/schedule"
	"github.com/elasticjob-go/elasticjob/spi"
)

// TestALateFireIsCaughtUpWithMisfireOnly delivers a fire half a minute late, as
// the timer does after the process was stopped for a while.
func TestALateFireIsCaughtUpWithMisfireOnly(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		for _, misfire := range []bool{true, false} {
			t.Run(fmt.Sprintf("monitored=%v, misfire=%v", monitored, misfire), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := startRig(t)
					var missed []ItemMisfired
					r.events.Misfired.Subscribe(func(e ItemMisfired) { missed = append(missed, e) })
					j := r.host("orders", 1, &Spec{
						Config:  job.Config{MonitorExecution: monitored},
						JobType: code(func(context.Context, spi.ExecuteRequest) error { return nil }),
					})
					j.spec.Config.Misfire = misfire
					time.Sleep(time.Minute)
					now := time.Now().UTC().Truncate(time.Millisecond)
					instant := now.Add(-30 * time.Second)
					j.Fire(schedule.Due{Instant: instant, Now: now})
					synctest.Wait()
					r.stop(t)
					var wantEnds []string
					wantMissed := []ItemMisfired{{Job: "orders", Reason: ReasonNotRunning, Count: 1, From: instant, To: instant}}
					if misfire {
						wantEnds, wantMissed = []string{"0 MISFIRE success"}, nil
					}
					if diff := cmp.Diff(wantEnds, endings(r.ends())); diff != "" {
						t.Errorf("ends of the item differ (-want +got):\n%s", diff)
					}
					if diff := cmp.Diff(wantMissed, missed); diff != "" {
						t.Errorf("records of what was missed differ (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

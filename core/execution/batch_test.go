package execution

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// TestAReportIsMadeSoonAfterTheRegistryIsBack lets the ends of items of many jobs go
// unanswered for a while: soon after they are answered again, all are reported, and
// nobody has asked for each job by itself.
func TestAReportIsMadeSoonAfterTheRegistryIsBack(t *testing.T) {
	t.Parallel()
	for _, away := range []time.Duration{100 * time.Millisecond, 1200 * time.Millisecond, 20 * time.Second} {
		t.Run(away.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := startRig(t)
				r.away.Store(true)
				const jobs = 20
				for i := range jobs {
					spec := &Spec{JobType: code(func(context.Context, spi.ExecuteRequest) error { return nil })}
					spec.Config.MonitorExecution = true
					r.fire(r.host(fmt.Sprint("job", i), 1, spec))
				}
				time.Sleep(away)
				r.away.Store(false)
				if n, most := r.tries.Load(), int64(10+away/longestSilence); n > most {
					t.Errorf("asked %d times in %v, want at most %d", n, away, most)
				}
				time.Sleep(longestSilence)
				synctest.Wait()
				if n := len(r.reports()); n != jobs {
					t.Errorf("%d reports %v after the registry is back, want %d", n, longestSilence, jobs)
				}
				r.stop(t)
			})
		})
	}
}

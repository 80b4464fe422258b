package host

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
)

// TestAnotherTypeNeedsOverwrite is #1595, #1745, #1909, #1960 and #469 of
// ElasticJob, where a renamed class keeps nodes from starting even with overwrite.
func TestAnotherTypeNeedsOverwrite(t *testing.T) {
	t.Parallel()
	for _, overwrite := range []bool{false, true} {
		t.Run(fmt.Sprintf("overwrite=%v", overwrite), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var renamed atomic.Int32
				plugins := []spi.Plugin{probe(quick), jobTypeOf("RENAMED", func(context.Context, spi.ExecuteRequest) error {
					renamed.Add(1)
					return nil
				})}
				c := fleetJob(time.Second, 1, true)
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: plugins})
				f.join()
				time.Sleep(3 * time.Second)
				c.Type, c.Overwrite = "RENAMED", overwrite
				n := observe(t, setup{jobs: []job.Config{c}, plugins: plugins})
				n.onto(f.server)
				err := n.Start(t.Context())
				switch {
				case overwrite && err == nil:
					f.nodes, f.up = append(f.nodes, n), append(f.up, n)
				case overwrite:
					t.Errorf("Start() with overwrite = %v, want nil", err)
				case err == nil:
					f.nodes, f.up = append(f.nodes, n), append(f.up, n)
					t.Error("Start() without overwrite = nil, want an error")
				case !strings.Contains(err.Error(), "RENAMED") || !strings.Contains(err.Error(), "PROBE"):
					t.Errorf("Start() without overwrite = %v, want both types named", err)
				}
				time.Sleep(5 * time.Second)
				if ran := renamed.Load() > 0; ran != overwrite {
					t.Errorf("the job ran by its new type: %v, want %v", ran, overwrite)
				}
				f.leaveAll()
			})
		})
	}
}

// TestListenersAreThoseOfTheRegistry is #2188 of ElasticJob: a node whose file
// names other listeners, without overwrite, calls its own there.
func TestListenersAreThoseOfTheRegistry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 4, true)
		c.ListenerTypes = []string{"HEAR_A"}
		first, second := &onlooker{running: map[string]int{}, most: map[string]int{}}, &onlooker{running: map[string]int{}, most: map[string]int{}}
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: first.plugins()})
		f.join()
		time.Sleep(3 * time.Second)
		c.ListenerTypes = []string{"HEAR_B"}
		f.setup = setup{jobs: []job.Config{c}, plugins: second.plugins()}
		f.join()
		time.Sleep(10 * time.Second)
		f.leaveAll()
		if stored, own := second.count("HEAR_A"), second.count("HEAR_B"); stored == 0 || own != 0 {
			t.Errorf("the second node called the registry's listener %d times and that of its file %d times, want the former alone", stored, own)
		}
	})
}

// TestJobsThatWaitHaveNoGoroutines is #510, #1813 and #640 of ElasticJob, where
// each job has threads of its own. It is not parallel, as it counts all that the
// process has.
func TestJobsThatWaitHaveNoGoroutines(t *testing.T) { //nolint:paralleltest // see above
	run := func(number int) int {
		jobs := make([]job.Config, number)
		for i := range jobs {
			jobs[i] = fleetJob(24*time.Hour, 1, true)
			jobs[i].Name = fmt.Sprintf("job%d", i)
		}
		n := observe(t, setup{jobs: jobs, plugins: []spi.Plugin{probe(quick)}})
		before := runtime.NumGoroutine()
		n.start(t)
		// What is done for each job when it is assigned ends soon.
		count := runtime.NumGoroutine() - before
		for deadline := time.Now().Add(30 * time.Second); count > 100 && time.Now().Before(deadline); count = runtime.NumGoroutine() - before {
			time.Sleep(10 * time.Millisecond)
		}
		n.stop(t)
		return count
	}
	if n := run(500); n > 100 {
		t.Errorf("a node of 500 jobs that wait has %d goroutines, want a few and none for each job", n)
	}
}

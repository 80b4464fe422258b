package host

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// edition is one version of a plugin, which notes what it runs.
type edition struct {
	took time.Duration

	mu    sync.Mutex
	began []time.Time // of each call
	ended int
}

func (e *edition) plugin() spi.Plugin {
	return probe(func(context.Context, spi.ExecuteRequest) error {
		e.mu.Lock()
		e.began = append(e.began, time.Now())
		e.mu.Unlock()
		time.Sleep(e.took)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.ended++
		return nil
	})
}

// calls returns how many calls began and ended.
func (e *edition) calls() (began, ended int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.began), e.ended
}

// reload gives a node the jobs and, besides the basics, the plugins.
func (n *observed) reload(t *testing.T, jobs []job.Config, plugins ...spi.Plugin) (<-chan struct{}, error) {
	t.Helper()
	c := n.config.Node
	c.Jobs = jobs
	return n.reloadAs(t, c, plugins...)
}

// reloadAs gives a node another configuration and, besides the basics, the
// plugins.
func (n *observed) reloadAs(t *testing.T, c config.Config, plugins ...spi.Plugin) (<-chan struct{}, error) {
	t.Helper()
	available := catalog.New()
	if err := available.Add(testSource(), append(basics(), plugins...)...); err != nil {
		t.Fatal(err)
	}
	return n.Reload(t.Context(), c, available)
}

func (n *observed) mustReload(t *testing.T, jobs []job.Config, plugins ...spi.Plugin) <-chan struct{} {
	t.Helper()
	idle, err := n.reload(t, jobs, plugins...)
	if err != nil {
		t.Fatalf("Reload() = %v, want nil", err)
	}
	n.note("reloaded")
	return idle
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestReloadedPluginsTakeOverWithTheNextRun gives a fleet another version of its
// plugin, one node after the other, while items run.
func TestReloadedPluginsTakeOverWithTheNextRun(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		t.Run(fmt.Sprintf("monitored=%v", monitored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(2*time.Second, 6, monitored)
				c.PoolType = "6"
				before, after := &edition{took: 1500 * time.Millisecond}, &edition{took: time.Second}
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{before.plugin()}})
				a, b := f.join(), f.join()
				first := nextMultiple(2 * time.Second).Add(2 * time.Second)
				sleepUntil(first.Add(10 * time.Second).Add(time.Second))
				idle := a.mustReload(t, []job.Config{c}, after.plugin())
				synctest.Wait()
				if isClosed(idle) {
					t.Error("the former plugins are idle while an item runs")
				}
				sleepUntil(first.Add(30 * time.Second).Add(300 * time.Millisecond))
				if !isClosed(idle) {
					t.Error("the former plugins are in use after their last run")
				}
				if began, _ := after.calls(); began == 0 {
					t.Error("no item ran with the new plugins")
				}
				idle = b.mustReload(t, []job.Config{c}, after.plugin())
				sleepUntil(first.Add(40 * time.Second).Add(300 * time.Millisecond))
				if !isClosed(idle) {
					t.Error("the former plugins are in use after the last node was reloaded")
				}
				former, _ := before.calls()
				sleepUntil(first.Add(60 * time.Second).Add(300 * time.Millisecond))
				last := nextMultiple(2 * time.Second).Add(-2 * time.Second)
				f.leaveAll()
				if began, ended := before.calls(); began != former || ended != began {
					t.Errorf("calls of the former plugin = %d, of which %d ended, want %d", began, ended, former)
				}
				for item := range c.ShardingTotalCount {
					f.checkStartedOnce(c, item, first, last)
				}
			})
		})
	}
}

// TestAReloadTakesJobsFromTheFile adds a job, changes one and leaves one out.
func TestAReloadTakesJobsFromTheFile(t *testing.T) {
	t.Parallel()
	named := func(name string, every time.Duration) job.Config {
		c := probeJob(every)
		c.Name = name
		return c
	}
	tests := []struct {
		name     string
		embedded bool
		// overwrite is that of the changed job.
		overwrite bool
		wantNext  time.Duration // the period of the changed job
		wantGone  bool
	}{
		{name: "shared registry", wantNext: time.Second},
		{name: "shared registry, overwrite", overwrite: true, wantNext: 5 * time.Second},
		{name: "embedded registry", embedded: true, wantNext: 5 * time.Second, wantGone: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				of := &edition{}
				s := setup{jobs: []job.Config{named("stays", time.Second), named("changes", time.Second), named("goes", time.Second)}, plugins: []spi.Plugin{of.plugin()}}
				var n *observed
				f := newFleet(t, s)
				if tt.embedded {
					n = observe(t, s)
					n.start(t)
				} else {
					n = f.join()
				}
				sleepUntil(nextMultiple(10 * time.Second).Add(300 * time.Millisecond))
				changed := named("changes", 5*time.Second)
				changed.Overwrite = tt.overwrite
				reloaded := time.Now()
				n.mustReload(t, []job.Config{named("stays", time.Second), changed, named("comes", time.Second)}, of.plugin())
				sleepUntil(nextMultiple(10 * time.Second).Add(300 * time.Millisecond))
				sleepUntil(nextMultiple(10 * time.Second).Add(300 * time.Millisecond))
				if tt.embedded {
					n.stop(t)
				} else {
					f.leaveAll()
				}
				count := func(name string) int {
					starts := 0
					for at := range n.verdicts(t, named(name, time.Second), 0) {
						if at.After(reloaded) {
							starts++
						}
					}
					return starts
				}
				goes := 20
				if tt.wantGone {
					goes = 0
				}
				want := map[string]int{"stays": 20, "comes": 20, "changes": int(20 * time.Second / tt.wantNext), "goes": goes}
				got := map[string]int{}
				for name := range want {
					got[name] = count(name)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("starts in the 20 s after the reload (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestAReloadThatIsRefusedChangesNothing hands in jobs that cannot be hosted.
func TestAReloadThatIsRefusedChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := probeJob(time.Second)
		before, after := &edition{}, &edition{}
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{before.plugin()}})
		n := f.join()
		sleepUntil(nextMultiple(10 * time.Second).Add(300 * time.Millisecond))
		unknown := probeJob(time.Second)
		unknown.Name, unknown.Type = "unknown", "NOBODY_HAS_IT"
		other := c
		other.Type = "WAITING"
		for _, tt := range []struct {
			jobs []job.Config
			want string
		}{
			{[]job.Config{c, unknown}, "NOBODY_HAS_IT"},
			{[]job.Config{other}, "elasticJobType is WAITING here and PROBE in the registry"},
		} {
			waiting := probe(func(context.Context, spi.ExecuteRequest) error { return nil })
			waiting.Descriptor.Type = "WAITING"
			_, err := n.reload(t, tt.jobs, after.plugin(), waiting)
			problems, ok := err.(config.Problems) //nolint:errorlint // it is not wrapped
			if !ok || len(problems) != 1 || !strings.Contains(problems[0].Message, tt.want) {
				t.Errorf("Reload(%s) = %v, want a problem with %q", tt.jobs[len(tt.jobs)-1].Name, err, tt.want)
			}
		}
		sleepUntil(nextMultiple(10 * time.Second).Add(300 * time.Millisecond))
		last := nextMultiple(time.Second).Add(-time.Second)
		f.leaveAll()
		if began, _ := after.calls(); began != 0 {
			t.Errorf("calls of the refused plugin = %d, want 0", began)
		}
		f.checkStartedOnce(c, 0, last.Add(-9*time.Second), last)
		if _, err := n.reload(t, []job.Config{c}, after.plugin()); err == nil {
			t.Error("Reload() of a stopped node = nil, want an error")
		}
	})
}

// TestAReloadWithoutAPluginGivesTheJobsAway takes the plugin of a job from one of
// two nodes, and brings it back.
func TestAReloadWithoutAPluginGivesTheJobsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 4, true)
		of := &edition{}
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{of.plugin()}})
		a, b := f.join(), f.join()
		first := nextMultiple(time.Second).Add(time.Second)
		sleepUntil(first.Add(10*time.Second + 300*time.Millisecond))
		owned := func(n *observed) int { return n.executor.Job(c.Name).Assignment().Items.Len() }
		a.mustReload(t, nil)
		sleepUntil(nextMultiple(10 * time.Second).Add(300 * time.Millisecond))
		if a.executor.Job(c.Name) != nil || owned(b) != 4 {
			t.Errorf("items of the other node = %d, want all 4, and the job not hosted by the first", owned(b))
		}
		a.mustReload(t, nil, of.plugin())
		sleepUntil(nextMultiple(10 * time.Second).Add(300 * time.Millisecond))
		if a.executor.Job(c.Name) == nil || !slices.Equal([]int{owned(a), owned(b)}, []int{2, 2}) {
			t.Error("items are not shared again after the plugin is back")
		}
		last := nextMultiple(time.Second).Add(-time.Second)
		f.leaveAll()
		for item := range c.ShardingTotalCount {
			f.checkStartedOnce(c, item, first, last)
		}
	})
}

func testSource() catalog.Source { return catalog.Source{Provenance: spi.Provenance{Host: "test"}} }

// TestAReloadWaitsForWhatIsBeingMadeOfTheFormerPlugins reloads while a new
// definition is made of the former plugins, which takes its time.
func TestAReloadWaitsForWhatIsBeingMadeOfTheFormerPlugins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := probeJob(time.Second)
		of := &edition{}
		var isSlow atomic.Bool
		slow := of.plugin()
		construct := slow.JobType
		slow.JobType = func(ctx context.Context, values props.Values) (spi.JobType, error) {
			if isSlow.Load() {
				time.Sleep(5 * time.Second)
			}
			return construct(ctx, values)
		}
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{slow}})
		n := f.join()
		sleepUntil(nextMultiple(10 * time.Second).Add(300 * time.Millisecond))
		isSlow.Store(true)
		changed := *n.jobs.byName[c.Name].file
		changed.Description, changed.Overwrite = "another", true
		d, err := definitionOf(changed)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.center.Partition(c.Name).PutJobs(t.Context(), []registry.JobDefinition{d}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		idle := n.mustReload(t, []job.Config{changed}, of.plugin())
		time.Sleep(2 * time.Second)
		if isClosed(idle) {
			t.Error("the former plugins are idle while a job is made of them")
		}
		time.Sleep(10 * time.Second)
		if !isClosed(idle) {
			t.Error("the former plugins are in use ten seconds after the reload")
		}
		last := nextMultiple(time.Second).Add(-time.Second)
		f.leaveAll()
		f.checkStartedOnce(c, 0, last.Add(-9*time.Second), last)
	})
}

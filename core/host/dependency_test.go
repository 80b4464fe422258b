package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// nightly are jobs of which one fires every minute and the others follow: two that both
// load what it has extracted, one that needs both, one that is for failures, and one
// that cleans up in any case.
type nightly struct {
	*fleet
	t *testing.T
	// run is what the items do.
	run func(ctx context.Context, c spi.ShardingContext) error

	mu      sync.Mutex
	ended   map[string][]string // job and item -> outcomes, by run id
	began   map[string]time.Time
	skipped map[string]string // job and run id -> reason
}

func following(name string, items int, on ...job.Dependency) job.Config {
	c := fleetJob(0, items, true)
	c.Name, c.DependsOn, c.Failover = name, on, true
	return c
}

func newNightly(t *testing.T, run func(ctx context.Context, c spi.ShardingContext) error) *nightly {
	t.Helper()
	n := &nightly{t: t, run: run, ended: map[string][]string{}, began: map[string]time.Time{}, skipped: map[string]string{}}
	after := func(name, on string) job.Dependency { return job.Dependency{Job: name, On: on} }
	extract := fleetJob(time.Minute, 3, true)
	extract.Name, extract.Failover = "extract", true
	n.fleet = newFleet(t, setup{
		jobs: []job.Config{
			extract,
			following("left", 2, after("extract", job.OnSuccess)),
			following("right", 1, after("extract", job.OnSuccess)),
			following("report", 2, after("left", job.OnSuccess), after("right", job.OnSuccess)),
			following("alarm", 1, after("extract", job.OnFailure)),
			following("clean", 1, after("report", job.OnAlways), after("alarm", job.OnAlways)),
		},
		plugins: []spi.Plugin{probe(n.execute)},
		skipped: n.skip,
	})
	return n
}

func (n *nightly) execute(ctx context.Context, req spi.ExecuteRequest) error {
	c := req.Context
	key := fmt.Sprintf("%s %s", c.JobName, c.RunID)
	n.mu.Lock()
	if _, again := n.began[key]; !again {
		n.began[key] = time.Now()
	}
	n.mu.Unlock()
	err := n.run(ctx, c)
	n.mu.Lock()
	defer n.mu.Unlock()
	outcome := "ok"
	switch {
	case ctx.Err() != nil:
		outcome = "gone" // others take it over
	case err != nil:
		outcome = "failed"
	}
	n.ended[key] = append(n.ended[key], fmt.Sprintf("%d %s", c.ShardingItem, outcome))
	return err
}

func (n *nightly) skip(e execution.RunSkipped) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.skipped[e.Job+" "+e.Run] = string(e.Reason)
}

// check compares what has become of a run in each job: the ends of its items, or why it
// was skipped.
func (n *nightly) check(run string, want map[string]any) {
	n.t.Helper()
	got := map[string]any{}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.setup.jobs {
		key := c.Name + " " + run
		ended := slices.Sorted(slices.Values(n.ended[key]))
		reason, isSkipped := n.skipped[key]
		switch {
		case isSkipped && len(ended) > 0:
			n.t.Errorf("%s was skipped (%s) and ran: %v", key, reason, ended)
		case isSkipped:
			got[c.Name] = reason
		case len(ended) > 0:
			got[c.Name] = ended
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		n.t.Errorf("run %s (-want +got):\n%s", run, diff)
	}
}

func wellDone() map[string]any {
	return map[string]any{
		"extract": []string{"0 ok", "1 ok", "2 ok"},
		"left":    []string{"0 ok", "1 ok"}, "right": []string{"0 ok"}, "report": []string{"0 ok", "1 ok"},
		"alarm": "upstream", "clean": []string{"0 ok"},
	}
}

// TestJobsFollowOthers is what ElasticJob has promised since 2017 (#405, #1670, #2004):
// a run of a job begins when those that it depends on have ended, under the same id, and
// what it does not follow is recorded.
func TestJobsFollowOthers(t *testing.T) {
	t.Parallel()
	// As on a Cluster, the jobs are in different partitions, with leaders of their own.
	for _, partitions := range []int{1, 5} {
		t.Run(fmt.Sprintf("partitions %d", partitions), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { testNightly(t, partitions) })
		})
	}
}

func testNightly(t *testing.T, partitions int) {
	t.Helper()
	failing := ""
	n := newNightly(t, nil)
	n.setup.partitions = partitions
	n.run = func(_ context.Context, c spi.ShardingContext) error {
		time.Sleep(time.Duration(1+c.ShardingItem) * time.Second)
		n.mu.Lock()
		defer n.mu.Unlock()
		if c.JobName == "extract" && c.ShardingItem == 1 && c.RunID == failing {
			return errors.New("no data")
		}
		return nil
	}
	n.join()
	n.join()
	time.Sleep(20 * time.Second)
	first := nextMultiple(time.Minute)
	second := first.Add(time.Minute)
	n.mu.Lock()
	failing = registry.FormatRunID(second)
	n.mu.Unlock()
	sleepUntil(second.Add(-10 * time.Second))
	n.check(registry.FormatRunID(first), wellDone())
	n.checkStarts(registry.FormatRunID(first))
	sleepUntil(second.Add(50 * time.Second))
	n.check(registry.FormatRunID(second), map[string]any{
		"extract": []string{"0 ok", "1 failed", "2 ok"},
		"left":    "upstream", "right": "upstream", "report": "upstream", "alarm": []string{"0 ok"}, "clean": []string{"0 ok"},
	})
	runs, err := n.up[0].JobRuns(t.Context(), "report")
	if err != nil || len(runs) != 2 || runs[0].State != RunSucceeded || runs[1].State != RunSkipped || runs[1].Reason != "upstream" ||
		!cmp.Equal(runs[1].Before, map[string]RunState{"left": RunSkipped, "right": RunSkipped}) {
		t.Errorf("JobRuns(report) = %+v, %v, want a success and a run that was skipped", runs, err)
	}
	n.leaveAll()
}

// checkStarts fails unless jobs have begun shortly after those that they depend on.
func (n *nightly) checkStarts(run string) {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, after := range map[string]struct {
		job  string
		took time.Duration
	}{"left": {"extract", 3 * time.Second}, "right": {"extract", 3 * time.Second}, "report": {"left", 2 * time.Second}, "clean": {"report", 2 * time.Second}} {
		waited := n.began[name+" "+run].Sub(n.began[after.job+" "+run].Add(after.took))
		if waited < 0 || waited > 500*time.Millisecond {
			n.t.Errorf("%s began %v after the end of %s, want at once", name, waited, after.job)
		}
	}
}

// TestATriggerGoesOnToWhatFollows triggers a job by hand, and one in the midst of the
// others: a run that would need others of that id, which will not be, is skipped.
func TestATriggerGoesOnToWhatFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNightly(t, func(context.Context, spi.ShardingContext) error { return nil })
		n.setup.jobs[0].Every = time.Hour
		o := n.join()
		n.join()
		time.Sleep(20 * time.Second)
		all := o.trigger(t, Trigger{Job: "extract"}).ID
		time.Sleep(10 * time.Second)
		n.check(all, wellDone())
		part := o.trigger(t, Trigger{Job: "left"}).ID
		time.Sleep(10 * time.Second)
		n.check(part, map[string]any{"left": []string{"0 ok", "1 ok"}, "report": "upstream", "clean": []string{"0 ok"}})
		o.disable(t, Target{Job: "left"})
		third := o.trigger(t, Trigger{Job: "extract"}).ID
		time.Sleep(10 * time.Second)
		want := wellDone()
		want["left"], want["report"] = "job-disabled", "upstream"
		n.check(third, want)
		n.leaveAll()
	})
}

// TestARunThatFailsOverIsFollowedOnce kills a node, the leader or another one, that runs
// the last item of a run: it is taken over, and what follows starts once, after that.
func TestARunThatFailsOverIsFollowedOnce(t *testing.T) {
	t.Parallel()
	for victim := range 2 {
		t.Run(fmt.Sprintf("node %d", victim), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNightly(t, func(ctx context.Context, c spi.ShardingContext) error {
					if c.JobName != "extract" || c.ExecutionSource == spi.SourceFailover {
						return nil
					}
					select {
					case <-time.After(2 * time.Minute):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				})
				n.setup.jobs[0].Every = 10 * time.Minute
				n.join()
				n.join()
				time.Sleep(20 * time.Second)
				instant := nextMultiple(10 * time.Minute)
				sleepUntil(instant.Add(29 * time.Second))
				run := registry.FormatRunID(instant)
				dead := n.up[victim]
				var gone int
				dead.mu.Lock()
				for _, e := range dead.started {
					if e.Run == run {
						gone++
					}
				}
				dead.mu.Unlock()
				if gone == 0 {
					t.Fatal("the node that is to die runs nothing")
				}
				dead.kill(t)
				n.up = slices.DeleteFunc(n.up, func(o *observed) bool { return o == dead })
				time.Sleep(4 * time.Minute)
				n.mu.Lock()
				extract := n.ended["extract "+run]
				n.ended["extract "+run] = slices.DeleteFunc(extract, func(s string) bool { return s[2:] == "gone" })
				n.mu.Unlock()
				n.check(run, wellDone())
				n.leaveAll()
			})
		})
	}
}

// TestRunsThatNeverMeetAreSkipped lets a job wait for two whose schedules differ: it runs
// at the instants of both, and is skipped at the others.
func TestRunsThatNeverMeetAreSkipped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNightly(t, func(context.Context, spi.ShardingContext) error { return nil })
		slow, both := n.setup.jobs[0], following("both", 1, job.Dependency{Job: "extract", On: job.OnSuccess}, job.Dependency{Job: "slow", On: job.OnSuccess})
		slow.Name, slow.Every = "slow", 2*time.Minute
		n.setup.jobs = []job.Config{n.setup.jobs[0], slow, both}
		n.join()
		time.Sleep(20 * time.Second)
		first := nextMultiple(2 * time.Minute)
		sleepUntil(first.Add(3*time.Minute + 30*time.Second))
		all := []string{"0 ok", "1 ok", "2 ok"}
		n.check(registry.FormatRunID(first), map[string]any{"extract": all, "slow": all, "both": []string{"0 ok"}})
		// Only the next run of slow tells that there is none between.
		n.check(registry.FormatRunID(first.Add(time.Minute)), map[string]any{"extract": all, "both": "upstream"})
		n.leaveAll()
	})
}

// TestACircleEnds stores jobs that depend on each other behind the back of the checks,
// as nodes with different files may: the leader joins no circle, and a run goes round
// once at most.
func TestACircleEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNightly(t, func(context.Context, spi.ShardingContext) error { return nil })
		after := func(name string) job.Dependency { return job.Dependency{Job: name, On: job.OnAlways} }
		n.setup.jobs = []job.Config{following("a", 1), following("b", 1, after("a")), following("c", 1, after("b"))}
		o := n.join()
		n.join()
		time.Sleep(20 * time.Second)
		closing := following("a", 1, after("c"))
		info, err := o.Job(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		_, err = o.UpdateJob(t.Context(), closing, info.Version)
		if err == nil || !strings.Contains(err.Error(), "a -> c -> b -> a") {
			t.Errorf("UpdateJob of a circle = %v, want an error with its path", err)
		}
		d, err := definitionOf(closing)
		if err != nil {
			t.Fatal(err)
		}
		d.Overwrite = true
		p := o.center.Partition("a")
		if _, err := p.PutJobs(t.Context(), []registry.JobDefinition{d}); err != nil {
			t.Fatal(err)
		}
		for _, linked := range []bool{false, true} {
			if linked {
				// A leader that did not know of the others yet may have done it.
				if err := p.Link(t.Context(), "c", "a"); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(10 * time.Second)
			run := o.trigger(t, Trigger{Job: "a"}).ID
			time.Sleep(10 * time.Second)
			once := []string{"0 ok"}
			n.check(run, map[string]any{"a": once, "b": once, "c": once})
		}
		n.leaveAll()
	})
}

// TestALongWayIsReadOnce counts what the leader reads when it hears of many jobs, each
// of which runs after the one before.
func TestALongWayIsReadOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const jobs = 100
		var reads atomic.Int64
		n := newNightly(t, func(context.Context, spi.ShardingContext) error { return nil })
		n.setup.before = func(args []any) error {
			if args[0] == "hgetall" {
				reads.Add(1)
			}
			return nil
		}
		n.setup.jobs = []job.Config{following("job0", 1)}
		for i := 1; i < jobs; i++ {
			n.setup.jobs = append(n.setup.jobs, following(fmt.Sprintf("job%d", i), 1, job.Dependency{Job: fmt.Sprintf("job%d", i-1), On: job.OnSuccess}))
		}
		n.join()
		time.Sleep(5 * time.Second)
		if got := reads.Load(); got > 20*jobs {
			t.Errorf("%d reads for %d jobs, want a few for each", got, jobs)
		}
		n.leaveAll()
	})
}

// TestAPartThatIsAwayHoldsUpItsOwnJobsOnly cuts the nodes off from the part of the
// registry that has one of three jobs which follow a fourth.
func TestAPartThatIsAwayHoldsUpItsOwnJobsOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNightly(t, func(context.Context, spi.ShardingContext) error { return nil })
		n.setup.partitions = 3
		var names []string
		for _, partition := range []uint64{0, 1, 2, 0} {
			name := fmt.Sprintf("job%d", len(names))
			for xxhash.Sum64String(name)%3 != partition {
				name += "x"
			}
			names = append(names, name)
		}
		source, away := names[0], names[1]
		var isAway atomic.Bool
		var part atomic.Value // what its keys begin with
		n.setup.before = func(args []any) error {
			for _, arg := range args {
				key := fmt.Sprint(arg)
				if prefix, ok := strings.CutSuffix(key, ":j:"+away); ok {
					part.Store(prefix)
				}
				if prefix, ok := part.Load().(string); ok && isAway.Load() && strings.HasPrefix(key, prefix) {
					return errors.New("away")
				}
			}
			return nil
		}
		// The one that is away is told before the others.
		n.setup.jobs = []job.Config{following(source, 1)}
		for _, name := range names[1:] {
			n.setup.jobs = append(n.setup.jobs, following(name, 1, job.Dependency{Job: source, On: job.OnSuccess}))
		}
		o := n.join()
		n.join()
		time.Sleep(20 * time.Second)
		isAway.Store(true)
		run := o.trigger(t, Trigger{Job: source}).ID
		time.Sleep(20 * time.Second)
		ran := []string{"0 ok"}
		n.check(run, map[string]any{source: ran, names[2]: ran, names[3]: ran})
		isAway.Store(false)
		time.Sleep(time.Minute)
		n.check(run, map[string]any{source: ran, away: ran, names[2]: ran, names[3]: ran})
		n.leaveAll()
	})
}

package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// onlooker notes what plugins of a fleet see.
type onlooker struct {
	took  time.Duration
	fails bool

	mu      sync.Mutex
	seen    []spi.ShardingContext // of each call, as it ends
	running map[string]int        // calls under way by definition
	most    map[string]int        // the most of them at once
	told    []string              // types of handlers and listeners, as they are called
}

func (w *onlooker) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, what)
}

// count counts calls of a handler or listener, and forgets them.
func (w *onlooker) count(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, one := range w.told {
		if one == what {
			n++
		}
	}
	return n
}

func (w *onlooker) execute(_ context.Context, req spi.ExecuteRequest) error {
	w.mu.Lock()
	of := req.Context.JobParameter
	w.running[of]++
	w.most[of] = max(w.most[of], w.running[of])
	w.mu.Unlock()
	time.Sleep(w.took)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[of]--
	w.seen = append(w.seen, req.Context)
	if w.fails {
		return errors.New("out of order")
	}
	return nil
}

// plugins are two of each kind, told apart by their types.
func (w *onlooker) plugins() []spi.Plugin {
	work := probe(w.execute)
	work.Descriptor.Props = props.Schema{{Name: "label", Type: props.String, Default: "none", Description: "of the test"}}
	listener := func(name string) spi.Plugin {
		return spi.Plugin{
			Descriptor: spi.Descriptor{Kind: spi.KindJobListener, Type: name, Description: "notes", Capabilities: []string{spi.CapabilityPerInstance}},
			JobListener: func(context.Context, props.Values) (spi.JobListener, error) {
				return listenerFunc(func() { w.note(name) }), nil
			},
		}
	}
	first := spi.Plugin{
		Descriptor: spi.Descriptor{Kind: spi.KindShardingStrategy, Type: "FIRST_ALONE", Description: "gives all to the first"},
		ShardingStrategy: func(context.Context, props.Values) (spi.ShardingStrategy, error) {
			return spi.ShardingStrategyFunc(func(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
				items := make([]int, req.ShardingTotalCount)
				for i := range items {
					items[i] = i
				}
				return spi.ShardResponse{Assignment: map[string][]int{req.Instances[0].ID: items}}, nil
			}), nil
		},
	}
	return []spi.Plugin{
		work, first, listener("HEAR_A"), listener("HEAR_B"),
		handlerOf("HANDLE_A", func(context.Context) error { w.note("HANDLE_A"); return nil }),
		handlerOf("HANDLE_B", func(context.Context) error { w.note("HANDLE_B"); return nil }),
	}
}

// listenerFunc is told before each run.
type listenerFunc func()

func (l listenerFunc) BeforeJob(context.Context, spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	l()
	return spi.JobListenerResponse{}, nil
}

func (l listenerFunc) AfterJob(context.Context, spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	return spi.JobListenerResponse{}, nil
}

// late are the calls of runs after an instant.
func (w *onlooker) late(t *testing.T, after time.Time) []spi.ShardingContext {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	late := slices.DeleteFunc(slices.Clone(w.seen), func(c spi.ShardingContext) bool { return !c.FireTime.After(after) })
	if len(late) == 0 {
		t.Fatal("nothing ran after the change")
	}
	return late
}

// change is a key of a job that is changed while items run.
type change struct {
	name   string
	before func(c *job.Config) // of the first definition
	change func(c *job.Config)
	// check looks at what ran after an instant by which the change is in force.
	check func(t *testing.T, w *onlooker, f *fleet, after time.Time)
	// resting says that the job does not fire as it did any more.
	resting bool
}

// each fails unless the calls after an instant are as they shall be.
func each(holds func(c spi.ShardingContext) bool) func(*testing.T, *onlooker, *fleet, time.Time) {
	return func(t *testing.T, w *onlooker, _ *fleet, after time.Time) {
		t.Helper()
		for _, c := range w.late(t, after) {
			if !holds(c) {
				t.Errorf("a run after the change has %+v", c)
				return
			}
		}
	}
}

func nothing(*job.Config) {}

func sound(*testing.T, *onlooker, *fleet, time.Time) {}

// changes are all keys of a job but its name and type.
func changes() []change {
	everySecond := func(c *job.Config) { c.Every, c.Cron, c.TimeZone = 0, "0/2 * * * * ?", "UTC" }
	return []change{
		{
			"cron", everySecond, func(c *job.Config) { c.Cron = "1/2 * * * * ?" },
			each(func(c spi.ShardingContext) bool { return c.FireTime.Second()%2 == 1 }), true,
		},
		{
			"every", nothing, func(c *job.Config) { c.Every = 3 * time.Second },
			each(func(c spi.ShardingContext) bool { return c.FireTime.Unix()%3 == 0 }), true,
		},
		{
			"at", nothing, func(c *job.Config) { c.Every, c.At = 0, time.Date(2000, 1, 1, 0, 0, 51, 0, time.UTC) },
			each(func(c spi.ShardingContext) bool { return c.FireTime.Second() == 51 }), true,
		},
		// The bubble begins at midnight, UTC. ElasticJob compares the expressions of a
		// changed job alone and goes on in the old zone.
		{"timeZone", func(c *job.Config) { everySecond(c); c.Cron, c.TimeZone = "0/2 * 8 * * ?", "Asia/Shanghai" }, func(c *job.Config) { c.TimeZone = "UTC" }, func(t *testing.T, w *onlooker, _ *fleet, after time.Time) {
			t.Helper()
			w.mu.Lock()
			defer w.mu.Unlock()
			if last := w.seen[len(w.seen)-1].FireTime; last.After(after) {
				t.Errorf("the job fired at %v by its old zone", last)
			}
		}, true},
		{"timeZone, to one in which it fires", func(c *job.Config) { everySecond(c); c.Cron, c.TimeZone = "0/2 * 8 * * ?", "UTC" }, func(c *job.Config) { c.TimeZone = "GMT+8" }, each(func(spi.ShardingContext) bool { return true }), true},
		{"shardingTotalCount, more", nothing, func(c *job.Config) { c.ShardingTotalCount = 6 }, func(t *testing.T, w *onlooker, _ *fleet, after time.Time) {
			t.Helper()
			items := map[int]bool{}
			for _, c := range w.late(t, after) {
				items[c.ShardingItem] = true
			}
			if len(items) != 6 {
				t.Errorf("items after the change = %v, want six", slices.Sorted(maps.Keys(items)))
			}
		}, false},
		{"shardingTotalCount, fewer", nothing, func(c *job.Config) { c.ShardingTotalCount = 2 }, each(func(c spi.ShardingContext) bool { return c.ShardingItem < 2 && c.ShardingTotalCount == 2 }), false},
		{"shardingItemParameters", nothing, func(c *job.Config) { c.ShardingItemParameters = "0=x,1=x,2=x,3=x" }, each(func(c spi.ShardingContext) bool { return c.ShardingParameter == "x" }), false},
		{"jobParameter", nothing, func(c *job.Config) { c.JobParameter = "new" }, each(func(c spi.ShardingContext) bool { return c.JobParameter == "new" }), false},
		{"props", nothing, func(c *job.Config) { c.Props = map[string]string{"label": "new"} }, each(func(c spi.ShardingContext) bool { return c.Props.String("label") == "new" }), false},
		{"timeout", nothing, func(c *job.Config) { c.Timeout = time.Minute }, each(func(c spi.ShardingContext) bool { return !c.Deadline.IsZero() }), false},
		{"monitorExecution", nothing, func(c *job.Config) { c.MonitorExecution = !c.MonitorExecution }, sound, false},
		{"maxRetries, retryBackoff", nothing, func(c *job.Config) { c.MaxRetries, c.RetryBackoff = 1, 100*time.Millisecond }, func(t *testing.T, w *onlooker, _ *fleet, after time.Time) {
			t.Helper()
			retried := slices.ContainsFunc(w.late(t, after), func(c spi.ShardingContext) bool { return c.Attempt == 2 })
			if retried != w.fails {
				t.Errorf("retried after the change: %v, want %v", retried, w.fails)
			}
		}, false},
		{"jobShardingStrategyType", nothing, func(c *job.Config) { c.ShardingStrategyType = "FIRST_ALONE" }, func(t *testing.T, _ *onlooker, f *fleet, after time.Time) {
			t.Helper()
			busy := 0
			for _, n := range f.nodes {
				if len(n.startedSince(t, after)) > 0 {
					busy++
				}
			}
			if busy != 1 {
				t.Errorf("%d nodes ran items after the change, want the first alone", busy)
			}
		}, false},
		{"jobExecutorThreadPoolSizeProviderType", func(c *job.Config) { c.JobParameter = "old" }, func(c *job.Config) { c.PoolType, c.JobParameter = "1", "new" }, func(t *testing.T, w *onlooker, _ *fleet, _ time.Time) {
			t.Helper()
			// Two nodes with two items each.
			if w.most["old"] != 4 || w.most["new"] > 2 {
				t.Errorf("most items at once = %v, want 4 with the old pools and 2 with the new", w.most)
			}
		}, false},
		{"jobErrorHandlerType", func(c *job.Config) { c.ErrorHandlerTypes = []string{"HANDLE_A"} }, func(c *job.Config) { c.ErrorHandlerTypes = []string{"HANDLE_B"} }, func(t *testing.T, w *onlooker, _ *fleet, _ time.Time) {
			t.Helper()
			if got := w.count("HANDLE_B"); (got > 0) != w.fails {
				t.Errorf("calls of the new handler = %d while items fail: %v", got, w.fails)
			}
		}, false},
		// ElasticJob never reads the listeners again.
		{"jobListenerTypes", func(c *job.Config) { c.ListenerTypes = []string{"HEAR_A"} }, func(c *job.Config) { c.ListenerTypes = []string{"HEAR_B"} }, func(t *testing.T, w *onlooker, _ *fleet, _ time.Time) {
			t.Helper()
			if w.count("HEAR_A") == 0 || w.count("HEAR_B") == 0 {
				t.Errorf("calls of the old and new listener = %d and %d, want both", w.count("HEAR_A"), w.count("HEAR_B"))
			}
		}, false},
		{"disabled", nothing, func(c *job.Config) { c.Disabled = true }, func(t *testing.T, w *onlooker, _ *fleet, after time.Time) {
			t.Helper()
			w.mu.Lock()
			defer w.mu.Unlock()
			if last := w.seen[len(w.seen)-1].FireTime; last.After(after) {
				t.Errorf("the disabled job fired at %v", last)
			}
		}, true},
		{"misfire", nothing, func(c *job.Config) { c.Misfire = false }, sound, false},
		{"concurrencyPolicy", nothing, func(c *job.Config) { c.ConcurrencyPolicy = job.ConcurrencyCancelRunning }, sound, false},
		{"onLeaseLoss", nothing, func(c *job.Config) { c.OnLeaseLoss = job.LeaseLossContinue }, sound, false},
		{"description, label", nothing, func(c *job.Config) { c.Description, c.Label = "d", "l" }, sound, false},
		{"reconcileIntervalMinutes, maxTimeDiffSeconds", nothing, func(c *job.Config) { c.ReconcileIntervalMinutes, c.MaxTimeDiffSeconds = 1, 60 }, sound, false},
	}
}

// TestEveryKeyChangesWhileItemsRun changes a job of two nodes in the midst of a
// run, with UpdateJob and by a reload of both files: the change is in force soon,
// what runs ends by the old definition, and no instant is lost or doubled.
// Zones, intervals and instants are what #1530, #144, #586 and #2041 of ElasticJob
// ask for.
func TestEveryKeyChangesWhileItemsRun(t *testing.T) {
	t.Parallel()
	for i, c := range changes() {
		for _, reloads := range []bool{false, true} {
			for _, monitored := range []bool{true, false} {
				if reloads && monitored == (i%2 == 0) {
					continue // a reload does the same from there on
				}
				t.Run(fmt.Sprintf("%s, by reload %v, monitored %v", c.name, reloads, monitored), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						changeWhileItemsRun(t, c, reloads, monitored, i%2 == 0 || strings.HasSuffix(c.name, "Backoff"))
					})
				})
			}
		}
	}
}

func changeWhileItemsRun(t *testing.T, one change, reloads, monitored, fails bool) {
	t.Helper()
	c := fleetJob(2*time.Second, 4, monitored)
	c.Name, c.PoolType, c.Overwrite = "orders", "4", true
	one.before(&c)
	w := &onlooker{took: 700 * time.Millisecond, fails: fails, running: map[string]int{}, most: map[string]int{}}
	f := newFleet(t, setup{jobs: []job.Config{c}, plugins: w.plugins()})
	a, b := f.joinAs("node-a"), f.joinAs("node-b")
	moment := nextMultiple(20 * time.Second)
	sleepUntil(moment.Add(300 * time.Millisecond)) // in the midst of a run
	info, err := b.Job(t.Context(), c.Name)
	if err != nil {
		t.Fatal(err)
	}
	changed := info.Config
	changed.Overwrite = true
	one.change(&changed)
	if reloads {
		for _, n := range []*observed{a, b} {
			n.mustReload(t, []job.Config{changed}, w.plugins()...)
		}
	} else if _, err := b.UpdateJob(t.Context(), changed, info.Version); err != nil {
		t.Fatalf("UpdateJob() = %v, want nil", err)
	}
	// Longer than the hand-over of an unmonitored job.
	time.Sleep(14 * time.Second)
	inForce := time.Now()
	time.Sleep(20 * time.Second)
	last := nextMultiple(2 * time.Second).Add(-4 * time.Second)
	synctest.Wait()
	one.check(t, w, f, inForce)
	f.leaveAll()
	for _, n := range f.nodes {
		for _, e := range n.finished {
			if e.Outcome == execution.OutcomeCancelled {
				t.Errorf("finished %+v, want what runs to end by itself", e)
			}
		}
	}
	until := last
	if one.resting {
		until = moment
	}
	for item := range min(c.ShardingTotalCount, changed.ShardingTotalCount) {
		all := f.verdicts(c, item)
		for at := moment.Add(-8 * time.Second); !at.After(until); at = at.Add(2 * time.Second) {
			normal := slices.DeleteFunc(slices.Clone(all[at]), func(v string) bool { return strings.HasPrefix(v, "started RETRY") })
			if one.name == "timeZone, to one in which it fires" && at.Before(inForce) {
				continue
			}
			if len(normal) != 1 || !strings.HasPrefix(normal[0], startedNormal) {
				t.Errorf("item %d at %s: %q, want it started once and nothing else", item, at.Format("15:04:05"), all[at])
			}
		}
		for at, verdicts := range all {
			started := slices.DeleteFunc(slices.Clone(verdicts), func(v string) bool { return !strings.HasPrefix(v, startedNormal) })
			if len(started) > 1 {
				t.Errorf("item %d at %s: %q, want it started once", item, at.Format("15:04:05"), verdicts)
			}
		}
	}
	for _, c := range w.seen {
		if c.FireTime.Equal(moment) && c.JobParameter != info.Config.JobParameter {
			t.Errorf("the run in whose midst the change came has %+v, want the old definition", c)
		}
	}
}

package host_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/host"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/fake"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// history is what a node told of itself.
type history struct {
	mu       sync.Mutex
	assigned []execution.ItemsAssigned
	started  []execution.ItemStarted
	finished []execution.ItemFinished
	misfired []execution.ItemMisfired
}

func (h *history) follow(events *execution.Events) {
	events.Assigned.Subscribe(func(e execution.ItemsAssigned) { h.mu.Lock(); defer h.mu.Unlock(); h.assigned = append(h.assigned, e) })
	events.Started.Subscribe(func(e execution.ItemStarted) { h.mu.Lock(); defer h.mu.Unlock(); h.started = append(h.started, e) })
	events.Finished.Subscribe(func(e execution.ItemFinished) { h.mu.Lock(); defer h.mu.Unlock(); h.finished = append(h.finished, e) })
	events.Misfired.Subscribe(func(e execution.ItemMisfired) { h.mu.Lock(); defer h.mu.Unlock(); h.misfired = append(h.misfired, e) })
}

// snapshot returns a copy of what was told so far.
func (h *history) snapshot() *history {
	h.mu.Lock()
	defer h.mu.Unlock()
	return &history{
		assigned: slices.Clone(h.assigned), started: slices.Clone(h.started), finished: slices.Clone(h.finished), misfired: slices.Clone(h.misfired),
	}
}

// testNode is a node in the bubble of a test.
type testNode struct {
	*host.Host
	live history
	// history is what the node told until it was stopped.
	history *history
}

// settings of a test node.
type settings struct {
	jobs    []job.Config
	plugins []spi.Plugin
	grace   time.Duration
	most    int
}

func newNode(t *testing.T, s settings) *testNode {
	t.Helper()
	c := config.Defaults()
	c.Jobs = s.jobs
	if s.grace != 0 {
		c.ShutdownGrace = s.grace
	}
	if s.most != 0 {
		c.MaxRunningItems = s.most
	}
	if problems := c.Validate(); len(problems) > 0 {
		t.Fatalf("configuration of the test is wrong: %v", problems)
	}
	plugins := catalog.New()
	if err := plugins.Add(catalog.Source{Provenance: spi.Provenance{Host: "built-in"}}, append(builtin.All(), s.plugins...)...); err != nil {
		t.Fatal(err)
	}
	h, problems := host.New(t.Context(), host.Config{
		Node: c, Catalog: plugins, Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		LocalZone: func() (string, error) { return "UTC", nil },
	})
	if len(problems) > 0 {
		t.Fatalf("New() = %v, want no problem", problems)
	}
	h.UseSteadyClock()
	n := &testNode{Host: h}
	n.live.follow(h.Events())
	return n
}

func startNode(t *testing.T, s settings) *testNode {
	t.Helper()
	n := newNode(t, s)
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *testNode) stop(t *testing.T) {
	t.Helper()
	if err := n.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
	n.history = n.live.snapshot()
}

// fakeJob is a job of type FAKE that fires every second.
func fakeJob(name string, items int, properties map[string]string) job.Config {
	c := job.Defaults(name)
	c.Type = fake.Type
	c.Every = time.Second
	c.ShardingTotalCount = items
	c.Props = properties
	return c
}

// probe is a job type whose code is a function of the test.
func probe(run func(ctx context.Context, req spi.ExecuteRequest) error) spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "PROBE", Description: "runs a function of a test"},
		JobType: func(context.Context, props.Values) (spi.JobType, error) {
			return spi.JobTypeFunc(func(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
				return spi.ExecuteResponse{}, run(ctx, req)
			}), nil
		},
	}
}

func probeJob(name string, items int) job.Config {
	c := fakeJob(name, items, nil)
	c.Type = "PROBE"
	return c
}

// eachMode runs a test monitored and unmonitored, in a bubble each.
func eachMode(t *testing.T, test func(t *testing.T, monitored bool)) {
	t.Helper()
	for _, monitored := range []bool{true, false} {
		t.Run(fmt.Sprintf("monitored=%v", monitored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, monitored) })
		})
	}
}

// checkVerdicts fails unless every instant of every item between the first and
// the last one seen was either started or recorded as missed, none was started
// twice, and runs of an item do not overlap.
func (n *testNode) checkVerdicts(t *testing.T, period time.Duration) {
	t.Helper()
	type fire struct {
		job  string
		item int
		run  string
	}
	h := n.history
	decided := make(map[fire]string)
	bounds := make(map[string][2]time.Time)
	note := func(name string, item int, at time.Time, verdict string) {
		f := fire{name, item, at.UTC().Format("15:04:05.000")}
		if before, twice := decided[f]; twice && (before == "started" && verdict == "started") {
			t.Errorf("%s item %d at %s was started twice", name, item, f.run)
		}
		decided[f] = verdict
		b, ok := bounds[name]
		if !ok {
			b = [2]time.Time{at, at}
		}
		if at.Before(b[0]) {
			b[0] = at
		}
		if at.After(b[1]) {
			b[1] = at
		}
		bounds[name] = b
	}
	items := make(map[string]map[int]bool)
	for _, e := range h.misfired {
		for i := range e.Count {
			note(e.Job, e.Item, e.From.Add(time.Duration(i)*period), "missed")
		}
		if last := e.From.Add(time.Duration(e.Count-1) * period); !last.Equal(e.To) {
			t.Errorf("misfired %+v: count and bounds do not agree", e)
		}
	}
	for _, e := range h.started {
		at, err := time.Parse("20060102T150405.000Z", e.Run)
		if err != nil {
			t.Fatal(err)
		}
		note(e.Job, e.Item, at, "started")
		if items[e.Job] == nil {
			items[e.Job] = make(map[int]bool)
		}
		items[e.Job][e.Item] = true
	}
	for name, b := range bounds {
		for at := b[0]; !at.After(b[1]); at = at.Add(period) {
			for item := range items[name] {
				f := fire{name, item, at.UTC().Format("15:04:05.000")}
				if decided[f] == "" {
					t.Errorf("%s item %d at %s has no verdict", name, item, f.run)
				}
			}
		}
	}
}

func TestItemsOfEveryFiringRunOnce(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, monitored bool) {
		c := fakeJob("orders", 3, map[string]string{fake.PropDuration: "10ms", fake.PropOutput: "done"})
		c.MonitorExecution = monitored
		c.ShardingItemParameters = "0=a,2=c"
		n := startNode(t, settings{jobs: []job.Config{c}})
		time.Sleep(10*time.Second + 500*time.Millisecond)
		n.stop(t)
		if len(n.history.assigned) != 1 || n.history.assigned[0].Items != "0-2" {
			t.Errorf("assigned %+v, want items 0-2 once", n.history.assigned)
		}
		if got := len(n.history.started); got < 30 || got > 33 {
			t.Errorf("%d items started in 10 s, want 30", got)
		}
		if len(n.history.started) != len(n.history.finished) {
			t.Errorf("%d items started and %d finished", len(n.history.started), len(n.history.finished))
		}
		for _, e := range n.history.finished {
			if e.Outcome != execution.OutcomeSuccess || e.Result != "done" || e.Source != spi.SourceNormal {
				t.Errorf("finished %+v, want a normal success", e)
			}
		}
		if len(n.history.misfired) != 0 {
			t.Errorf("misfired %+v, want nothing", n.history.misfired)
		}
		n.checkVerdicts(t, time.Second)
	})
}

func TestShardingContextIsComplete(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var seen []spi.ShardingContext
		c := probeJob("orders", 2)
		c.ShardingItemParameters, c.JobParameter, c.Timeout = "1=Shanghai", "all", 5*time.Second
		n := startNode(t, settings{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(_ context.Context, req spi.ExecuteRequest) error {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, req.Context)
			return nil
		})}})
		time.Sleep(2500 * time.Millisecond)
		n.stop(t)
		slices.SortFunc(seen, func(a, b spi.ShardingContext) int {
			return strings.Compare(a.RunID+fmt.Sprint(a.ShardingItem), b.RunID+fmt.Sprint(b.ShardingItem))
		})
		if len(seen) < 4 {
			t.Fatalf("%d items ran, want at least 4", len(seen))
		}
		first, second := seen[0], seen[1]
		if first.TaskID != second.TaskID || !strings.HasPrefix(first.TaskID, "orders@-@0-1@-@READY@-@") {
			t.Errorf("taskId = %q and %q, want one for the run that begins with orders@-@0-1@-@READY@-@", first.TaskID, second.TaskID)
		}
		if first.FencingToken == 0 || first.FencingToken != second.FencingToken || seen[2].FencingToken <= first.FencingToken {
			t.Errorf("fencing tokens = %d, %d, %d, want the first two equal and the next greater", first.FencingToken, second.FencingToken, seen[2].FencingToken)
		}
		if first.RunID != first.FireTime.Format("20060102T150405.000Z") {
			t.Errorf("runId = %q, want that of %v", first.RunID, first.FireTime)
		}
		if want := first.FireTime.Add(c.Timeout); first.Deadline.Sub(want).Abs() > 100*time.Millisecond {
			t.Errorf("deadline = %v, want about %v", first.Deadline, want)
		}
		if second.ShardingItem != 1 || second.ShardingParameter != "Shanghai" || second.ShardingTotalCount != 2 || second.JobParameter != "all" ||
			second.Attempt != 1 || second.ExecutionSource != spi.SourceNormal {
			t.Errorf("context = %+v, want item 1 of 2 with its parameters", second)
		}
	})
}

// TestASlowItemIsHeldAndCaughtUpOnce is #390, #250, #470 and #150 of ElasticJob,
// where a misfire runs twice.
func TestASlowItemIsHeldAndCaughtUpOnce(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, monitored bool) {
		var running [2]atomic.Int32
		c := probeJob("orders", 2)
		c.MonitorExecution = monitored
		n := startNode(t, settings{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(_ context.Context, req spi.ExecuteRequest) error {
			item := req.Context.ShardingItem
			if running[item].Add(1) > 1 {
				t.Errorf("two runs of item %d overlap", item)
			}
			defer running[item].Add(-1)
			if item == 1 {
				time.Sleep(2500 * time.Millisecond)
			}
			return nil
		})}})
		time.Sleep(20500 * time.Millisecond)
		n.stop(t)
		n.checkVerdicts(t, time.Second)
		count := map[int]map[spi.Source]int{0: {}, 1: {}}
		for _, e := range n.history.started {
			count[e.Item][e.Source]++
		}
		if count[0][spi.SourceNormal] < 20 || count[0][spi.SourceMisfire] != 0 {
			t.Errorf("item 0 ran %v, want every second: a slow item holds back only itself", count[0])
		}
		if count[1][spi.SourceMisfire] == 0 {
			t.Errorf("item 1 ran %v, want catch-ups", count[1])
		}
		for _, m := range n.history.misfired {
			if m.Item != 1 || (m.Reason != execution.ReasonStillRunning && m.Reason != execution.ReasonNotRunning) {
				t.Errorf("misfired %+v, want item 1 still running", m)
			}
		}
	})
}

func TestMisfireOffDropsWhatASlowItemMissed(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, monitored bool) {
		c := fakeJob("orders", 1, map[string]string{fake.PropDuration: "2500ms"})
		c.MonitorExecution, c.Misfire = monitored, false
		n := startNode(t, settings{jobs: []job.Config{c}})
		time.Sleep(12500 * time.Millisecond)
		n.stop(t)
		n.checkVerdicts(t, time.Second)
		for _, e := range n.history.started {
			if e.Source != spi.SourceNormal {
				t.Errorf("started %+v, want no catch-up", e)
			}
		}
		if len(n.history.misfired) == 0 {
			t.Fatal("nothing misfired")
		}
		for _, m := range n.history.misfired {
			if m.Reason != execution.ReasonMisfireOff || m.Count != 2 {
				t.Errorf("misfired %+v, want two fires dropped in each gap", m)
			}
		}
	})
}

// TestTimeoutEndsAnItem is what #1464, #548, #563 and #1132 of ElasticJob ask for.
func TestTimeoutEndsAnItem(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, monitored bool) {
		c := fakeJob("orders", 1, map[string]string{fake.PropHang: fake.HangCancellable})
		c.MonitorExecution, c.Timeout = monitored, 300*time.Millisecond
		n := startNode(t, settings{jobs: []job.Config{c}})
		time.Sleep(3500 * time.Millisecond)
		n.stop(t)
		if len(n.history.finished) < 3 {
			t.Fatalf("%d items finished, want 3", len(n.history.finished))
		}
		for _, e := range n.history.finished {
			if e.Outcome != execution.OutcomeFailure || e.Error.Code != spi.CodeTimeout || e.Took < c.Timeout || !strings.Contains(e.Error.Error(), "300ms") {
				t.Errorf("finished %+v with %v, want a failure by timeout of 300ms", e, e.Error)
			}
		}
	})
}

func TestAPanicIsAFailureWithItsStack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, settings{jobs: []job.Config{fakeJob("orders", 1, map[string]string{fake.PropPanic: "true"})}})
		time.Sleep(3500 * time.Millisecond)
		n.stop(t)
		if len(n.history.finished) < 3 {
			t.Fatalf("%d items finished, want the job to go on after a panic", len(n.history.finished))
		}
		for _, e := range n.history.finished {
			if e.Outcome != execution.OutcomeFailure || e.Error.Code != spi.CodeFailed || !strings.Contains(e.Error.Error(), "panic: fake") || !strings.Contains(e.Error.Stack, "fake.(*job).Execute") {
				t.Errorf("finished %+v with %+v, want a panic and its stack", e, e.Error)
			}
		}
	})
}

func TestItemsOfAFiringRunInParallelWithinThePool(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		pool string
		most int
		want int32
	}{
		{"as many as the pool has", "3", 100, 3},
		{"one by one", job.PoolSingleThread, 100, 1},
		{"as many as the node lets", "8", 2, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var running, peak atomic.Int32
				c := probeJob("orders", 8)
				c.PoolType = tt.pool
				c.Every = 10 * time.Second
				n := startNode(t, settings{jobs: []job.Config{c}, most: tt.most, plugins: []spi.Plugin{probe(func(context.Context, spi.ExecuteRequest) error {
					now := running.Add(1)
					defer running.Add(-1)
					for old := peak.Load(); now > old && !peak.CompareAndSwap(old, now); old = peak.Load() {
					}
					time.Sleep(100 * time.Millisecond)
					return nil
				})}})
				time.Sleep(15 * time.Second)
				n.stop(t)
				if peak.Load() != tt.want {
					t.Errorf("%d items ran at once, want %d", peak.Load(), tt.want)
				}
				if len(n.history.finished)%8 != 0 || len(n.history.finished) == 0 {
					t.Errorf("%d items finished, want all 8 of every firing", len(n.history.finished))
				}
				var late time.Duration
				for _, e := range n.history.started {
					late = max(late, e.Late)
				}
				if want := time.Duration(8/tt.want-1) * 100 * time.Millisecond; late < want {
					t.Errorf("the last item started %v late, want at least %v: waiting is lateness", late, want)
				}
			})
		})
	}
}

func TestStopWaitsForRunningItems(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, monitored bool) {
		c := fakeJob("orders", 2, map[string]string{fake.PropDuration: "5s"})
		c.MonitorExecution, c.Every = monitored, time.Minute
		n := startNode(t, settings{jobs: []job.Config{c}})
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute + time.Second)))
		begin := time.Now()
		n.stop(t)
		if took := time.Since(begin); took < 4*time.Second || took > 10*time.Second {
			t.Errorf("Stop() took %v, want the 4 s that the items still run", took)
		}
		if len(n.history.finished) != 2 {
			t.Fatalf("%d items finished, want 2", len(n.history.finished))
		}
		for _, e := range n.history.finished {
			if e.Outcome != execution.OutcomeSuccess {
				t.Errorf("finished %+v, want a success", e)
			}
		}
	})
}

func TestStopCancelsAtTheGrace(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, monitored bool) {
		var cause atomic.Value
		c := probeJob("orders", 1)
		c.MonitorExecution, c.Every = monitored, time.Minute
		n := startNode(t, settings{jobs: []job.Config{c}, grace: 3 * time.Second, plugins: []spi.Plugin{probe(func(ctx context.Context, _ spi.ExecuteRequest) error {
			<-ctx.Done()
			cause.Store(context.Cause(ctx))
			return ctx.Err()
		})}})
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute + time.Second)))
		begin := time.Now()
		n.stop(t)
		if took := time.Since(begin); took < 3*time.Second || took > 6*time.Second {
			t.Errorf("Stop() took %v, want the grace of 3 s", took)
		}
		if got, _ := cause.Load().(error); !errors.Is(got, spi.ErrStopping) {
			t.Errorf("cause = %v, want %v", got, spi.ErrStopping)
		}
		if len(n.history.finished) != 1 || n.history.finished[0].Outcome != execution.OutcomeCancelled || n.history.finished[0].Error.Code != spi.CodeCancelled {
			t.Errorf("finished %+v, want one cancelled item", n.history.finished)
		}
	})
}

func TestStopAtOnceWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fakeJob("orders", 1, map[string]string{fake.PropHang: fake.HangCancellable})
		n := startNode(t, settings{jobs: []job.Config{c}})
		time.Sleep(1500 * time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begin := time.Now()
		_ = n.Stop(ctx)
		n.history = n.live.snapshot()
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("Stop(ended context) took %v, want it at once", took)
		}
		if len(n.history.finished) != 1 || n.history.finished[0].Outcome != execution.OutcomeCancelled {
			t.Errorf("finished %+v, want one cancelled item", n.history.finished)
		}
	})
}

func TestShouldStopSaysThatTheNodeStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var answers []string
		c := probeJob("orders", 1)
		c.Every = time.Minute
		n := startNode(t, settings{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(ctx context.Context, req spi.ExecuteRequest) error {
			for range 10 {
				answer, err := req.Services.Call(ctx, spi.OpShouldStop, nil)
				if err != nil {
					return err
				}
				answers = append(answers, string(answer))
				time.Sleep(time.Second)
			}
			_, err := req.Services.Call(ctx, spi.OpSecretGet, []byte(`{"name":"x"}`))
			return err
		})}})
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute + 2500*time.Millisecond)))
		n.stop(t)
		if first, last := answers[0], answers[len(answers)-1]; first != `{"stop":false,"reason":""}` || last != `{"stop":true,"reason":"stopping"}` {
			t.Errorf("should_stop = %s … %s, want false, then stopping", first, last)
		}
		if e := n.history.finished[0].Error; e == nil || e.Code != spi.CodeUnsupported {
			t.Errorf("secret.get = %v, want %v", e, spi.CodeUnsupported)
		}
	})
}

func TestAnErrorHandlerCanStopTheJobHere(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, monitored bool) {
		handler := spi.Plugin{
			Descriptor: spi.Descriptor{Kind: spi.KindErrorHandler, Type: "STOPPER", Description: "stops every job"},
			ErrorHandler: func(context.Context, props.Values) (spi.ErrorHandler, error) {
				return spi.ErrorHandlerFunc(func(context.Context, spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
					return spi.HandleErrorResponse{Decision: spi.DecisionStop}, nil
				}), nil
			},
		}
		c := fakeJob("orders", 1, map[string]string{fake.PropFailureRate: "1"})
		c.MonitorExecution = monitored
		c.ErrorHandlerTypes = []string{"LOG", "STOPPER"}
		other := fakeJob("other", 1, nil)
		n := startNode(t, settings{jobs: []job.Config{c, other}, plugins: []spi.Plugin{handler}})
		time.Sleep(20500 * time.Millisecond)
		n.stop(t)
		count := map[string]int{}
		for _, e := range n.history.started {
			count[e.Job]++
		}
		if count["orders"] == 0 || count["orders"] > 10 || count["other"] < 20 {
			t.Errorf("started %v, want orders stopped soon after its failure and other going on", count)
		}
		last := n.history.assigned[len(n.history.assigned)-1]
		if last.Job != "orders" || last.Items != "" {
			t.Errorf("last assignment %+v, want orders without items", last)
		}
	})
}

// TestDisabledJobsDoNotFire is #2011 of ElasticJob, where a job that starts out
// disabled runs once.
func TestDisabledJobsDoNotFire(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, monitored bool) {
		c := fakeJob("orders", 1, nil)
		c.MonitorExecution, c.Disabled = monitored, true
		n := startNode(t, settings{jobs: []job.Config{c}})
		time.Sleep(5 * time.Second)
		n.stop(t)
		if len(n.history.started) != 0 {
			t.Errorf("started %+v, want nothing", n.history.started)
		}
	})
}

func TestAtFiresOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fakeJob("orders", 1, nil)
		c.Every, c.At = 0, time.Now().Add(5*time.Second)
		n := startNode(t, settings{jobs: []job.Config{c}})
		time.Sleep(time.Minute)
		n.stop(t)
		if len(n.history.started) != 1 || n.history.started[0].Run != c.At.UTC().Format("20060102T150405.000Z") {
			t.Errorf("started %+v, want once at %v", n.history.started, c.At)
		}
	})
}

func TestCodeThatIgnoresItsCancellationDoesNotHoldUpTheNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		stuck := probeJob("stuck", 1)
		stuck.Timeout = time.Second
		n := startNode(t, settings{
			jobs: []job.Config{stuck, fakeJob("other", 1, nil)}, grace: time.Second,
			plugins: []spi.Plugin{probe(func(context.Context, spi.ExecuteRequest) error { <-release; return nil })},
		})
		time.Sleep(10500 * time.Millisecond)
		count := 0
		for _, e := range n.live.snapshot().started {
			if e.Job == "other" {
				count++
			}
		}
		if count < 10 {
			t.Errorf("other fired %d times in 10 s beside a stuck job, want 10", count)
		}
		begin := time.Now()
		n.stop(t)
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("Stop() took %v beside a stuck item, want it bounded", took)
		}
		close(release)
		synctest.Wait()
	})
}

func TestManyJobsFireWithoutLoss(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		jobs      int
		monitored bool
	}{
		{"5000 unmonitored", 5_000, false},
		{"300 monitored", 300, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				jobs := make([]job.Config, tt.jobs)
				for i := range jobs {
					jobs[i] = fakeJob(fmt.Sprint("job-", i), 1, nil)
					jobs[i].MonitorExecution = tt.monitored
				}
				n := startNode(t, settings{jobs: jobs})
				from := time.Now().Truncate(time.Second).Add(time.Second)
				const seconds = 4
				time.Sleep(time.Until(from.Add(seconds*time.Second - 500*time.Millisecond)))
				n.stop(t)
				seen := make(map[string]int)
				for _, e := range n.history.started {
					if e.Source != spi.SourceNormal {
						t.Fatalf("started %+v, want a normal firing", e)
					}
					seen[e.Job+e.Run]++
				}
				for i := range jobs {
					for s := range seconds {
						fire := jobs[i].Name + from.Add(time.Duration(s)*time.Second).UTC().Format("20060102T150405.000Z")
						if seen[fire] != 1 {
							t.Fatalf("%s fired %d times, want once", fire, seen[fire])
						}
					}
				}
			})
		})
	}
}

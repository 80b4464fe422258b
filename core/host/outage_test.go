package host

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

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/service"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Verdicts on an instant, as observed.verdicts gives them.
const (
	startedNormal  = "started NORMAL_TRIGGER"
	startedMisfire = "started MISFIRE"
	missedRunning  = "missed still-running"
	missedAway     = "missed not-running"
	missedDisabled = "missed disabled"
)

// TestAnInstantDuringTheFirstAdoptionIsStartedOnce lets an instant come due
// while the node waits for its assignment, so that both the adoption and the
// timer that starts then know of it.
func TestAnInstantDuringTheFirstAdoptionIsStartedOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		unmonitored bool
		took        time.Duration // by an item
		beginTakes  time.Duration // the first begin
		want        []string
	}{
		{name: "an item of no time", want: []string{startedNormal}},
		{name: "the item still runs when the timer starts", took: 700 * time.Millisecond, want: []string{startedNormal}},
		{name: "its begin is under way when the timer starts", took: 600 * time.Millisecond, beginTakes: 100 * time.Millisecond, want: []string{startedNormal}},
		{name: "unmonitored", unmonitored: true, want: []string{startedNormal}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := probeJob(2 * time.Second)
				c.MonitorExecution = !tt.unmonitored
				var isRead, isBegun atomic.Bool
				n := observe(t, setup{
					jobs: []job.Config{c},
					plugins: []spi.Plugin{probe(func(context.Context, spi.ExecuteRequest) error {
						time.Sleep(tt.took)
						return nil
					})},
					before: func(args []any) error {
						if isNormalBegin(args) && isBegun.CompareAndSwap(false, true) {
							time.Sleep(tt.beginTakes)
						}
						return nil
					},
					after: func(args []any) {
						if isAssignmentRead(args) && isRead.CompareAndSwap(false, true) {
							time.Sleep(700 * time.Millisecond)
						}
					},
				})
				first := nextMultiple(2 * time.Second).Add(2 * time.Second)
				sleepUntil(first.Add(-500 * time.Millisecond))
				n.start(t)
				if now := time.Now(); !now.After(first) {
					t.Fatalf("the node was up at %v, want it after the instant %v", now, first)
				}
				second := first.Add(2 * time.Second)
				sleepUntil(second.Add(1500 * time.Millisecond))
				n.stop(t)
				want := map[time.Time][]string{second: {startedNormal}}
				if tt.want != nil {
					want[first] = tt.want
				}
				if diff := cmp.Diff(want, n.verdicts(t, c, 0)); diff != "" {
					t.Errorf("verdicts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestASessionLostAtAnInstantDoesNotLoseIt ends the session behind the node's
// back, around the moment at which its job is begun.
func TestASessionLostAtAnInstantDoesNotLoseIt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		at         time.Duration // of the loss, from the instant
		beginTakes time.Duration // on its way to the registry
	}{
		{"right before it", -100 * time.Millisecond, 0},
		{"right before it and the begin is slow", -20 * time.Millisecond, 50 * time.Millisecond},
		{"while the begin is on its way", 20 * time.Millisecond, 50 * time.Millisecond},
		{"while the item runs", time.Second, 0},
		{"after the item", 10 * time.Second, 0},
	}
	for _, tt := range tests {
		for _, monitored := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, monitored=%v", tt.name, monitored), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					c := probeJob(time.Minute)
					c.MonitorExecution = monitored
					n := observe(t, setup{
						jobs:    []job.Config{c},
						plugins: []spi.Plugin{probe(runFor(5 * time.Second))},
						before: func(args []any) error {
							if isNormalBegin(args) {
								time.Sleep(tt.beginTakes)
							}
							return nil
						},
					})
					n.start(t)
					instant := nextMultiple(time.Minute)
					sleepUntil(instant.Add(tt.at))
					n.loseSession(t)
					sleepUntil(instant.Add(90 * time.Second))
					n.stop(t)
					want := map[time.Time][]string{instant: {startedNormal}, instant.Add(time.Minute): {startedNormal}}
					if diff := cmp.Diff(want, n.verdicts(t, c, 0)); diff != "" {
						t.Errorf("verdicts (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

// TestInstantsBetweenSessionAndAssignmentAreFound lets the timer fire while the
// node has a new session and waits for what it is assigned.
func TestInstantsBetweenSessionAndAssignmentAreFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := probeJob(time.Second)
		var isLost atomic.Bool
		n := observe(t, setup{
			jobs:    []job.Config{c},
			plugins: []spi.Plugin{probe(func(context.Context, spi.ExecuteRequest) error { return nil })},
			before: func(args []any) error {
				if isNormalBegin(args) && !isLost.Load() {
					time.Sleep(50 * time.Millisecond)
				}
				return nil
			},
			after: func(args []any) {
				if isAssignmentRead(args) && isLost.Load() {
					time.Sleep(1500 * time.Millisecond)
				}
			},
		})
		n.start(t)
		first := nextMultiple(time.Second)
		sleepUntil(first.Add(4*time.Second + 20*time.Millisecond))
		isLost.Store(true)
		n.loseSession(t)
		sleepUntil(first.Add(10*time.Second + 500*time.Millisecond))
		n.stop(t)
		n.checkOneVerdictEach(t, c, first, first.Add(10*time.Second))
	})
}

func TestAHeldFireIsCaughtUpAfterALostSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := probeJob(10 * time.Minute)
		var runs atomic.Int32
		n := observe(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(ctx context.Context, req spi.ExecuteRequest) error {
			if runs.Add(1) == 1 {
				return runFor(15*time.Minute)(ctx, req)
			}
			return nil
		})}})
		n.start(t)
		first := nextMultiple(c.Every)
		held := first.Add(c.Every)
		sleepUntil(held.Add(time.Minute))
		n.loseSession(t)
		sleepUntil(held.Add(2 * time.Minute))
		n.stop(t)
		want := map[time.Time][]string{first: {startedNormal}, held: {missedRunning, startedMisfire}}
		if diff := cmp.Diff(want, n.verdicts(t, c, 0)); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
	})
}

// TestSuccessAfterALostLeaseIsNoSuccess is #114, #1549, #190 and #491 of
// ElasticJob, whose nodes go on when their items are elsewhere.
func TestSuccessAfterALostLeaseIsNoSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := probeJob(5 * time.Minute)
		n := observe(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(ctx context.Context, _ spi.ExecuteRequest) error {
			<-ctx.Done()
			return nil
		})}})
		n.start(t)
		sleepUntil(nextMultiple(c.Every).Add(time.Minute))
		n.loseSession(t)
		time.Sleep(time.Minute)
		n.stop(t)
		if len(n.finished) != 1 {
			t.Fatalf("finished %+v, want one item", n.finished)
		}
		if e := n.finished[0]; e.Outcome != execution.OutcomeCancelled || e.Error == nil || e.Error.Code != spi.CodeLeaseLost {
			t.Errorf("finished %+v with %v, want it cancelled with %v", e, e.Error, spi.CodeLeaseLost)
		}
	})
}

// TestARegistryThatDoesNotAnswerLosesNoInstant lets every command fail for a
// while: for less than the lease, and for so long that the session ends.
func TestARegistryThatDoesNotAnswerLosesNoInstant(t *testing.T) {
	t.Parallel()
	errAway := errors.New("registry is away")
	for _, away := range []time.Duration{3 * time.Second, 40 * time.Second} {
		for _, monitored := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v, monitored=%v", away, monitored), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					c := probeJob(time.Second)
					c.MonitorExecution = monitored
					var isAway atomic.Bool
					n := observe(t, setup{
						jobs:    []job.Config{c},
						plugins: []spi.Plugin{probe(func(context.Context, spi.ExecuteRequest) error { return nil })},
						before: func([]any) error {
							if isAway.Load() {
								return errAway
							}
							return nil
						},
					})
					n.start(t)
					first := nextMultiple(time.Second)
					sleepUntil(first.Add(3*time.Second + 500*time.Millisecond))
					isAway.Store(true)
					time.Sleep(away)
					isAway.Store(false)
					sleepUntil(first.Add(away + 30*time.Second + 500*time.Millisecond))
					n.stop(t)
					n.checkOneVerdictEach(t, c, first, first.Add(away+30*time.Second))
					if got := n.verdicts(t, c, 0)[first.Add(away+30*time.Second)]; !slices.Equal(got, []string{startedNormal}) {
						t.Errorf("verdicts after the outage = %v, want %v", got, []string{startedNormal})
					}
				})
			})
		}
	}
}

func TestAJobStoppedOnItsOnlyInstanceHasOneGapPerItem(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		t.Run(fmt.Sprintf("monitored=%v", monitored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(time.Second, 2, monitored)
				n := observe(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
				n.start(t)
				first := nextMultiple(time.Second)
				sleepUntil(first.Add(2*time.Second + 500*time.Millisecond))
				if changed, err := n.center.Partitions()[0].SetStateOnInstance(t.Context(), c.Name, n.instance.ID, false, "error-handler"); err != nil || !changed {
					t.Fatalf("SetStateOnInstance(disabled) = %v, %v, want true, nil", changed, err)
				}
				last := first.Add(32 * time.Second)
				sleepUntil(last.Add(500 * time.Millisecond))
				n.stop(t)
				n.checkOneVerdictEach(t, c, first, last)
				if len(n.misfired) != c.ShardingTotalCount {
					t.Errorf("misfired %+v, want one record for each of %d items", n.misfired, c.ShardingTotalCount)
				}
				for item := range c.ShardingTotalCount {
					if got := n.verdicts(t, c, item)[last]; !slices.Equal(got, []string{missedDisabled}) {
						t.Errorf("verdicts on item %d of a stopped job = %v, want %v", item, got, []string{missedDisabled})
					}
				}
			})
		})
	}
}

// setup of an observed node.
type setup struct {
	tracing *config.Tracing
	jobs    []job.Config
	plugins []spi.Plugin
	most    int // items that run at once; 0 for the default
	labels  map[string]string
	// sessionTimeout is that of a fleet; 0 for the default.
	sessionTimeout time.Duration
	// partitions are those of a fleet's namespace; 0 for one.
	partitions int
	// onZombie is as configured, "" for the default; exit is how the process ends.
	onZombie string
	exit     func()
	// skipped hears of runs that are skipped; nil for nobody.
	skipped func(execution.RunSkipped)
	// before and after see every command of the registry client and can hold it
	// up. A command for which before fails is not sent.
	before func(args []any) error
	after  func(args []any)
}

// observed is a node that lets a test into its talk with the registry, and
// that writes down what it does.
type observed struct {
	*Host

	mu       sync.Mutex
	started  []execution.ItemStarted
	finished []execution.ItemFinished
	misfired []execution.ItemMisfired
	passed   map[passed]string // fires that came while their item ran
	running  map[int]int       // items of the first job
	story    []string          // for whoever looks into a failed test

	// isDead cuts the node off: its commands fail, and nothing counts that it does.
	isDead atomic.Bool
}

// grace of observed nodes.
const grace = 3 * time.Second

// observe returns a node that is not started. Runs of one item that overlap
// fail the test.
func observe(t *testing.T, s setup) *observed {
	t.Helper()
	h, problems := newHost(t, s)
	if len(problems) > 0 {
		t.Fatalf("New() = %v, want no problem", problems)
	}
	n := &observed{Host: h, running: make(map[int]int), passed: make(map[passed]string)}
	if s.skipped != nil {
		h.events.Skipped.Subscribe(s.skipped)
	}
	h.events.Coalesced.Subscribe(func(e execution.ItemCoalesced) { n.pass(e.Item, e.Run, "coalesced into "+e.Into) })
	h.events.ItemSkipped.Subscribe(func(e execution.ItemSkipped) { n.pass(e.Item, e.Run, "skipped") })
	h.events.Started.Subscribe(func(e execution.ItemStarted) {
		if n.isDead.Load() {
			return
		}
		n.note("started %s/%d of %s, %s", e.Job, e.Item, e.Run, e.Source)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.started = append(n.started, e)
		if e.Job != s.jobs[0].Name {
			return
		}
		if n.running[e.Item]++; n.running[e.Item] > 1 {
			t.Errorf("two runs of item %d overlap at %s", e.Item, e.Run)
		}
	})
	h.events.Assigned.Subscribe(func(e execution.ItemsAssigned) {
		n.note("assigned %s/%s, generation %d", e.Job, e.Items, e.Generation)
	})
	h.events.Finished.Subscribe(func(e execution.ItemFinished) {
		if n.isDead.Load() {
			return
		}
		n.note("finished %s/%d of %s, %s", e.Job, e.Item, e.Run, e.Outcome)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.finished = append(n.finished, e)
		if e.Job == s.jobs[0].Name {
			n.running[e.Item]--
		}
	})
	h.events.Misfired.Subscribe(func(e execution.ItemMisfired) {
		if n.isDead.Load() {
			return
		}
		n.note("misfired %s/%d, %s, %d from %v to %v", e.Job, e.Item, e.Reason, e.Count, e.From, e.To)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.misfired = append(n.misfired, e)
	})
	h.group = h.groupOf(&registryService{host: h}, &tap{t: t, node: n, setup: s}, &engineService{host: h})
	t.Cleanup(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if t.Failed() {
			t.Log("what the node did:\n" + strings.Join(n.story, "\n"))
		}
	})
	return n
}

// newHost returns a node with the plugins of basics and of the setup.
func newHost(t *testing.T, s setup) (*Host, config.Problems) {
	t.Helper()
	c := config.Defaults()
	c.Jobs, c.ShutdownGrace, c.Tracing, c.Instance.Labels = s.jobs, grace, s.tracing, s.labels
	if s.most != 0 {
		c.MaxRunningItems = s.most
	}
	if s.onZombie != "" {
		c.OnZombie = s.onZombie
	}
	plugins := catalog.New()
	if err := plugins.Add(catalog.Source{Provenance: spi.Provenance{Host: "test"}}, append(basics(), s.plugins...)...); err != nil {
		t.Fatal(err)
	}
	h, problems := New(t.Context(), Config{
		Node: c, Catalog: plugins,
		Logger:    slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		LocalZone: func() (string, error) { return "UTC", nil },
		Exit:      s.exit,
	})
	if h != nil {
		h.UseSteadyClock()
	}
	return h, problems
}

// note writes a line of the story.
func (n *observed) note(format string, args ...any) {
	line := time.Now().UTC().Format("15:04:05.000 ") + n.instance.ID[len(n.instance.ID)-4:] + " " + fmt.Sprintf(format, args...)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.story = append(n.story, line)
}

func (n *observed) start(t *testing.T) {
	t.Helper()
	if err := n.Start(t.Context()); err != nil {
		t.Fatalf("Start() = %v, want nil", err)
	}
	n.note("up")
}

// stop stops the node and returns how long that took.
func (n *observed) stop(t *testing.T) time.Duration {
	t.Helper()
	n.note("to stop")
	begin := time.Now()
	if err := n.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
	n.note("stopped")
	return time.Since(begin)
}

// loseSession ends the node's session without its knowledge.
func (n *observed) loseSession(t *testing.T) {
	t.Helper()
	all, err := n.center.Partitions()[0].Instances(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("Instances() = %v, %v, want this node", all, err)
	}
	n.note("session taken away")
	if err := n.center.Partitions()[0].Leave(t.Context(), registry.Lease{Instance: all[0].Instance.ID, Epoch: all[0].Epoch}, time.Time{}); err != nil {
		t.Fatal(err)
	}
}

// verdicts returns what became of the instants of an item, in the order of
// missed and started.
func (n *observed) verdicts(t *testing.T, c job.Config, item int) map[time.Time][]string {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make(map[time.Time][]string)
	for _, e := range n.misfired {
		if e.Job != c.Name || e.Item != item {
			continue
		}
		count := 0
		for at := e.From; !at.After(e.To); at = at.Add(c.Every) {
			all[at] = append(all[at], "missed "+string(e.Reason))
			count++
		}
		if count != e.Count {
			t.Errorf("misfired %+v: count = %d, want %d by its bounds", e, e.Count, count)
		}
	}
	for _, e := range n.started {
		if e.Job != c.Name || e.Item != item || e.Source == spi.SourceOneOff {
			continue
		}
		at, err := registry.ParseRunID(e.Run)
		if err != nil {
			t.Fatal(err)
		}
		all[at] = append(all[at], "started "+string(e.Source))
	}
	return all
}

// checkOneVerdictEach fails unless every instant between the two was either
// started once or recorded as missed once, for all items of the job. One that
// an item missed because it still ran may be caught up as well.
func (n *observed) checkOneVerdictEach(t *testing.T, c job.Config, from, to time.Time) {
	t.Helper()
	for item := range c.ShardingTotalCount {
		all := n.verdicts(t, c, item)
		for at := from; !at.After(to); at = at.Add(c.Every) {
			if len(all[at]) != 1 && !slices.Equal(all[at], []string{missedRunning, startedMisfire}) {
				t.Errorf("verdicts on item %d at %v = %q, want one", item, at, all[at])
			}
		}
	}
}

var errDead = errors.New("the node is dead")

// tap stands between the registry of a node and what runs on it.
type tap struct {
	t     *testing.T
	node  *observed
	setup setup
}

var (
	_ service.Service = (*tap)(nil)
	_ redis.Hook      = (*tap)(nil)
)

// Start lets the test into the commands of the registry client.
func (p *tap) Start(context.Context) error {
	p.node.connection.commands.AddHook(p)
	return nil
}

// Stop fails the test if the node left items marked as running.
func (p *tap) Stop(ctx context.Context) error {
	keys, err := p.node.connection.commands.Keys(ctx, "*:r:*").Result()
	if isAlone := p.node.isEmbedded(); isAlone && (err != nil || len(keys) > 0) {
		p.t.Errorf("marks of the stopped node = %v, %v, want none", keys, err)
	}
	return nil
}

func (p *tap) DialHook(next redis.DialHook) redis.DialHook { return next }

func (p *tap) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := p.before(cmd); err != nil {
			return err
		}
		defer p.after(cmd)
		return next(ctx, cmd)
	}
}

func (p *tap) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := p.before(cmds...); err != nil {
			return err
		}
		defer p.after(cmds...)
		return next(ctx, cmds)
	}
}

func (p *tap) before(cmds ...redis.Cmder) error {
	if p.node.isDead.Load() {
		for _, c := range cmds {
			c.SetErr(errDead)
		}
		return errDead
	}
	for _, cmd := range cmds {
		if p.setup.before == nil {
			break
		}
		if err := p.setup.before(cmd.Args()); err != nil {
			for _, c := range cmds {
				c.SetErr(err)
			}
			return err
		}
	}
	return nil
}

func (p *tap) after(cmds ...redis.Cmder) {
	for _, cmd := range cmds {
		if p.setup.after != nil {
			p.setup.after(cmd.Args())
		}
	}
}

// isAssignmentRead reports whether a command reads what an instance owns.
func isAssignmentRead(args []any) bool {
	return len(args) > 1 && fmt.Sprint(args[0]) == "hmget" && strings.Contains(fmt.Sprint(args[1]), ":a:")
}

// isNormalBegin reports whether a command begins firings at their instants: a
// script call with requests named n<instant>g<generation>.
func isNormalBegin(args []any) bool {
	return slices.ContainsFunc(args, func(arg any) bool {
		text, ok := arg.(string)
		instant, generation, cut := strings.Cut(strings.TrimPrefix(text, "n"), "g")
		return ok && strings.HasPrefix(text, "n") && cut && isDigits(instant) && isDigits(generation)
	})
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// nextMultiple returns the first instant after now of a job that fires every
// period.
func nextMultiple(period time.Duration) time.Time {
	return time.Now().Truncate(period).Add(period).UTC()
}

func sleepUntil(instant time.Time) { time.Sleep(time.Until(instant)) }

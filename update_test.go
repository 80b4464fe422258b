package elasticjob_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// liveItem is one sharding item of a job of liveWitness.
type liveItem struct {
	job  string
	item int
}

// liveWitness sees what two nodes make of jobs whose items always fail, and lets
// the items of a job wait.
type liveWitness struct {
	mu sync.Mutex
	// sights are what took part in a run, by job and run.
	sights map[string]map[string]bool
	// verdicts are what became of the instants of an item.
	verdicts map[liveItem]map[time.Time][]string
	outcomes map[string]int
	// held are the runs of items that wait until their gate is closed.
	held  map[liveItem]string
	gates map[string]liveGate
}

// liveGate is where items of runs from an instant on wait.
type liveGate struct {
	from time.Time
	open chan struct{}
}

func newLiveWitness() *liveWitness {
	return &liveWitness{
		sights: map[string]map[string]bool{}, verdicts: map[liveItem]map[time.Time][]string{}, outcomes: map[string]int{},
		held: map[liveItem]string{}, gates: map[string]liveGate{},
	}
}

func (w *liveWitness) see(job, run, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := job + " " + run
	if w.sights[key] == nil {
		w.sights[key] = map[string]bool{}
	}
	w.sights[key][what] = true
}

func (w *liveWitness) judge(one liveItem, at time.Time, verdict string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.verdicts[one] == nil {
		w.verdicts[one] = map[time.Time][]string{}
	}
	w.verdicts[one][at.UTC()] = append(w.verdicts[one][at.UTC()], verdict)
}

var _ spi.JobType = (*liveWitness)(nil)

// Execute fails after a while, or when the gate of the job is opened.
func (w *liveWitness) Execute(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	c := req.Context
	w.see(c.JobName, c.RunID, "label "+c.Props.String("label"))
	w.see(c.JobName, c.RunID, fmt.Sprint(c.ShardingTotalCount, " items"))
	time.Sleep(20 * time.Millisecond)
	one := liveItem{c.JobName, c.ShardingItem}
	w.mu.Lock()
	gate := w.gates[c.JobName]
	if gate.open != nil && !c.FireTime.Before(gate.from) {
		w.held[one] = c.RunID
		w.mu.Unlock()
		select {
		case <-gate.open:
		case <-ctx.Done():
		}
		w.mu.Lock()
		delete(w.held, one)
	}
	w.mu.Unlock()
	return spi.ExecuteResponse{}, errors.New("out of order")
}

// hold lets items wait whose instant is not before a time.
func (w *liveWitness) hold(job string, from time.Time) (open func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	gate := liveGate{from.Truncate(time.Millisecond), make(chan struct{})}
	w.gates[job] = gate
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.gates, job)
		// Those that are slow to go on are not waiting for the next gate.
		maps.DeleteFunc(w.held, func(one liveItem, _ string) bool { return one.job == job })
		close(gate.open)
	}
}

// waiting are the runs of the items of a job that wait, and how many items do.
func (w *liveWitness) waiting(job string) (runs []string, items int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one, run := range w.held {
		if one.job == job {
			runs = append(runs, run)
		}
	}
	slices.Sort(runs)
	return slices.Compact(runs), len(runs)
}

// liveListener is called before and after a run.
type liveListener struct {
	witness *liveWitness
	name    string
}

var _ spi.JobListener = liveListener{}

func (l liveListener) BeforeJob(_ context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	l.witness.see(req.Run.JobName, req.Run.RunID, "before "+l.name)
	return spi.JobListenerResponse{}, nil
}

func (l liveListener) AfterJob(_ context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	l.witness.see(req.Run.JobName, req.Run.RunID, "after "+l.name)
	return spi.JobListenerResponse{}, nil
}

// options make a node tell the witness all.
func (w *liveWitness) options(t *testing.T, node string) []elasticjob.Option {
	t.Helper()
	plugins := []spi.Plugin{{
		Descriptor: spi.Descriptor{
			Kind: spi.KindJobType, Type: "LIVE", Description: "is seen by the test",
			Props: props.Schema{{Name: "label", Type: props.String, Default: "old", Description: "of the test"}},
		},
		JobType: func(context.Context, props.Values) (spi.JobType, error) { return w, nil },
	}}
	for _, name := range []string{"A", "B"} {
		plugins = append(plugins, spi.Plugin{
			Descriptor: spi.Descriptor{
				Kind: spi.KindJobListener, Type: "HEAR_" + name, Description: "is seen by the test", Capabilities: []string{spi.CapabilityPerInstance},
			},
			JobListener: func(context.Context, props.Values) (spi.JobListener, error) { return liveListener{w, name}, nil },
		}, spi.Plugin{
			Descriptor: spi.Descriptor{Kind: spi.KindErrorHandler, Type: "HANDLE_" + name, Description: "is seen by the test"},
			ErrorHandler: func(context.Context, props.Values) (spi.ErrorHandler, error) {
				return spi.ErrorHandlerFunc(func(_ context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
					w.see(req.Context.JobName, req.Context.RunID, "handled by "+name)
					return spi.HandleErrorResponse{Decision: spi.DecisionContinue}, nil
				}), nil
			},
		})
	}
	return []elasticjob.Option{elasticjob.WithPlugins(plugins...), elasticjob.WithObserver(elasticjob.Observer{
		Started: func(e elasticjob.ItemStarted) {
			w.see(e.Job, e.Run, "on "+node)
			if e.Source == spi.SourceNormal {
				at, err := registry.ParseRunID(e.Run)
				if err != nil {
					t.Errorf("ParseRunID() = %v, want an instant", err)
				}
				w.judge(liveItem{e.Job, e.Item}, at, "started")
			}
		},
		Finished: func(e elasticjob.ItemFinished) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.outcomes[string(e.Outcome)]++
		},
		Misfired: func(e elasticjob.ItemMisfired) {
			for at := e.From; !at.After(e.To); at = at.Add(liveEvery) {
				w.judge(liveItem{e.Job, e.Item}, at, "missed "+string(e.Reason))
			}
		},
	})}
}

// liveEvery is the interval of the job that has no cron; all instants are
// multiples of it.
const liveEvery = 250 * time.Millisecond

// liveMargin is how long after its record a new definition comes into force at the
// latest.
const liveMargin = 100 * time.Millisecond

// liveDefinition is what a job does from one change on to the next.
type liveDefinition struct {
	what  string
	fires func(at time.Time) bool
	items int
	sees  []string // sights of each run, in order
	nodes int      // on which its items run
	// It was asked for at one time, and surely in force at a later one.
	asked, inForce time.Time
	// held are the runs in whose midst the next definition came.
	held []string
}

// liveJob is a job of two nodes that is changed again and again.
type liveJob struct {
	name        string
	nodes       [2]*elasticjob.Node
	logs        [2]*records
	witness     *liveWitness
	definitions []*liveDefinition
}

// owners are the nodes that own items of the job, if each of n items has an owner.
func (l *liveJob) owners(t *testing.T, n int) int {
	t.Helper()
	items, err := l.nodes[0].Items(t.Context(), l.name)
	owners := map[string]bool{}
	for _, one := range items {
		owners[one.Owner] = true
	}
	if err != nil || len(items) != n || owners[""] {
		return 0
	}
	return len(owners)
}

// current is the definition in force.
func (l *liveJob) current() *liveDefinition { return l.definitions[len(l.definitions)-1] }

// change stores another definition while all items of a run wait in its midst, and
// lets them go on when both nodes know it. A job that does not fire is triggered.
func (l *liveJob) change(t *testing.T, change func(c *elasticjob.JobConfig), next liveDefinition) {
	t.Helper()
	current := l.current()
	open := l.witness.hold(l.name, current.inForce)
	defer func() { open() }()
	if !current.fires(time.Now().Truncate(time.Hour)) {
		l.awaitInstant(t)
		if result, err := l.nodes[1].Trigger(t.Context(), elasticjob.Trigger{Job: l.name}); err != nil {
			t.Fatalf("Trigger(%s) = %+v, %v, want nil", l.name, result, err)
		}
	}
	waitFor(t, "all items of "+l.name+" run", func() bool {
		_, items := l.witness.waiting(l.name)
		return items == current.items
	})
	current.held, _ = l.witness.waiting(l.name)
	info, err := l.nodes[0].Job(t.Context(), l.name)
	if err != nil {
		t.Fatal(err)
	}
	change(&info.Config)
	next.asked = time.Now()
	version, err := l.nodes[len(l.definitions)%2].UpdateJob(t.Context(), info.Config, info.Version)
	if err != nil {
		t.Fatalf("UpdateJob(%s) = %v, want nil", next.what, err)
	}
	for _, log := range l.logs {
		log.waitUntil(t, "the node follows the change of "+next.what, func() bool {
			said := log.with(t, "job has a new definition", l.name)
			return len(said) > 0 && said[len(said)-1]["version"] == float64(version)
		})
	}
	open()
	open = func() {}
	waitFor(t, "the items of "+l.name+" have their owners", func() bool { return l.owners(t, next.items) == next.nodes })
	next.inForce = time.Now().Add(liveMargin)
	l.definitions = append(l.definitions, &next)
}

// awaitInstant waits until a whole second has begun by the definition in force or,
// if that has none, has passed.
func (l *liveJob) awaitInstant(t *testing.T) {
	t.Helper()
	at := l.current().inForce.Truncate(time.Second).Add(time.Second)
	waitFor(t, fmt.Sprint("an instant of ", l.name, " after the change of ", l.current().what), func() bool {
		if !l.current().fires(at) {
			return time.Since(at) > liveMargin
		}
		l.witness.mu.Lock()
		defer l.witness.mu.Unlock()
		for item := range l.current().items {
			if len(l.witness.verdicts[liveItem{l.name, item}][at.UTC()]) == 0 {
				return false
			}
		}
		return true
	})
}

// check compares what became of each instant with the definitions at that time.
func (l *liveJob) check(t *testing.T, until time.Time) {
	t.Helper()
	l.witness.mu.Lock()
	defer l.witness.mu.Unlock()
	normal := 0
	for at := l.definitions[0].inForce.Truncate(liveEvery).Add(liveEvery); at.Before(until); at = at.Add(liveEvery) {
		// Around a change it may be either definition.
		var may []*liveDefinition
		for i, d := range l.definitions {
			if !at.Before(d.asked) && (i+1 == len(l.definitions) || at.Before(l.definitions[i+1].inForce)) {
				may = append(may, d)
			}
		}
		isCaughtUp := false // later, perhaps by the next definition
		for item := range 6 {
			least, most := 1, 0
			for _, d := range may {
				n := 0
				if item < d.items && d.fires(at) {
					n = 1
				}
				least, most = min(least, n), max(most, n)
			}
			got := l.witness.verdicts[liveItem{l.name, item}][at.UTC()]
			if len(got) < least || len(got) > most || len(got) == 1 && got[0] != "started" && got[0] != "missed still-running" {
				t.Errorf("verdicts on item %d of %s at %s by %q = %q, want it started %d to %d times", item, l.name, at.Format("05.000"), may[0].what, got, least, most)
			}
			normal += len(got)
			isCaughtUp = isCaughtUp || slices.Contains(got, "missed still-running")
		}
		sights, ran := l.witness.sights[l.name+" "+registry.FormatRunID(at)]
		if ran && len(may) == 1 && !isCaughtUp {
			l.checkSights(t, may[0], sights)
		}
	}
	for _, d := range l.definitions[:len(l.definitions)-1] {
		if len(d.held) == 0 {
			t.Errorf("no run of %s was under way when %q came to its end", l.name, d.what)
		}
		for _, run := range d.held {
			l.checkSights(t, d, l.witness.sights[l.name+" "+run])
		}
	}
	if normal == 0 {
		t.Errorf("%s never ran", l.name)
	}
}

func (l *liveJob) checkSights(t *testing.T, d *liveDefinition, sights map[string]bool) {
	t.Helper()
	nodes := 0
	got := slices.DeleteFunc(slices.Sorted(maps.Keys(sights)), func(what string) bool {
		if what == "on a" || what == "on b" {
			nodes++
			return true
		}
		return false
	})
	if diff := cmp.Diff(d.sees, got); diff != "" || nodes != d.nodes {
		t.Errorf("a run of %s by %q was on %d nodes, want %d, with (-want +got):\n%s", l.name, d.what, nodes, d.nodes, diff)
	}
}

// TestTwoNodesFollowEveryChange changes two jobs on a real Redis, each time in the
// midst of a run: what runs ends by the old definition, both nodes follow, and no
// instant is lost or doubled. ElasticJob's users could not change jobs like this (#66,
// #1435, #1466), and items that had failed stood still (#2493, #2513): all of these fail
// at every instant.
func TestTwoNodesFollowEveryChange(t *testing.T) { //nolint:tparallel // the group is waited for
	t.Parallel()
	file := fmt.Sprintf(`
elasticjob:
  regCenter: {serverLists: %s, namespace: orders, sessionTimeoutMilliseconds: 3000}
  jobs:
    timed: {elasticJobType: LIVE, cron: "* * %d * * ?", timeZone: GMT+8, shardingTotalCount: 4, jobErrorHandlerType: IGNORE}
    tuned: {elasticJobType: LIVE, every: %s, shardingTotalCount: 4, jobErrorHandlerType: HANDLE_A, jobListenerTypes: HEAR_A}
`, redistest.Start(t).Addr(), (time.Now().UTC().Hour()+14)%24, liveEvery)
	w := newLiveWitness()
	var nodes [2]*elasticjob.Node
	var logs [2]*records
	for i, name := range []string{"a", "b"} {
		nodes[i], logs[i] = start(t, load(t, file), w.options(t, name)...)
	}
	jobs := map[string]func(t *testing.T, l *liveJob){"timed": changeTimes, "tuned": changeTheRest}
	var done sync.Map
	t.Run("changes", func(t *testing.T) {
		for name, change := range jobs {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				l := &liveJob{name: name, nodes: nodes, logs: logs, witness: w}
				waitFor(t, name+" shared by both nodes", func() bool { return l.owners(t, 4) == 2 })
				change(t, l)
				l.awaitInstant(t)
				done.Store(l, time.Now().Add(-2*liveEvery))
			})
		}
	})
	for _, node := range nodes {
		if err := node.Stop(t.Context()); err != nil {
			t.Errorf("Stop() = %v, want nil", err)
		}
	}
	for l, until := range done.Range {
		l.(*liveJob).check(t, until.(time.Time))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.outcomes) != 1 || w.outcomes[string(elasticjob.OutcomeFailure)] == 0 {
		t.Errorf("items ended with %v, want all to end by themselves, which is a failure", w.outcomes)
	}
}

// changeTimes changes when a job fires. It begins with hours that are far away.
func changeTimes(t *testing.T, l *liveJob) {
	t.Helper()
	never := func(time.Time) bool { return false }
	everySecond := func(at time.Time) bool { return at.Equal(at.Truncate(time.Second)) }
	definition := func(what string, fires func(time.Time) bool) liveDefinition {
		return liveDefinition{what: what, fires: fires, items: 4, nodes: 2, sees: []string{"4 items", "label old"}}
	}
	first := definition("the file", never)
	first.inForce = time.Now().Add(-2 * time.Second)
	l.definitions = append(l.definitions, &first)
	hour := time.Now().UTC().Hour() + 8
	now := fmt.Sprintf("* * %d,%d * * ?", hour%24, (hour+1)%24)
	l.change(t, func(c *elasticjob.JobConfig) { c.Cron = now }, definition("cron", everySecond))
	l.change(t, func(c *elasticjob.JobConfig) { c.Cron, c.TimeZone = "", "" }, definition("cron to one-off", never))
	l.change(t, func(c *elasticjob.JobConfig) { c.Cron, c.TimeZone = now, "GMT+8" }, definition("one-off to cron", everySecond))
	l.change(t, func(c *elasticjob.JobConfig) { c.TimeZone = "UTC" }, definition("timeZone", never))
}

// changeTheRest changes what a job does when it fires.
func changeTheRest(t *testing.T, l *liveJob) {
	t.Helper()
	d := liveDefinition{
		what: "the file", fires: func(time.Time) bool { return true }, items: 4, nodes: 2, inForce: time.Now().Add(liveMargin),
		sees: []string{"4 items", "after A", "before A", "handled by A", "label old"},
	}
	first := d
	l.definitions = append(l.definitions, &first)
	d.what, d.items, d.sees = "shardingTotalCount", 6, []string{"6 items", "after A", "before A", "handled by A", "label old"}
	l.change(t, func(c *elasticjob.JobConfig) { c.ShardingTotalCount = 6 }, d)
	d.what, d.sees = "jobErrorHandlerType", []string{"6 items", "after A", "before A", "handled by B", "label old"}
	l.change(t, func(c *elasticjob.JobConfig) { c.ErrorHandlerTypes = []string{"HANDLE_B"} }, d)
	d.what, d.sees = "jobListenerTypes", []string{"6 items", "after B", "before B", "handled by B", "label old"}
	l.change(t, func(c *elasticjob.JobConfig) { c.ListenerTypes = []string{"HEAR_B"} }, d)
	d.what, d.sees = "props", []string{"6 items", "after B", "before B", "handled by B", "label new"}
	l.change(t, func(c *elasticjob.JobConfig) { c.Props = map[string]string{"label": "new"} }, d)
	d.what, d.nodes = "jobShardingStrategyType", 1
	l.change(t, func(c *elasticjob.JobConfig) { c.ShardingStrategyType = "FIRST" }, d)
}

package host

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// oneOffJob is a job without schedule.
func oneOffJob(items int, monitored bool) job.Config { return fleetJob(0, items, monitored) }

// diary is a job type that takes its time and writes down what it was called for,
// by run and item. Runs of one item of a monitored job never overlap.
type diary struct {
	t     *testing.T
	takes time.Duration

	mu      sync.Mutex
	calls   []spi.ShardingContext
	running map[int]int
}

func (d *diary) plugin() spi.Plugin {
	if d.running == nil {
		d.running = make(map[int]int)
	}
	return probe(func(ctx context.Context, req spi.ExecuteRequest) error {
		d.mu.Lock()
		d.calls = append(d.calls, req.Context)
		d.running[req.Context.ShardingItem]++
		if n := d.running[req.Context.ShardingItem]; n > 1 {
			d.t.Errorf("%d runs of item %d at once, of %s", n, req.Context.ShardingItem, req.Context.RunID)
		}
		d.mu.Unlock()
		defer func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.running[req.Context.ShardingItem]--
		}()
		select {
		case <-time.After(d.takes):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// diaryFleet is a fleet to be whose nodes write down what runs of the job, each
// item for the given time.
func diaryFleet(t *testing.T, c job.Config, takes time.Duration) (*fleet, *diary) {
	t.Helper()
	d := &diary{t: t, takes: takes}
	return newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{d.plugin()}}), d
}

// count returns how many calls there were.
func (d *diary) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.calls)
}

// of returns the calls of a run, by item.
func (d *diary) of(run string) map[int][]spi.ShardingContext {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make(map[int][]spi.ShardingContext)
	for _, c := range d.calls {
		if c.RunID == run {
			all[c.ShardingItem] = append(all[c.ShardingItem], c)
		}
	}
	return all
}

// trigger asks a node, and fails the test if items are refused.
func (n *observed) trigger(t *testing.T, what Trigger) TriggerResult {
	t.Helper()
	result, err := n.Trigger(t.Context(), what)
	if err != nil || len(result.Refused) > 0 {
		t.Fatalf("Trigger(%+v) = %+v, %v, want all items accepted", what, result, err)
	}
	n.note("triggered %s", result.ID)
	return result
}

func (n *observed) state(t *testing.T, name, id string) TriggerInfo {
	t.Helper()
	s, err := n.TriggerState(t.Context(), name, id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func eachMonitored(t *testing.T, test func(t *testing.T, monitored bool)) {
	t.Helper()
	for _, monitored := range []bool{true, false} {
		t.Run(fmt.Sprintf("monitored=%v", monitored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, monitored) })
		})
	}
}

// TestAOneOffJobRunsWhenItIsTriggered is ElasticJob's e2e scenarios 2 and 6: a job
// without schedule, with and without several items, on a fleet. A run that is over
// keeps no later one from starting, and moves no item. ElasticJob: #1856.
func TestAOneOffJobRunsWhenItIsTriggered(t *testing.T) {
	t.Parallel()
	for _, items := range []int{1, 5} {
		eachMonitored(t, func(t *testing.T, monitored bool) {
			c := oneOffJob(items, monitored)
			c.JobParameter = "of the definition"
			f, d := diaryFleet(t, c, 10*time.Millisecond)
			f.join()
			last := f.join()
			time.Sleep(time.Minute)
			if n := d.count(); n > 0 {
				t.Errorf("%d calls of a job without schedule before it is triggered, want none", n)
			}
			if _, scheduled := last.timer.Next(c.Name); scheduled {
				t.Error("a job without schedule is in the timer")
			}
			info, err := last.Job(t.Context(), c.Name)
			if err != nil || info.Status != JobOK || !info.Config.IsOneOff() {
				t.Errorf("Job() = %+v, %v, want it one-off and %s", info, err, JobOK)
			}
			at := time.Now()
			plain := last.trigger(t, Trigger{Job: c.Name})
			time.Sleep(time.Second)
			replaced := last.trigger(t, Trigger{Job: c.Name, Parameter: new("of the trigger"), By: "ops"})
			time.Sleep(time.Second)
			for id, parameter := range map[string]string{plain.ID: c.JobParameter, replaced.ID: "of the trigger"} {
				calls := d.of(id)
				for item := range items {
					if len(calls[item]) != 1 {
						t.Fatalf("item %d was called %d times for %s, want once", item, len(calls[item]), id)
					}
					got := calls[item][0]
					if got.ExecutionSource != spi.SourceOneOff || got.JobParameter != parameter || got.Attempt != 1 || got.FencingToken <= 0 {
						t.Errorf("context of item %d = %+v, want source %s and parameter %q", item, got, spi.SourceOneOff, parameter)
					}
				}
				s := last.state(t, c.Name, id)
				if len(s.Left) > 0 || len(s.Succeeded) != items || s.Ended.IsZero() {
					t.Errorf("TriggerState() = %+v, want %d items to have succeeded", s, items)
				}
			}
			if after, err := last.Job(t.Context(), c.Name); err != nil || after.Generation != info.Generation {
				t.Errorf("the generation of the assignment is %d after two runs, %v, want %d as before", after.Generation, err, info.Generation)
			}
			if got := d.of(plain.ID)[0][0].FireTime; got.Before(at) || got.After(at.Add(100*time.Millisecond)) {
				t.Errorf("FireTime = %v, want when it was triggered, %v", got, at)
			}
			f.leaveAll()
		})
	}
}

// TestADisabledOneOffJobIsRefused is ElasticJob's e2e scenario 4.
func TestADisabledOneOffJobIsRefused(t *testing.T) {
	t.Parallel()
	eachMonitored(t, func(t *testing.T, monitored bool) {
		c := oneOffJob(3, monitored)
		c.Disabled = true
		d := &diary{t: t}
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{d.plugin()}})
		n := f.join()
		time.Sleep(10 * time.Second)
		info, err := n.Job(t.Context(), c.Name)
		if err != nil || info.Status != JobDisabled {
			t.Errorf("Job() = %+v, %v, want %s", info, err, JobDisabled)
		}
		result, err := n.Trigger(t.Context(), Trigger{Job: c.Name})
		if !errors.Is(err, ErrRefused) || len(result.Refused) != 1 || result.Refused[0].Reason != registry.RefusedJobDisabled {
			t.Errorf("Trigger of a disabled job = %+v, %v, want it refused by name", result, err)
		}
		time.Sleep(10 * time.Second)
		if n := d.count(); n > 0 {
			t.Errorf("%d calls, want none", n)
		}
		if _, err := n.SetEnabled(t.Context(), Target{Job: c.Name}, true, "test"); err != nil {
			t.Fatal(err)
		}
		off := 1
		n.disable(t, Target{Job: c.Name, Item: &off})
		result, err = n.Trigger(t.Context(), Trigger{Job: c.Name})
		if err != nil || !slices.Equal(result.Accepted, []int{0, 2}) || len(result.Refused) != 1 || result.Refused[0].Reason != registry.RefusedItemDisabled {
			t.Errorf("Trigger with a disabled item = %+v, %v, want 0 and 2 accepted", result, err)
		}
		time.Sleep(time.Second)
		if calls := d.of(result.ID); len(calls) != 2 || len(calls[1]) > 0 {
			t.Errorf("calls = %v, want those of items 0 and 2", calls)
		}
		f.leaveAll()
	})
}

// TestATriggerWhileItsItemRunsIsNotDropped is #1430 and #1905 of ElasticJob, which
// forgets it without a word.
func TestATriggerWhileItsItemRunsIsNotDropped(t *testing.T) {
	t.Parallel()
	eachMonitored(t, func(t *testing.T, monitored bool) {
		c := fleetJob(10*time.Second, 3, monitored)
		f, d := diaryFleet(t, c, 4*time.Second)
		n := f.join()
		f.join()
		time.Sleep(30 * time.Second)
		sleepUntil(nextMultiple(c.Every).Add(time.Second))
		first := n.trigger(t, Trigger{Job: c.Name})
		time.Sleep(100 * time.Millisecond)
		_, err := n.Trigger(t.Context(), Trigger{Job: c.Name, Items: []int{1}})
		if !errors.Is(err, ErrRefused) {
			t.Errorf("Trigger of an item that waits for another = %v, want %v", err, ErrRefused)
		}
		time.Sleep(3500 * time.Millisecond)
		// The items of the first run by now.
		second := n.trigger(t, Trigger{Job: c.Name, Items: []int{1}})
		time.Sleep(30 * time.Second)
		for id, want := range map[string]int{first.ID: 3, second.ID: 1} {
			calls := d.of(id)
			if len(calls) != want {
				t.Errorf("trigger %s ran items %v, want %d of them", id, calls, want)
			}
			for item, list := range calls {
				if len(list) != 1 {
					t.Errorf("item %d ran %d times for %s, want once", item, len(list), id)
				}
			}
			if s := n.state(t, c.Name, id); len(s.Left) > 0 || len(s.Succeeded) != want {
				t.Errorf("TriggerState() = %+v, want all to have succeeded", s)
			}
		}
		f.leaveAll()
	})
}

// TestATriggerAtAFireDoublesNothing is #2490 of ElasticJob: a manual run and a
// firing that meet lead to one run each, of which one may be late.
func TestATriggerAtAFireDoublesNothing(t *testing.T) {
	t.Parallel()
	eachMonitored(t, func(t *testing.T, monitored bool) {
		c := fleetJob(2*time.Second, 4, monitored)
		f, d := diaryFleet(t, c, 700*time.Millisecond)
		n := f.join()
		f.join()
		time.Sleep(20 * time.Second)
		from := nextMultiple(c.Every)
		var ids []string
		for i := range 40 {
			// A little earlier and a little later than the instant.
			sleepUntil(nextMultiple(c.Every).Add(time.Duration(i-20) * time.Millisecond))
			ids = append(ids, n.trigger(t, Trigger{Job: c.Name}).ID)
			time.Sleep(1500 * time.Millisecond)
		}
		to := nextMultiple(c.Every)
		time.Sleep(20 * time.Second)
		for _, id := range ids {
			calls := d.of(id)
			for item := range c.ShardingTotalCount {
				if len(calls[item]) != 1 {
					t.Errorf("item %d ran %d times for %s, want once", item, len(calls[item]), id)
				}
			}
		}
		f.leaveAll()
		for item := range c.ShardingTotalCount {
			all := f.looseVerdicts(c, item)
			for at := from; !at.After(to); at = at.Add(c.Every) {
				if n := len(all[at]); n != 1 && !isCaughtUp(all[at]) {
					t.Errorf("item %d at %s: %q, want one verdict", item, at.Format("15:04:05.000"), all[at])
				}
			}
		}
	})
}

// TestATriggerIsNotStarved lets a job be behind all the time, so that its items
// always have something to catch up.
func TestATriggerIsNotStarved(t *testing.T) {
	t.Parallel()
	eachMonitored(t, func(t *testing.T, monitored bool) {
		c := fleetJob(time.Second, 2, monitored)
		f, d := diaryFleet(t, c, 2370*time.Millisecond)
		n := f.join()
		time.Sleep(30 * time.Second)
		at := time.Now()
		id := n.trigger(t, Trigger{Job: c.Name}).ID
		time.Sleep(20 * time.Second)
		s := n.state(t, c.Name, id)
		if took := s.Ended.Sub(at); len(s.Succeeded) != 2 || took > 3*d.takes {
			t.Errorf("the trigger took %v, %+v, want at most %v", took, s, 3*d.takes)
		}
		before := d.count()
		time.Sleep(20 * time.Second)
		if d.count() < before+10 {
			t.Errorf("%d calls in 20 s after the trigger, want the job to go on", d.count()-before)
		}
		f.leaveAll()
	})
}

// TestWhatAStoppingNodeHasNotStartedRunsElsewhere lets a node stop while items of
// a trigger wait for room there.
func TestWhatAStoppingNodeHasNotStartedRunsElsewhere(t *testing.T) {
	t.Parallel()
	eachMonitored(t, func(t *testing.T, monitored bool) {
		c := oneOffJob(8, monitored)
		c.PoolType = "1"
		f, d := diaryFleet(t, c, 5*time.Second)
		n := f.join()
		other := f.join()
		time.Sleep(10 * time.Second)
		id := other.trigger(t, Trigger{Job: c.Name}).ID
		time.Sleep(7 * time.Second)
		f.leave(n)
		time.Sleep(time.Minute)
		calls := d.of(id)
		for item := range c.ShardingTotalCount {
			if len(calls[item]) != 1 {
				t.Errorf("item %d ran %d times, want once", item, len(calls[item]))
			}
		}
		if s := other.state(t, c.Name, id); len(s.Succeeded) != 8 {
			t.Errorf("TriggerState() = %+v, want all to have succeeded", s)
		}
		f.leaveAll()
	})
}

// TestWhatADeadNodeHasBegunIsLost records it, so that nobody waits for it, and lets
// what the node had not begun run elsewhere.
func TestWhatADeadNodeHasBegunIsLost(t *testing.T) {
	t.Parallel()
	eachMonitored(t, func(t *testing.T, monitored bool) {
		c := oneOffJob(4, monitored)
		f, _ := diaryFleet(t, c, 5*time.Second)
		dead := f.join()
		other := f.join()
		time.Sleep(10 * time.Second)
		first := other.trigger(t, Trigger{Job: c.Name}).ID
		time.Sleep(time.Second)
		second := other.trigger(t, Trigger{Job: c.Name}).ID
		f.up = []*observed{other}
		own := dead.executor.Job(c.Name).Assignment().Items
		dead.kill(t)
		time.Sleep(time.Minute)
		s := other.state(t, c.Name, first)
		if !slices.Equal(s.Lost, own.Slice()) || len(s.Left) > 0 || len(s.Succeeded) != 4-own.Len() {
			t.Errorf("TriggerState() = %+v, want items %s lost", s, own)
		}
		if s := other.state(t, c.Name, second); len(s.Succeeded) != 4 {
			t.Errorf("TriggerState() = %+v, want all to have succeeded", s)
		}
		f.leaveAll()
	})
}

// TestALostDoorbellDelaysATrigger lets nobody hear of a trigger: the next renewal
// tells.
func TestALostDoorbellDelaysATrigger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := oneOffJob(2, true)
		d := &diary{t: t}
		var isLost atomic.Bool
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{d.plugin()}, before: func(args []any) error {
			for i, a := range args {
				if text, _ := a.(string); isLost.Load() && text == "ej:{fleet.0}:ch" {
					args[i] = "nobody:listens"
				}
			}
			return nil
		}})
		n := f.join()
		time.Sleep(12 * time.Second)
		isLost.Store(true)
		id := n.trigger(t, Trigger{Job: c.Name}).ID
		isLost.Store(false)
		time.Sleep(10 * time.Second)
		if calls := d.of(id); len(calls) != 2 {
			t.Errorf("calls = %v, want both items within a renewal", calls)
		}
		f.leaveAll()
	})
}

// isManualBegin reports whether a command asks for what waits for a manual run.
func isManualBegin(args []any) bool {
	return slices.ContainsFunc(args, func(arg any) bool {
		text, ok := arg.(string)
		id, isNamed := strings.CutPrefix(text, "o")
		_, err := strconv.ParseUint(id, 10, 63)
		return ok && isNamed && err == nil
	})
}

// TestATriggerDoesNotWaitForTheFeed lets the feed be read late: the doorbell says
// enough, and what the feed says afterwards costs the owner nothing.
func TestATriggerDoesNotWaitForTheFeed(t *testing.T) {
	t.Parallel()
	eachMonitored(t, func(t *testing.T, monitored bool) {
		c := oneOffJob(2, monitored)
		// So long that both have begun before one has ended, which asks whether others wait.
		d := &diary{t: t, takes: 50 * time.Millisecond}
		var begins atomic.Int64
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{d.plugin()}, before: func(args []any) error {
			switch {
			case isManualBegin(args):
				begins.Add(1)
			case len(args) > 1 && strings.EqualFold(fmt.Sprint(args[0]), "xrange"):
				time.Sleep(time.Second)
			}
			return nil
		}})
		asked := f.join()
		f.join()
		time.Sleep(30 * time.Second)
		before := begins.Load()
		id := asked.trigger(t, Trigger{Job: c.Name}).ID
		time.Sleep(100 * time.Millisecond)
		if calls := d.of(id); len(calls) != 2 {
			t.Errorf("calls = %v, want both items before the feed is read", calls)
		}
		if info, err := asked.AwaitTrigger(t.Context(), c.Name, id); err != nil || time.Since(info.Ended) > 100*time.Millisecond {
			t.Errorf("AwaitTrigger() = %+v, %v after %v, want the end before the feed is read", info, err, time.Since(info.Ended))
		}
		time.Sleep(10 * time.Second)
		if n := begins.Load() - before; n != 2 {
			t.Errorf("the two owners have asked %d times for one trigger, want once each", n)
		}
		f.leaveAll()
	})
}

// TestATriggerDuringAnOutage is repeated under its id until it is answered, and
// accepted once.
func TestATriggerDuringAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := oneOffJob(2, true)
		d := &diary{t: t}
		errAway := errors.New("away")
		var isAway atomic.Bool
		losesAnswers := setup{jobs: []job.Config{c}, plugins: []spi.Plugin{d.plugin()}}
		losesAnswers.before = func([]any) error {
			if isAway.Load() {
				return errAway
			}
			return nil
		}
		f := newFleet(t, losesAnswers)
		n := f.join()
		time.Sleep(10 * time.Second)
		isAway.Store(true)
		result, err := n.Trigger(t.Context(), Trigger{Job: c.Name})
		if err == nil || result.ID == "" {
			t.Fatalf("Trigger() = %+v, %v, want an error and the id", result, err)
		}
		isAway.Store(false)
		for range 3 {
			again, err := n.Trigger(t.Context(), Trigger{Job: c.Name, ID: result.ID})
			if err != nil || again.ID != result.ID || len(again.Accepted) != 2 {
				t.Errorf("Trigger() again = %+v, %v, want both items accepted", again, err)
			}
			time.Sleep(5 * time.Second)
		}
		if calls := d.of(result.ID); len(calls[0]) != 1 || len(calls[1]) != 1 {
			t.Errorf("calls = %v, want each item once", calls)
		}
		f.leaveAll()
	})
}

// TestTriggersAreChecked refuses what cannot be meant.
func TestTriggersAreChecked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := oneOffJob(2, true)
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
		n := f.join()
		time.Sleep(5 * time.Second)
		for _, test := range []struct {
			what Trigger
			want error
		}{
			{Trigger{Job: "nobody"}, registry.ErrUnknownJob},
			{Trigger{Job: c.Name, Items: []int{}}, registry.ErrNothingToTrigger},
			{Trigger{Job: c.Name, Items: []int{2}}, registry.ErrNothingToTrigger},
			{Trigger{Job: c.Name, Items: []int{-1}}, registry.ErrNothingToTrigger},
			{Trigger{Job: c.Name, Instance: "nobody"}, registry.ErrNothingToTrigger},
			{Trigger{Job: c.Name, Items: []int{1}, Instance: n.instance.ID}, nil},
			{Trigger{Job: c.Name, ID: "7"}, nil},
			{Trigger{Job: c.Name, Mode: 'X'}, nil},
			{Trigger{Job: c.Name, By: "a|b"}, nil},
			{Trigger{Job: c.Name, Parameter: new(string(make([]byte, 17<<10)))}, nil},
		} {
			_, err := n.Trigger(t.Context(), test.what)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("Trigger(%+v) = %v, want %v", test.what, err, test.want)
			}
		}
		if got := n.trigger(t, Trigger{Job: c.Name, Instance: n.instance.IP}); len(got.Accepted) != 2 {
			t.Errorf("Trigger of an instance by its address = %+v, want both items", got)
		}
		f.leaveAll()
	})
}

// TestTriggersOutliveReloads triggers a job that gets other definitions and
// plugins meanwhile.
func TestTriggersOutliveReloads(t *testing.T) {
	t.Parallel()
	eachMonitored(t, func(t *testing.T, monitored bool) {
		c := fleetJob(time.Second, 3, monitored)
		c.Overwrite = true
		f, d := diaryFleet(t, c, 300*time.Millisecond)
		n := f.join()
		f.join()
		time.Sleep(10 * time.Second)
		var ids []string
		for i := range 20 {
			ids = append(ids, n.trigger(t, Trigger{Job: c.Name}).ID)
			time.Sleep(time.Duration(i*37) * time.Millisecond)
			changed := c
			changed.Description = fmt.Sprint(i)
			if i%2 == 0 {
				changed.Every = 0
			}
			n.mustReload(t, []job.Config{changed}, d.plugin())
			time.Sleep(3 * time.Second)
		}
		time.Sleep(20 * time.Second)
		for _, id := range ids {
			calls := d.of(id)
			for item := range c.ShardingTotalCount {
				if len(calls[item]) != 1 {
					t.Errorf("item %d ran %d times for %s, want once", item, len(calls[item]), id)
				}
			}
		}
		f.leaveAll()
	})
}

// triggered are the triggers of the life of a fleet.
type triggered struct {
	fleet    *fleet
	job      string
	random   *rand.Rand
	accepted map[string][]int // by trigger
	calls    int
}

// trigger asks a node for a run of some items. It may be refused, or fail.
func (r *triggered) trigger(n *observed, total int) {
	r.calls++
	what := Trigger{Job: r.job, ID: fmt.Sprintf("00000000-0000-7000-8000-%012d", r.calls)}
	if r.random.IntN(2) == 0 {
		what.Items = []int{r.random.IntN(total), r.random.IntN(total)}
	}
	if r.random.IntN(4) == 0 {
		what.Mode = registry.TriggerRefuse
	}
	result, err := n.Trigger(r.fleet.t.Context(), what)
	n.note("triggered %s: %v, %v", what.ID, result.Accepted, err)
	if err == nil {
		r.accepted[what.ID] = result.Accepted
	}
}

// check fails unless every accepted item was started once, or is recorded as lost
// or cancelled. Where nobody dies it has succeeded. Where something is still
// disabled it may wait.
func (r *triggered) check(n *observed, nobodyDies, isOff bool) {
	t := r.fleet.t
	t.Helper()
	started := make(map[string]map[int]int)
	for _, one := range r.fleet.nodes {
		one.mu.Lock()
		for _, e := range one.started {
			if e.Source != spi.SourceOneOff {
				continue
			}
			if started[e.Run] == nil {
				started[e.Run] = make(map[int]int)
			}
			if started[e.Run][e.Item]++; started[e.Run][e.Item] > 1 {
				t.Errorf("item %d was started again for %s", e.Item, e.Run)
			}
		}
		one.mu.Unlock()
	}
	for id, items := range r.accepted {
		s := n.state(t, r.job, id)
		if len(s.Left) > 0 && !isOff {
			t.Errorf("trigger %s waits for items %v, want it ended", id, s.Left)
		}
		for _, item := range items {
			isMissing := started[id][item] == 0
			if mayMiss := slices.Contains(s.Left, item) || slices.Contains(s.Lost, item) || slices.Contains(s.Cancelled, item); isMissing && !mayMiss {
				t.Errorf("item %d was not started for %s: %+v", item, id, s)
			}
			if nobodyDies && !slices.Contains(s.Succeeded, item) {
				t.Errorf("item %d of %s has not succeeded: %+v", item, id, s)
			}
		}
	}
	if nobodyDies && len(r.accepted) < 5 {
		t.Errorf("%d triggers were accepted, want the test to mean something", len(r.accepted))
	}
}

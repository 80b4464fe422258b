package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// dependentRun is a random life of jobs that run after others: nodes begin, end, die
// and take over, items move, and a leader leads from run to run that is interrupted,
// repeats itself and does not get all answers.
type dependentRun struct {
	*bench
	rand *rand.Rand
	ledger
	leader Leadership
	leases map[string]Lease
	gens   map[string]int64
	marks  []*dependentMark
	fences map[string]bool // by job
	// told and the rest are what the leader keeps in mind.
	told     map[string][]string
	instant  time.Duration
	requests int
	begins   []BeginRequest
	fed      int // runs that have followed another one
}

type dependentMark struct {
	CompleteRequest
	run string
}

// order is the jobs, each after those that it depends on.
func (r *dependentRun) order() []string { return []string{"a", "b", "c", "d", "e", "f"} }

func newDependentRun(t testing.TB, on server, seed uint64, edit func(name, source string) string) *dependentRun {
	t.Helper()
	r := &dependentRun{
		bench: setupBroken(t, on, edit), rand: rand.New(rand.NewPCG(seed, 5)), ledger: ledger{jobs: map[string]*ledgerJob{}},
		leases: map[string]Lease{}, gens: map[string]int64{}, fences: map[string]bool{}, told: map[string][]string{},
	}
	r.leader = r.lead("z")
	after := func(list ...Dependency) []Dependency { return list }
	depends := map[string][]Dependency{
		"b": after(Dependency{"a", OnSuccess}), "c": after(Dependency{"a", OnAlways}),
		"d": after(Dependency{"b", OnSuccess}, Dependency{"c", OnSuccess}), "e": after(Dependency{"a", OnFailure}),
		"f": after(Dependency{"d", OnAlways}, Dependency{"e", OnAlways}),
	}
	for _, name := range r.order() {
		r.jobs[name] = &ledgerJob{items: 1 + r.rand.IntN(3), on: depends[name], enabled: true, waiting: map[int]string{}, runs: map[string]*ledgerRun{}}
		d := definition(name, r.jobs[name].items)
		d.Failover, d.DependsOn = r.rand.IntN(4) > 0, r.jobs[name].on
		r.put(d)
		for _, up := range d.DependsOn {
			if err := r.Link(t.Context(), up.Job, name); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.join()
	r.commit()
	return r
}

// join registers the nodes that have no session.
func (r *dependentRun) join() {
	r.t.Helper()
	for _, node := range []string{"x", "y"} {
		if _, ok := r.leases[node]; !ok {
			r.leases[node] = r.register(node, r.order()...)
		}
	}
}

// commit gives all items to nodes that have a session.
func (r *dependentRun) commit() {
	r.t.Helper()
	var nodes []string
	for _, node := range []string{"x", "y"} {
		if _, ok := r.leases[node]; ok {
			nodes = append(nodes, node)
		}
	}
	if len(nodes) == 0 {
		return
	}
	for _, name := range r.order() {
		owners := map[string][]int{}
		for item := range r.jobs[name].items {
			node := nodes[r.rand.IntN(len(nodes))]
			owners[node] = append(owners[node], item)
		}
		text := map[string]string{}
		for node, list := range owners {
			text[node] = NewItems(list...).String()
		}
		if got := r.assign(r.leader, name, text); got.Code == CodeOK {
			r.gens[name] = got.Generation
		}
	}
}

// tick moves the clock; now and then a node does not renew in time.
func (r *dependentRun) tick() {
	r.t.Helper()
	r.pass(time.Duration(r.rand.IntN(700_000)) * time.Microsecond)
	if r.rand.IntN(60) == 0 {
		r.pass(5 * time.Second)
		_ = must(r.bench, func(ctx context.Context) (Renewal, error) { return r.Renew(ctx, r.leader.Lease, true) })
		victim := []string{"x", "y"}[r.rand.IntN(2)]
		if other, ok := r.leases[map[string]string{"x": "y", "y": "x"}[victim]]; ok {
			r.renew(other)
		}
		r.pass(6 * time.Second)
		r.bury()
	}
	_ = must(r.bench, func(ctx context.Context) (Renewal, error) { return r.Renew(ctx, r.leader.Lease, true) })
	for _, node := range []string{"x", "y"} {
		if l, ok := r.leases[node]; ok {
			r.renew(l)
		}
	}
}

// renew forgets a session that cannot be renewed any more.
func (r *dependentRun) renew(l Lease) {
	r.t.Helper()
	if _, err := r.Renew(r.t.Context(), l, false); errors.Is(err, ErrLeaseLost) {
		r.bury()
	} else if err != nil {
		r.t.Fatal(err)
	}
}

// bury evicts sessions that have ended, and drains what they leave.
func (r *dependentRun) bury() {
	r.t.Helper()
	_ = must(r.bench, func(ctx context.Context) (Renewal, error) { return r.Renew(ctx, r.leader.Lease, true) })
	reaped := must(r.bench, func(ctx context.Context) (Reaped, error) { return r.Reap(ctx, r.leader, true) })
	for _, l := range reaped.Dead {
		delete(r.leases, l.Instance)
		for range 1 + r.rand.IntN(2) {
			lost := must(r.bench, func(ctx context.Context) ([]Drained, error) { return r.Drain(ctx, r.leader, l, r.order()) })
			for _, of := range lost {
				for _, one := range of.Lost {
					for item := range one.Items.All() {
						r.end(of.Job, one.Run, item, OutcomeFailure)
					}
				}
			}
		}
		if err := r.Bury(r.t.Context(), r.leader, l); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *dependentRun) end(job, run string, item int, outcome Outcome) {
	one := r.run(job, run)
	delete(one.open, item)
	one.bad = one.bad || outcome != OutcomeSuccess
}

// began notes that items run. No item may after the end of its run was told, and each
// begins once, but for those that others take over.
func (r *dependentRun) began(l Lease, job, run string, fence int64, items Items, claimed, manual bool) {
	r.t.Helper()
	key := job + number(fence)
	if r.fences[key] {
		return
	}
	r.fences[key] = true
	one := r.run(job, run)
	if one.closed {
		r.t.Errorf("items %s of %s begin in run %s, which has ended", items, job, run)
	}
	one.began = true
	for item := range items.All() {
		one.open[item] = true
		if !claimed {
			one.starts[item]++
		}
		if one.starts[item] > 1 {
			r.t.Errorf("item %d of %s begins %d times in run %s", item, job, one.starts[item], run)
		}
		if r.jobs[job].waiting[item] == run && !claimed {
			delete(r.jobs[job].waiting, item)
		}
	}
	for _, up := range r.jobs[job].on {
		if before := r.jobs[up.Job].runs[run]; before != nil && before.began && len(before.open) > 0 {
			r.t.Errorf("%s begins in run %s, and items %v of %s have not ended in it", job, run, before.open, up.Job)
		}
	}
	r.marks = append(r.marks, &dependentMark{CompleteRequest{Lease: l, Job: job, Fence: fence, Items: items, Manual: manual, Claimed: claimed}, run})
}

func (r *dependentRun) beginJob(q BeginRequest) bool {
	r.t.Helper()
	q.Generation = r.gens[q.Job]
	r.begins = append(r.begins, q)
	if len(r.begins) > 1 && r.rand.IntN(6) == 0 {
		q = r.begins[r.rand.IntN(len(r.begins))]
	}
	got, err := r.Begin(r.t.Context(), q)
	if errors.Is(err, ErrLeaseLost) {
		return false
	}
	if err != nil {
		r.t.Fatal(err)
	}
	if got.Code == CodeOver && got.Held.Len() > 0 {
		r.t.Errorf("run %s of %s has ended without items %s, which are enabled and somebody's", FormatRunID(q.Instant), q.Job, got.Held)
	}
	if got.Code != CodeOK {
		return false
	}
	run := FormatRunID(got.Instant)
	if got.Trigger != "" {
		run = got.Trigger
	}
	r.began(q.Lease, q.Job, run, got.Fence, got.Items, false, got.Trigger != "")
	return true
}

// anyNode is a session, false if there is none.
func (r *dependentRun) anyNode() (Lease, bool) {
	l, ok := r.leases[[]string{"x", "y"}[r.rand.IntN(2)]]
	return l, ok
}

func (r *dependentRun) request() string {
	r.requests++
	return fmt.Sprintf("q%d", r.requests)
}

func (r *dependentRun) claim(l Lease, job string) bool {
	r.t.Helper()
	got, err := r.Claim(r.t.Context(), ClaimRequest{Lease: l, Job: job, Most: 1 + r.rand.IntN(3), Request: r.request()})
	if err != nil && !errors.Is(err, ErrLeaseLost) {
		r.t.Fatal(err)
	}
	if err != nil || got.Code != CodeOK {
		return false
	}
	run := FormatRunID(got.Instant)
	if got.Trigger != "" {
		run = got.Trigger
	}
	r.began(l, job, run, got.Fence, got.Items, true, got.Trigger != "")
	return true
}

// complete ends some items of a mark.
func (r *dependentRun) complete(m *dependentMark, outcome Outcome, list ...int) {
	r.t.Helper()
	q := m.CompleteRequest
	q.Items, q.Outcome = NewItems(list...), outcome
	_, err := r.CompleteAll(r.t.Context(), []CompleteRequest{q})
	if err == nil && r.rand.IntN(5) == 0 {
		_, err = r.CompleteAll(r.t.Context(), []CompleteRequest{q}) // the answer was lost
	}
	if errors.Is(err, ErrLeaseLost) {
		m.Items = Items{}
		return
	}
	if err != nil {
		r.t.Fatal(err)
	}
	queued := r.hash("q", q.Job)
	for item := range q.Items.All() {
		if outcome == OutcomeReturned {
			if m.Claimed {
				continue // waits for a taker
			}
			if queued[fmt.Sprint(item)] == m.run {
				r.jobs[q.Job].waiting[item] = m.run
				r.run(q.Job, m.run).starts[item]--
				continue
			}
		}
		r.end(q.Job, m.run, item, outcome)
	}
	var left []int
	for item := range m.Items.All() {
		if !q.Items.Contains(item) {
			left = append(left, item)
		}
	}
	m.Items = NewItems(left...)
}

// arrive tells a job of a run before it, and compares what comes of it.
func (r *dependentRun) arrive(a Arrival) {
	r.t.Helper()
	decided := len(r.run(a.Job, a.Run).heard) == len(r.jobs[a.Job].on)
	want := r.ledger.arrive(a)
	got, err := r.Arrive(r.t.Context(), a)
	if err != nil || got.Stage != want.Stage || got.Reason != want.Reason {
		r.t.Errorf("Arrive(%+v) = %+v, %v, want %+v", a, got, err, want)
	}
	if want.Stage == RunOpen && !decided {
		r.fed++
	}
	if want.Stage == RunEnded && !decided {
		r.run(a.Job, a.Run).open = map[int]bool{}
	}
}

// lead does what the leader does, once around. It may be interrupted at any point, or
// lose an answer, and then says everything again.
func (r *dependentRun) leadOn(steady bool) (busy bool) {
	r.t.Helper()
	breaks := func() bool { return !steady && r.rand.IntN(8) == 0 }
	names := must(r.bench, r.RunsUnderWay)
	for _, name := range names {
		request := CloseRequest{Job: name, Told: r.told[name]}
		got := must(r.bench, func(ctx context.Context) ([]CloseReply, error) {
			return r.CloseRuns(ctx, r.leader, []CloseRequest{request})
		})[0]
		if breaks() {
			return true
		}
		delete(r.told, name)
		if len(r.down(name)) > 0 && !slices.Equal(got.Down, r.down(name)) {
			r.t.Errorf("CloseRuns(%s) tells of %v, want %v", name, got.Down, r.down(name))
		}
		for _, run := range got.Ended {
			busy = true
			if slices.Contains(request.Told, run.Field) {
				r.t.Errorf("run %s of %s is to be told again", run.Run, name)
			}
			r.close(name, run.Run, run.Outcome)
			down := slices.Clone(got.Down)
			r.rand.Shuffle(len(down), func(i, k int) { down[i], down[k] = down[k], down[i] })
			for _, to := range down {
				if breaks() {
					return true
				}
				r.arrive(Arrival{Job: to, From: name, Run: run.Run, Outcome: run.Outcome, AsOf: got.At})
			}
			r.told[name] = append(r.told[name], run.Field)
		}
	}
	return busy
}

// close compares the end of a run with what is known of it.
func (r *dependentRun) close(job, run string, outcome RunOutcome) {
	r.t.Helper()
	one := r.run(job, run)
	if len(one.open) > 0 || !one.began && one.reason == "" {
		r.t.Errorf("run %s of %s has ended, and items %v have not", run, job, one.open)
	}
	if want := one.outcome(); outcome != want {
		r.t.Errorf("run %s of %s has ended as %c, want %c", run, job, outcome, want)
	}
	one.closed = true
}

// next lets nodes begin the next instant, not all of them and not at once.
func (r *dependentRun) next() {
	r.t.Helper()
	r.instant = max(r.instant+time.Second, r.now.Sub(start()).Truncate(time.Second))
	r.fire()
}

func (r *dependentRun) fire() {
	r.t.Helper()
	if l, ok := r.anyNode(); ok {
		r.beginJob(BeginRequest{Lease: l, Job: "a", Kind: KindNormal, Instant: at(r.instant)})
	}
}

func (r *dependentRun) triggerJob(job string) {
	r.t.Helper()
	if !r.jobs[job].enabled {
		return
	}
	r.requests++
	id := triggerID(r.requests)
	want := r.queue(job, id)
	got := must(r.bench, func(ctx context.Context) (TriggerReply, error) {
		return r.Trigger(ctx, TriggerRequest{Job: job, ID: id, Mode: TriggerQueue, By: "test"})
	})
	if got.Accepted.String() != want.String() {
		r.t.Errorf("Trigger(%s) accepts %s, want %s", job, got.Accepted, want)
	}
	runs := must(r.bench, func(ctx context.Context) ([]JobRun, error) { return r.JobRuns(ctx, job) })
	isOpen := slices.ContainsFunc(runs, func(one JobRun) bool { return one.Run == id && one.Stage == RunOpen })
	if want.Len() > 0 && !isOpen {
		r.t.Errorf("JobRuns(%s) = %+v, want trigger %s open", job, runs, id)
	}
}

func (r *dependentRun) toggle() {
	r.t.Helper()
	name := []string{"b", "c", "d", "e", "f"}[r.rand.IntN(5)]
	j := r.jobs[name]
	j.enabled = !j.enabled
	if _, err := r.SetState(r.t.Context(), name, j.enabled, "test"); err != nil {
		r.t.Fatal(err)
	}
}

// some completes a part of one of the latest marks.
func (r *dependentRun) some() {
	r.t.Helper()
	var live []*dependentMark
	for _, m := range r.marks {
		if m.Items.Len() > 0 {
			live = append(live, m)
		}
	}
	if len(live) == 0 {
		return
	}
	m := live[r.rand.IntN(len(live))]
	list := m.Items.Slice()
	list = list[r.rand.IntN(len(list)):]
	outcome := OutcomeSuccess
	switch n := r.rand.IntN(12); {
	case n == 0:
		outcome = OutcomeFailure
	case n == 1:
		outcome = OutcomeCancelled
	case n == 2 && (m.Manual || m.Claimed):
		outcome = OutcomeReturned
	}
	r.complete(m, outcome, list...)
}

// live takes random steps, then lets everything end, and looks what has followed.
func (r *dependentRun) live(steps int) {
	r.t.Helper()
	for range steps {
		r.tick()
		job := r.order()[r.rand.IntN(6)]
		l, ok := r.anyNode()
		switch n := r.rand.IntN(100); {
		case n < 10:
			r.next()
		case n < 22:
			r.fire()
		case n < 25 && ok:
			r.beginJob(BeginRequest{Lease: l, Job: "a", Kind: KindMisfire, Request: r.request()})
		case n < 47 && ok:
			r.beginJob(BeginRequest{Lease: l, Job: job, Kind: KindOneOff, Request: r.request()})
		case n < 53 && ok:
			r.claim(l, job)
		case n < 75:
			r.some()
		case n < 91:
			r.leadOn(false)
		case n < 93:
			r.triggerJob("a")
		case n < 95:
			r.commit()
		case n < 96:
			r.toggle()
		default:
			r.join()
		}
		if r.t.Failed() {
			return
		}
	}
	r.settle()
	for _, one := range must(r.bench, func(ctx context.Context) ([]JobRun, error) { return r.JobRuns(ctx, "f") }) {
		if one.Outcome != 0 { // nobody is told of the last job
			r.close("f", one.Run, one.Outcome)
		}
	}
	for _, wrong := range r.unfinished("a", r.order()) {
		r.t.Errorf("in the end %s", wrong)
	}
}

// settle lets all that waits run, and end well.
func (r *dependentRun) settle() {
	r.t.Helper()
	for _, name := range r.order() {
		if j := r.jobs[name]; !j.enabled {
			j.enabled = true
			if _, err := r.SetState(r.t.Context(), name, true, "test"); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	for range 2 { // all sessions end, but for the leader's
		r.pass(sessionTimeout * 6 / 10)
		_ = must(r.bench, func(ctx context.Context) (Renewal, error) { return r.Renew(ctx, r.leader.Lease, true) })
	}
	r.bury()
	r.join()
	r.commit()
	r.instant = r.now.Sub(start()).Truncate(time.Second)
	const most = 100
	for range most {
		busy := false
		for _, node := range []string{"x", "y"} {
			l := r.leases[node]
			r.begins = nil // nothing is repeated any more
			busy = r.beginJob(BeginRequest{Lease: l, Job: "a", Kind: KindNormal, Instant: at(r.instant)}) || busy
			r.begins = nil
			busy = r.beginJob(BeginRequest{Lease: l, Job: "a", Kind: KindMisfire, Request: r.request()}) || busy
			for _, name := range r.order() {
				r.begins = nil
				busy = r.beginJob(BeginRequest{Lease: l, Job: name, Kind: KindOneOff, Request: r.request()}) || busy
				busy = r.claim(l, name) || busy
			}
		}
		for _, m := range r.marks {
			if m.Items.Len() > 0 {
				busy = true
				r.complete(m, OutcomeSuccess, m.Items.Slice()...)
			}
		}
		if busy = r.leadOn(true) || busy; !busy || r.t.Failed() {
			return
		}
	}
	r.t.Errorf("there is still something to do after %d rounds", most)
}

// TestDependentRunsFollowOnce lets jobs that run after others live through deaths,
// moves and leaders that are interrupted: whatever is to follow a run starts once, not
// before that has ended, and is skipped or not as it has ended.
func TestDependentRunsFollowOnce(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		// On Redis a life costs a sixth.
		count, length := max(*seeds/4, 1), 2**steps
		if on == onEmbedded {
			count, length = max(*seeds/8, 1), *steps
		}
		for seed := *firstSeed; seed < *firstSeed+uint64(count); seed++ {
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				t.Parallel()
				r := newDependentRun(t, on, seed, untouched)
				r.live(length)
				t.Logf("%d runs followed others", r.fed)
				if r.fed < 5 {
					t.Errorf("%d runs followed others, want more", r.fed)
				}
			})
		}
	})
}

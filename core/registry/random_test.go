package registry

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// seeds and steps may be raised for a long run.
var (
	seeds     = flag.Int("registry.seeds", 8, "random sequences that the scripts and the model are compared on")
	steps     = flag.Int("registry.steps", 200, "steps of a sequence")
	firstSeed = flag.Uint64("registry.seed", 1, "the first sequence's seed")
)

// TestScriptsFollowModel runs random sequences on the scripts and on the model,
// and compares every reply and all that is stored.
func TestScriptsFollowModel(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		for i := range *seeds {
			seed := *firstSeed + uint64(i)
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				t.Parallel()
				newRandomRun(t, on, seed, untouched).run(*steps)
			})
			t.Run(fmt.Sprintf("failover, seed %d", seed), func(t *testing.T) {
				t.Parallel()
				newFailingRun(t, on, seed, untouched).run(*steps)
			})
		}
	})
}

// TestScriptsFollowModelOfOtherStrategies is the same for jobs that broadcast, of
// which a node runs each instant once whatever its items are, and for jobs that are
// assigned anew after every run.
func TestScriptsFollowModelOfOtherStrategies(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		for i := range *seeds {
			for name, how := range map[string]How{"broadcast": HowBroadcast, "every run": HowEveryRun} {
				seed := *firstSeed + uint64(i)
				t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) {
					t.Parallel()
					r := newRandomRun(t, on, seed, untouched)
					r.how = how
					r.run(*steps)
				})
			}
		}
	})
}

// TestServersKeepTheSame runs random sequences on both servers, and compares all
// keys to the last byte.
func TestServersKeepTheSame(t *testing.T) {
	t.Parallel()
	for i := range *seeds {
		seed := *firstSeed + uint64(i)
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			var dumps [][]map[string]any
			for _, on := range servers() {
				r := newRandomRun(t, on, seed, untouched)
				r.everySteps = 20
				r.run(*steps)
				dumps = append(dumps, r.dumps)
			}
			if diff := cmp.Diff(dumps[0], dumps[1]); diff != "" {
				t.Errorf("keys differ (-embedded +redis):\n%s", diff)
			}
		})
	}
}

// dumpAll is what all keys hold, but for what is random.
func (r *randomRun) dumpAll() map[string]any {
	r.t.Helper()
	ctx := r.t.Context()
	all := map[string]any{}
	for _, key := range must(r.bench, func(ctx context.Context) ([]string, error) { return r.client.Keys(ctx, "ej:*").Result() }) {
		var value any
		var err error
		switch kind := r.client.Type(ctx, key).Val(); kind {
		case "hash":
			var fields map[string]string
			fields, err = r.client.HGetAll(ctx, key).Result()
			if key == r.keys.sess() {
				for node, session := range fields {
					fields[node], _, _ = strings.Cut(session, "|") // the nonce
				}
			}
			delete(fields, "inc")
			value = fields
		case "zset":
			value, err = r.client.ZRangeWithScores(ctx, key, 0, -1).Result()
		case "stream":
			value, err = r.client.XRange(ctx, key, "-", "+").Result()
		default:
			r.t.Fatalf("key %s is a %s", key, kind)
		}
		if err != nil {
			r.t.Fatal(err)
		}
		all[key] = value
	}
	return all
}

// randomRun drives both sides. Nodes "a" to "c" work; the leader "z" does not.
type randomRun struct {
	*bench
	rand     *rand.Rand
	m        *model
	how      How  // what the job's strategy is like
	fails    bool // nodes die while they run items, which others take over
	leader   Leadership
	leases   map[string]Lease
	paused   map[string]time.Time // nodes that do not renew until then
	dead     []Lease
	begun    []BeginRequest
	marks    []CompleteRequest // with the items that Begin gave
	ran      map[string]int64  // item@instant -> fence
	fence    int64
	requests int
	// gathers says that nodes most often gather runs.
	gathers  bool
	called   map[string]string // moment and run -> who calls
	open     []MeetRequest     // turns that are waited for or taken
	triggers []TriggerRequest
	// everySteps, if not zero, is how often all keys are dumped.
	everySteps int
	claims     []ClaimRequest
	claimed    int // items
	dumps      []map[string]any
	// loses says that the server forgets what it did last, now and then.
	loses      bool
	copied     *copied
	late       []ReassertRequest
	reasserted int // runs that marks differed in
}

func newRandomRun(t testing.TB, on server, seed uint64, edit func(name, source string) string) *randomRun {
	t.Helper()
	b := setupBroken(t, on, edit)
	r := &randomRun{
		bench: b, rand: rand.New(rand.NewPCG(seed, 0)), m: newModel(b.now.UnixMicro()),
		leases: map[string]Lease{}, paused: map[string]time.Time{}, ran: map[string]int64{}, called: map[string]string{}, gathers: seed%2 == 1,
	}
	r.leader = b.lead("z")
	r.m.register("z")
	r.m.rise(&r.m.hlc) // the term
	return r
}

func (r *randomRun) run(steps int) {
	r.t.Helper()
	r.put()
	for _, node := range []string{"a", "b", "c"} {
		r.register(node)
	}
	counts := map[string]int{}
	for step := range steps {
		r.tick()
		op := r.draw()
		r.do(op)
		counts[op]++
		r.compare(op)
		r.loseSome()
		if r.everySteps > 0 && step%r.everySteps == 0 {
			r.dumps = append(r.dumps, r.dumpAll())
		}
		if r.t.Failed() {
			return
		}
	}
	r.t.Logf("steps: %v; items run: %d, taken over: %d, marked again or no longer: %d; moments: %d", counts, len(r.ran), r.claimed, r.reasserted, len(r.called))
}

// weight is how often a step is drawn.
type weight struct {
	op     string
	weight int
}

// weights are those of a life with everything, or of one in which nodes die while
// they run items.
func (r *randomRun) weights() []weight {
	if r.fails {
		return []weight{
			{"trigger", 4},
			{"begin one-off", 5},
			{"begin", 34},
			{"catch up", 3},
			{"claim", 14},
			{"checkpoint", 6},
			{"repeat", 4},
			{"complete", 9},
			{"commit", 6},
			{"put", 1},
			{"state", 1},
			{"enable", 5},
			{"register", 6},
			{"reap", 5},
			{"drain", 7},
		}
	}
	return []weight{
		{"trigger", 5},
		{"begin one-off", 5},
		{"begin", 29},
		{"claim", 3},
		{"catch up", 6},
		{"checkpoint", 2},
		{"repeat", 3},
		{"complete", 23},
		{"commit", 8},
		{"put", 2},
		{"state", 1},
		{"server", 1},
		{"enable", 3},
		{"register", 4},
		{"leave", 1},
		{"depart", 1},
		{"reap", 1},
		{"drain", 2},
	}
}

// draw picks the next step.
func (r *randomRun) draw() string {
	if len(r.late) > 0 {
		// Others get what the silent ones have.
		if at := r.rand.IntN(8); at < 3 {
			return []string{"come late", "commit", "begin"}[at]
		}
	}
	if r.gathers && len(r.open) > 0 && r.rand.IntN(4) == 0 {
		return "meet"
	}
	weights, sum := r.weights(), 0
	for _, w := range weights {
		sum += w.weight
	}
	at := r.rand.IntN(sum)
	for _, w := range weights {
		if at -= w.weight; at < 0 {
			return w.op
		}
	}
	panic("the weights are more than their sum")
}

func (r *randomRun) do(op string) {
	r.t.Helper()
	steps := map[string]func(){
		"come late": r.comeLate, "meet": r.meet, "trigger": r.trigger, "begin one-off": r.beginOneOff, "begin": r.beginNormal, "catch up": r.beginCatchUp,
		"claim": r.claim, "checkpoint": r.save, "repeat": r.repeat, "complete": r.completeSome, "commit": r.commit, "put": r.put,
		"state": r.setState, "server": func() { r.setInstance(r.node(), r.rand.IntN(3) == 0) }, "enable": r.enableAll,
		"register": func() {
			for _, node := range []string{"a", "b", "c"} {
				r.register(node)
			}
		},
		"leave": r.leave, "depart": r.depart, "drain": r.drainAll,
		"reap": func() {
			r.reap()
			r.reconcile()
		},
	}
	steps[op]()
}

func (r *randomRun) node() string { return []string{"a", "b", "c"}[r.rand.IntN(3)] }

// tick moves the clock and renews all leases but, now and then, one, or those of a
// node that does not for a while.
func (r *randomRun) tick() {
	r.t.Helper()
	r.pass(time.Duration(r.rand.IntN(1_800_000)) * time.Microsecond)
	r.m.us = r.now.UnixMicro()
	together := r.rand.IntN(100) == 0
	for _, node := range slices.Sorted(maps.Keys(r.leases)) {
		l := r.leases[node]
		if together || r.rand.IntN(60) == 0 {
			r.paused[node] = r.now.Add(time.Duration(r.rand.IntN(25)) * time.Second)
		}
		if r.rand.IntN(12) == 0 || r.now.Before(r.paused[node]) {
			continue
		}
		_, err := r.Renew(r.t.Context(), l, false)
		if ok := r.m.renew(node, l.Epoch); ok != (err == nil) || err != nil && !errors.Is(err, ErrLeaseLost) {
			r.t.Fatalf("Renew(%q) = %v, want success: %v", node, err, ok)
		}
	}
	_ = must(r.bench, func(ctx context.Context) (Renewal, error) { return r.Renew(ctx, r.leader.Lease, true) })
	r.m.renew("z", r.leader.Lease.Epoch)
}

func (r *randomRun) register(node string) {
	r.t.Helper()
	old, had := r.leases[node]
	got, err := r.Register(r.t.Context(), Instance{ID: node, Jobs: []string{"j"}})
	epoch, ok := r.m.register(node)
	if ok != (err == nil) || got.Lease.Epoch != epoch {
		r.t.Fatalf("Register(%q) = epoch %d, %v, want %d, success: %v", node, got.Lease.Epoch, err, epoch, ok)
	}
	if ok {
		if had {
			r.dead = append(r.dead, old)
		}
		r.leases[node] = got.Lease
	}
}

func (r *randomRun) leave() {
	r.t.Helper()
	node := r.node()
	l, ok := r.leases[node]
	if !ok {
		return
	}
	var stopped time.Time
	var last *int64
	if r.rand.IntN(3) > 0 {
		stopped = r.now.Truncate(time.Millisecond).Add(-time.Duration(r.rand.IntN(3)) * time.Second)
		last = new(stopped.UnixMilli())
	}
	if err := r.Leave(r.t.Context(), l, stopped); err != nil {
		r.t.Fatal(err)
	}
	r.m.leave(node, l.Epoch, last)
	r.dead = append(r.dead, l)
	delete(r.leases, node)
}

func (r *randomRun) depart() {
	r.t.Helper()
	node := r.node()
	l, ok := r.leases[node]
	if !ok {
		return
	}
	stopped := r.now.Truncate(time.Millisecond).Add(time.Duration(r.rand.IntN(3)-1) * time.Second)
	got, err := r.Depart(r.t.Context(), l, stopped, false, []string{"j"})
	if ok := r.m.depart(node, l.Epoch, stopped.UnixMilli()); ok != (err == nil) {
		r.t.Errorf("Depart(%q) = %v, want success: %v", node, err, ok)
	} else if ok && got.UnixMilli() != r.m.stops[node] {
		r.t.Errorf("Depart(%q) = %v, want %d", node, got, r.m.stops[node])
	}
}

func (r *randomRun) reap() {
	r.t.Helper()
	force := r.rand.IntN(2) == 0
	got := must(r.bench, func(ctx context.Context) (Reaped, error) { return r.Reap(ctx, r.leader, force) })
	if diff := cmp.Diff(r.m.reap("z", force), got); diff != "" {
		r.t.Errorf("Reap(%v) (-want +got):\n%s", force, diff)
	}
	for _, l := range got.Dead {
		r.dead = append(r.dead, l)
		delete(r.leases, l.Instance)
	}
}

func (r *randomRun) drainAll() {
	r.t.Helper()
	for _, d := range r.dead {
		got := must(r.bench, func(ctx context.Context) ([]Drained, error) { return r.Drain(ctx, r.leader, d, []string{"j"}) })
		if diff := cmp.Diff(r.m.drain(d), got); diff != "" {
			r.t.Errorf("Drain(%v) (-want +got):\n%s", d, diff)
		}
	}
	for _, d := range r.dead {
		if r.rand.IntN(2) == 0 {
			if err := r.Bury(r.t.Context(), r.leader, d); err != nil {
				r.t.Fatal(err)
			}
			delete(r.m.dead, d)
		}
	}
	r.dead = nil
}

// reconcile finds nothing to mend.
func (r *randomRun) reconcile() {
	r.t.Helper()
	got := must(r.bench, func(ctx context.Context) ([]Repair, error) { return r.Reconcile(ctx, r.leader, []string{"j"}) })
	if len(got) > 0 {
		r.t.Errorf("Reconcile = %v, want nothing to repair", got)
	}
	r.m.sweepRuns(64)
	r.m.gather = r.m.gather && len(r.m.runs) > 0
}

func (r *randomRun) put() {
	r.t.Helper()
	d := JobDefinition{
		Name: "j", Config: []byte("{}"), Items: 2 + r.rand.IntN(6), Monitored: r.rand.IntN(5) > 0,
		Misfire: r.rand.IntN(3) > 0, Failover: r.rand.IntN(12) == 0, Overwrite: r.rand.IntN(5) > 0,
	}
	if r.how == HowBroadcast || r.fails {
		d.Monitored = true
	}
	d.Failover = d.Failover || r.fails
	got := r.bench.put(d)
	if want := r.m.put(d); got.Outcome != want || got.Version != r.m.version {
		r.t.Errorf("PutJobs = %s, version %d, want %s, %d", got.Outcome, got.Version, want, r.m.version)
	}
}

func (r *randomRun) setState() {
	r.t.Helper()
	r.setOne(r.rand.IntN(3), r.rand.IntN(r.total()), r.node(), r.rand.IntN(3) == 0)
}

// total is the number of items that there are.
func (r *randomRun) total() int {
	if r.m.how == HowBroadcast {
		return r.m.assigned
	}
	return r.m.n
}

// enableAll ends what setState has disabled, so that a sequence stays alive.
func (r *randomRun) enableAll() {
	r.t.Helper()
	r.setOne(0, 0, "", true)
	for item := range r.total() {
		r.setOne(1, item, "", true)
	}
	for _, node := range []string{"a", "b", "c"} {
		r.setOne(2, 0, node, true)
		r.setInstance(node, true)
	}
}

func (r *randomRun) setInstance(node string, enabled bool) {
	r.t.Helper()
	got := must(r.bench, func(ctx context.Context) (bool, error) { return r.SetInstanceState(ctx, node, enabled, "test") })
	if want := r.m.setInstance(node, enabled); got != want {
		r.t.Errorf("SetInstanceState(%q, %v) = %v, want %v", node, enabled, got, want)
	}
}

func (r *randomRun) setOne(scope, item int, node string, enabled bool) {
	r.t.Helper()
	var got, want bool
	switch scope {
	case 0:
		got = must(r.bench, func(ctx context.Context) (bool, error) { return r.SetState(ctx, "j", enabled, "test") })
		want = r.m.setJob(enabled)
	case 1:
		got = must(r.bench, func(ctx context.Context) (bool, error) { return r.SetItemState(ctx, "j", item, enabled, "test") })
		want = r.m.setItem(item, enabled)
	default:
		got = must(r.bench, func(ctx context.Context) (bool, error) {
			return r.SetStateOnInstance(ctx, "j", node, enabled, "test")
		})
		want = r.m.setServer(node, enabled)
	}
	if got != want {
		r.t.Errorf("setting a state changed something: %v, want %v", got, want)
	}
}

func (r *randomRun) commit() {
	r.t.Helper()
	p := Plan{Job: "j", ExpectGeneration: r.m.gen, ExpectVersion: r.m.version, Items: r.m.n, How: r.how, Owners: map[string]Items{}}
	if dirty := must(r.bench, r.Dirty); len(dirty) > 0 && r.rand.IntN(2) == 0 {
		p.Dirty = dirty[0].Since
	}
	if r.rand.IntN(10) == 0 {
		p.ExpectGeneration--
	}
	if r.how == HowBroadcast {
		r.broadcast(&p)
	} else {
		r.spread(&p)
	}
	got := must(r.bench, func(ctx context.Context) ([]CommitResult, error) {
		return r.CommitAssignments(ctx, r.leader, []Plan{p})
	})[0]
	if diff := cmp.Diff(r.m.commit(p), got); diff != "" {
		r.t.Errorf("CommitAssignments(%+v) (-want +got):\n%s", p, diff)
	}
}

// broadcast plans an item for each of some nodes, now and then for none.
func (r *randomRun) broadcast(p *Plan) {
	nodes := []string{"a", "b", "c"}
	r.rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	for _, node := range nodes {
		if r.leases[node].Epoch > 0 && r.rand.IntN(6) > 0 {
			p.Owners[node] = NewItems(len(p.Owners))
		}
	}
	if p.Items = len(p.Owners); p.Items == 0 {
		p.Items = max(1, r.m.assigned)
	}
}

// spread plans all items at random.
func (r *randomRun) spread(p *Plan) {
	owners := map[string][]int{}
	idle := []int{16, 16, 2}[r.rand.IntN(3)] // one item in so many is nobody's
	for item := range p.Items {
		// Nearly always a node with a session.
		node := r.node()
		for range 5 {
			if r.leases[node].Epoch == 0 {
				node = r.node()
			}
		}
		if r.rand.IntN(idle) > 0 {
			owners[node] = append(owners[node], item)
		}
	}
	for node, list := range owners {
		p.Owners[node] = NewItems(list...)
	}
}

func (r *randomRun) beginNormal() {
	r.t.Helper()
	// Near the clock, on a grid, so that nodes meet at the same instants.
	back := 2
	if r.fails {
		back = 0
	}
	instant := r.now.Truncate(2 * time.Second).Add(time.Duration(r.rand.IntN(4-back)-back) * 2 * time.Second)
	r.begin(BeginRequest{Kind: KindNormal, Instant: instant})
}

func (r *randomRun) beginCatchUp() {
	r.t.Helper()
	r.requests++
	r.begin(BeginRequest{Kind: KindMisfire, Request: fmt.Sprintf("m%d", r.requests)})
}

func (r *randomRun) begin(q BeginRequest) {
	r.t.Helper()
	l, ok := r.leases[r.node()]
	if !ok {
		return
	}
	q.Lease, q.Job, q.Generation = l, "j", r.m.gen
	q.Gathers = r.gathers && r.rand.IntN(10) > 0
	if r.rand.IntN(12) == 0 {
		q.Generation--
	}
	r.track(q)
	r.begun = append(r.begun, q)
}

// track asks, and checks that what runs has not run before.
func (r *randomRun) track(q BeginRequest) {
	r.t.Helper()
	if got, ok := r.ask(q); ok && got.Code == CodeOK && !r.known(got.Fence) {
		if got.Fence <= r.fence {
			r.t.Errorf("fence %d follows %d, want it to rise", got.Fence, r.fence)
		}
		r.fence = got.Fence
		for item := range got.Items.All() {
			key := r.runs(q.Lease, item, got.Trigger, got.Instant.UnixMilli())
			if before, twice := r.ran[key]; twice {
				r.t.Errorf("item %s runs under fence %d and %d, want once", key, before, got.Fence)
			}
			r.ran[key] = got.Fence
		}
		c := CompleteRequest{Lease: q.Lease, Job: "j", Fence: got.Fence, Items: got.Items, Manual: q.Kind == KindOneOff}
		if got.Gathering != nil {
			c.Run = got.Gathering.Run
		}
		r.marks = append(r.marks, c)
	}
}

func (r *randomRun) known(fence int64) bool {
	return slices.ContainsFunc(r.marks, func(c CompleteRequest) bool { return c.Fence == fence })
}

// ask begins on both sides and reports whether the session was valid.
func (r *randomRun) ask(q BeginRequest) (BeginReply, bool) {
	r.t.Helper()
	got, err := r.Begin(r.t.Context(), q)
	if !r.m.live(q.Lease.Instance, q.Lease.Epoch) {
		if !errors.Is(err, ErrLeaseLost) {
			r.t.Errorf("Begin without a lease = %v, want %v", err, ErrLeaseLost)
		}
		return got, false
	}
	if err != nil {
		r.t.Fatal(err)
	}
	want := r.m.begin(q)
	r.takeTurn(MeetRequest{Lease: q.Lease, Job: "j", Fence: got.Fence, Moment: MomentBefore}, got.Gathering)
	want.LeaseDeadline = instantOf(r.m.sessions[q.Lease.Instance].deadline)
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("Begin(%+v) (-want +got):\n%s", q, diff)
	}
	return got, true
}

// repeat sends one of the last requests again, perhaps from a later session.
func (r *randomRun) repeat() {
	r.t.Helper()
	if n := len(r.begun); n > 0 {
		q := r.begun[max(0, n-1-r.rand.IntN(3))]
		if l, ok := r.leases[q.Lease.Instance]; ok && r.rand.IntN(2) == 0 {
			q.Lease = l
		}
		r.track(q)
	}
}

func (r *randomRun) completeSome() {
	r.t.Helper()
	if len(r.marks) == 0 {
		return
	}
	q := r.marks[len(r.marks)-1-r.rand.IntN(min(len(r.marks), 6))]
	for _, c := range r.marks { // most often the oldest that still runs
		if list := r.m.marks[c.Lease.Instance]; r.rand.IntN(3) > 0 && slices.ContainsFunc(list, func(k *modelMark) bool { return k.fence == c.Fence }) {
			q = c
			break
		}
	}
	if r.rand.IntN(3) == 0 {
		var part []int
		for item := range q.Items.All() {
			if r.rand.IntN(2) == 0 {
				part = append(part, item)
			}
		}
		q.Items = NewItems(part...)
	}
	if l, ok := r.leases[q.Lease.Instance]; ok && r.rand.IntN(5) == 0 {
		q.Lease = l // the next session of the node
	}
	q.Outcome = []Outcome{OutcomeSuccess, OutcomeFailure, OutcomeCancelled}[r.rand.IntN(3)]
	if (q.Manual || q.Claimed) && r.rand.IntN(4) == 0 {
		q.Outcome = OutcomeReturned
		if !q.Claimed {
			r.returned(q)
		}
	}
	got, err := r.Complete(r.t.Context(), q)
	if !r.m.live(q.Lease.Instance, q.Lease.Epoch) {
		if !errors.Is(err, ErrLeaseLost) {
			r.t.Errorf("Complete without a lease = %v, want %v", err, ErrLeaseLost)
		}
		return
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.takeTurn(MeetRequest{Lease: q.Lease, Job: "j", Fence: q.Fence, Moment: MomentAfter}, got.Gathering)
	if diff := cmp.Diff(r.m.complete(q), got); diff != "" {
		r.t.Errorf("Complete(%+v) (-want +got):\n%s", q, diff)
	}
}

// takeTurn notes what a node is to do about a run, and that nobody else does it.
func (r *randomRun) takeTurn(q MeetRequest, g *Gathering) {
	r.t.Helper()
	if g == nil || g.Turn == TurnGo {
		return
	}
	q.Run = g.Run
	if !slices.Contains(r.open, q) {
		r.open = append(r.open, q)
	}
	if g.Turn == TurnWait || r.m.isNowhere(q.Run) {
		return
	}
	key, who := string(q.Moment)+g.Run, identity(q.Lease, q.Fence)+" "+g.Turn.String()
	if before, known := r.called[key]; known && before != who && (g.Turn == TurnCall || !strings.HasSuffix(before, TurnCall.String())) {
		r.t.Errorf("run %s, moment %c: turn of %s and of %s, want one", g.Run, q.Moment, before, who)
	}
	r.called[key] = who
}

// meet lets a node ask again, report what it has called, or give up.
func (r *randomRun) meet() {
	r.t.Helper()
	i := r.rand.IntN(len(r.open))
	q := r.open[i]
	q.Act = []Act{ActAsk, ActAsk, ActDone, ActDone, ActDone, ActExpire}[r.rand.IntN(6)]
	if r.rand.IntN(3) == 0 {
		r.open = slices.Delete(r.open, i, i+1)
	}
	got, err := r.Meet(r.t.Context(), q)
	if !r.m.live(q.Lease.Instance, q.Lease.Epoch) {
		if !errors.Is(err, ErrLeaseLost) {
			r.t.Errorf("Meet without a lease = %v, want %v", err, ErrLeaseLost)
		}
		return
	}
	if err != nil {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff(r.m.meet(q), got); diff != "" {
		r.t.Errorf("Meet(%+v) (-want +got):\n%s", q, diff)
	}
	q.Act = 0
	r.takeTurn(q, &got)
}

// compare checks all that is stored, and that no item is in two places.
func (r *randomRun) compare(op string) {
	r.t.Helper()
	want := r.m.dump()
	got := map[string]map[string]string{}
	for letter, fields := range want {
		if letter == "dead" || letter == "stop" || letter == "off" {
			got[letter] = must(r.bench, func(ctx context.Context) (map[string]string, error) {
				return r.client.HGetAll(ctx, r.keys.prefix+letter).Result()
			})
			if letter == "off" { // without author and time
				for name, value := range got[letter] {
					got[letter][name], _, _ = strings.Cut(value, ",")
				}
			}
			continue
		}
		got[letter] = r.hash(letter, "j")
		if letter == "j" {
			for name := range got[letter] {
				if _, ok := fields[name]; !ok && !slices.Contains([]string{"cfg", "mon", "mis", "fo", "dis"}, name) {
					r.t.Errorf("after %s: unknown field %s", op, name)
				}
			}
			for name, value := range fields { // absent counts as empty or zero
				if _, ok := got[letter][name]; !ok && (value == "" || value == "0") {
					got[letter][name] = value
				}
			}
			for _, name := range []string{"cfg", "mon", "mis", "fo", "dis"} {
				delete(got[letter], name)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("after %s the keys differ (-want +got):\n%s", op, diff)
	}
	if dirty := must(r.bench, r.Dirty); (len(dirty) > 0) != r.m.dirty {
		r.t.Errorf("after %s: dirty %v, want %v", op, dirty, r.m.dirty)
	}
	busy := map[int]string{}
	for node, list := range r.m.marks {
		for _, k := range list {
			for item := range k.items {
				// Of a job that broadcasts it is the node that runs once.
				if other, ok := busy[item]; ok && r.m.how != HowBroadcast {
					r.t.Errorf("after %s item %d is in two marks, of %s and %s", op, item, other, node)
				}
				busy[item] = node
			}
		}
	}
	r.checkOrphans(op, busy)
}

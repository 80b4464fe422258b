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

// TestUnmonitoredDutiesMeet lets nodes fire an unmonitored job by nothing but their
// assignments, while nodes join, stop, pause and die and the job gets more items and
// fewer. No instant may be fired twice. While nobody dies each is fired, or is told
// to be unknown by a node that has paused for longer than a hand-over.
func TestUnmonitoredDutiesMeet(t *testing.T) {
	t.Parallel()
	for i := range (*seeds + 1) / 2 {
		for _, deaths := range []bool{false, true} {
			seed := *firstSeed + uint64(i)
			t.Run(fmt.Sprintf("seed %d, deaths %v", seed, deaths), func(t *testing.T) {
				t.Parallel()
				s := newDutySimulation(t, seed, deaths, untouched)
				s.run()
			})
		}
	}
}

// TestBrokenDutiesAreCaught takes rules out of the scripts which only the whole
// fleet can miss.
func TestBrokenDutiesAreCaught(t *testing.T) {
	t.Parallel()
	const most = 40
	for _, b := range []breakage{
		{1, "end of the former duty not known", "commit", "floor[i] = math.max(floor[i], over)", ""},
		{1, "end of the former duty too early", "commit", "f.live and from - 1 or 0", "0"},
		{1, "hand-over not waited for", "commit", "local rest = math.max(tonumber(s[6]), leaves and given + handover or 0)", "local rest = 0"},
		{74, "item comes back at once", "commit", "if reborn > NOW then", "if false then"},
		{1, "orphans taken for their owner's", "commit", "former[i] = was\n", "former[i] = nil\n"},
	} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			b.mustNotice(t, most, func(t testing.TB, seed uint64, edit func(name, source string) string) {
				t.Helper()
				newDutySimulation(t, seed/2, seed%2 == 1, edit).run()
			})
		})
	}
}

const (
	dutyTick   = 250 * time.Millisecond
	dutyPeriod = time.Second // the job fires at its multiples
	dutyLength = 90 * time.Second
	// dutyItems exist all the time, and others come and go.
	dutyItems = 2
)

// dutySimulation is a small fleet. The leader "z" owns nothing and never fails.
type dutySimulation struct {
	*bench
	rand     *rand.Rand
	deaths   bool
	leader   Leadership
	nodes    []*dutyNode
	born     int
	dead     []Lease
	verdicts map[string]string // item@instant -> who gave it
	unknown  map[string]bool   // item@instant that is recorded as perhaps not fired
}

// dutyNode is a process. What it owes is decided up to after and ends before
// until, if that is not zero.
type dutyNode struct {
	id          string
	lease       Lease
	renewed     time.Time
	told, heard int64 // feed versions: of the last renewal, and followed
	paused      time.Time
	generation  int64
	duties      []duty
	stops       bool      // as soon as it has handed over what it gave away
	stopped     time.Time // the last instant that it fires, zero while it goes on
	died        bool
}

type duty struct {
	item         int
	after, until time.Time
}

func newDutySimulation(t testing.TB, seed uint64, deaths bool, edit func(name, source string) string) *dutySimulation {
	t.Helper()
	s := &dutySimulation{
		bench: setupBroken(t, onEmbedded, edit), rand: rand.New(rand.NewPCG(seed, 1)), deaths: deaths,
		verdicts: map[string]string{}, unknown: map[string]bool{},
	}
	s.leader = s.lead("z")
	s.putItems()
	return s
}

func (s *dutySimulation) run() {
	s.t.Helper()
	for s.now.Before(at(dutyLength)) {
		s.pass(dutyTick)
		s.change()
		for _, n := range s.nodes {
			s.step(n)
		}
		s.nodes = slices.DeleteFunc(s.nodes, func(n *dutyNode) bool { return n.died })
		s.coordinate()
		if s.t.Failed() {
			return
		}
	}
	if !s.deaths {
		s.findLost()
	}
	s.t.Logf("%d fired, %d unknown, %d nodes", len(s.verdicts), len(s.unknown), s.born)
}

func (s *dutySimulation) chance(oneIn int) bool { return s.rand.IntN(oneIn) == 0 }

func (s *dutySimulation) putItems() {
	d := definition("j", dutyItems+s.rand.IntN(4))
	d.Monitored, d.Overwrite = false, true
	s.put(d)
}

// change lets something happen to the fleet.
func (s *dutySimulation) change() {
	if len(s.nodes) < 2 || len(s.nodes) < 5 && s.chance(40) {
		s.born++
		n := &dutyNode{id: fmt.Sprintf("n%d", s.born)}
		n.lease = s.register(n.id, "j")
		n.renewed = s.now
		s.nodes = append(s.nodes, n)
	}
	if s.chance(60) {
		s.putItems()
	}
	n := s.nodes[s.rand.IntN(len(s.nodes))]
	switch {
	case s.chance(30):
		n.stops = true
	case s.deaths && s.chance(30):
		n.paused = s.now.Add(time.Duration(s.rand.Int64N(int64(2 * sessionTimeout))))
	case s.deaths && s.chance(60):
		n.died = true
	}
}

// step is what a node does in a tick.
func (s *dutySimulation) step(n *dutyNode) {
	s.t.Helper()
	if n.died || s.now.Before(n.paused) {
		return
	}
	if s.now.Sub(n.renewed) >= s.RenewInterval() {
		r, err := s.Renew(s.t.Context(), n.lease, false)
		if errors.Is(err, ErrLeaseLost) {
			n.died = true // another process may follow
			return
		}
		if err != nil {
			s.t.Fatal(err)
		}
		n.renewed, n.told = s.now, r.Version
	}
	if s.chance(2) {
		s.follow(n)
	}
	s.fire(n)
	if n.stops && n.stopped.IsZero() {
		s.follow(n)
		s.fire(n)
	}
	gives := slices.ContainsFunc(n.duties, func(d duty) bool { return !d.until.IsZero() })
	switch {
	case n.stops && n.stopped.IsZero() && !gives:
		n.stopped = s.now
		if _, err := s.Depart(s.t.Context(), n.lease, s.now, false, []string{"j"}); err != nil {
			s.t.Fatal(err)
		}
	case !n.stopped.IsZero() && s.now.Sub(n.stopped) >= time.Second:
		if err := s.Leave(s.t.Context(), n.lease, n.stopped); err != nil {
			s.t.Fatal(err)
		}
		s.dead = append(s.dead, n.lease)
		n.died = true
	}
}

// follow adopts the assignment.
func (s *dutySimulation) follow(n *dutyNode) {
	s.t.Helper()
	_, latest, _, err := s.Changes(s.t.Context(), 0)
	if err != nil {
		s.t.Fatal(err)
	}
	a := s.assignment(n.id, "j")
	n.heard = latest
	if a.Generation <= n.generation {
		return
	}
	missedOne := n.generation != 0 && n.generation < a.Previous
	n.generation = a.Generation
	held := map[int]*duty{}
	var added []duty
	for i := range n.duties {
		d := &n.duties[i]
		if !d.until.IsZero() {
			continue
		}
		if a.Items.Contains(d.item) {
			held[d.item] = d
			continue
		}
		d.until = a.From
		if missedOne {
			// When it was given away the node does not know.
			s.forget(d, s.now)
			d.until = d.after
		}
	}
	for _, group := range a.Floors {
		for item := range group.Items.All() {
			if d := held[item]; d != nil && missedOne && group.At.After(d.after) {
				s.forget(d, group.At) // another had it in between
				continue
			} else if d != nil && group.At.After(s.now) {
				// Given away and back: up to the floor it is the former owner's duty.
				d.until = group.At.Add(time.Millisecond)
			} else if d != nil {
				continue
			}
			d := duty{item: item, after: group.At}
			for _, o := range a.Orphans {
				if o.Items.Contains(item) {
					s.forget(&d, s.now)
				}
			}
			added = append(added, d)
		}
	}
	n.duties = append(n.duties, added...)
}

// forget records that nobody knows whether the item was fired up to an instant.
func (s *dutySimulation) forget(d *duty, until time.Time) {
	for t := next(d.after); !t.After(until); t = next(t) {
		s.unknown[fmt.Sprintf("%d@%d", d.item, t.Unix())] = true
		d.after = t
	}
}

func next(t time.Time) time.Time { return t.Truncate(dutyPeriod).Add(dutyPeriod) }

// fire gives what is due its verdict, as far as the node may be sure of its duty.
func (s *dutySimulation) fire(n *dutyNode) {
	s.t.Helper()
	kept := n.duties[:0]
	for _, d := range n.duties {
		for t := next(d.after); !t.After(s.now); t = next(t) {
			if !d.until.IsZero() && !t.Before(d.until) || !n.stopped.IsZero() && t.After(n.stopped) {
				break
			}
			if n.heard < n.told || !n.renewed.Add(s.HandOver()).After(t) {
				break
			}
			d.after = t
			key := fmt.Sprintf("%d@%d", d.item, t.Unix())
			if before, twice := s.verdicts[key]; twice {
				s.t.Errorf("%v: item %s is fired by %s and by %s", s.now, key, before, n.id)
			}
			s.verdicts[key] = n.id
		}
		if d.until.IsZero() || next(d.after).Before(d.until) {
			kept = append(kept, d)
		}
	}
	n.duties = kept
}

// coordinate is the leader's part.
func (s *dutySimulation) coordinate() {
	s.t.Helper()
	ctx := s.t.Context()
	_ = must(s.bench, func(ctx context.Context) (Renewal, error) { return s.Renew(ctx, s.leader.Lease, true) })
	if !s.chance(2) {
		return
	}
	reaped := must(s.bench, func(ctx context.Context) (Reaped, error) { return s.Reap(ctx, s.leader, true) })
	s.dead = append(s.dead, reaped.Dead...)
	for _, d := range s.dead {
		_ = must(s.bench, func(ctx context.Context) ([]Drained, error) { return s.Drain(ctx, s.leader, d, []string{"j"}) })
	}
	dirty := must(s.bench, s.Dirty)
	if len(dirty) > 0 {
		state := s.job("j")
		p := Plan{
			Job: "j", ExpectGeneration: state.Generation, ExpectVersion: state.Version,
			Items: state.Definition.Items, Dirty: dirty[0].Since, Owners: map[string]Items{},
		}
		var able []string
		for _, i := range must(s.bench, s.Instances) {
			if i.Live && !i.Draining && i.Instance.ID != "z" {
				able = append(able, i.Instance.ID)
			}
		}
		for item := range p.Items {
			if len(able) > 0 {
				id := able[item%len(able)]
				p.Owners[id] = NewItems(append(p.Owners[id].Slice(), item)...)
			}
		}
		_ = must(s.bench, func(ctx context.Context) ([]CommitResult, error) {
			return s.CommitAssignments(ctx, s.leader, []Plan{p})
		})
	}
	if len(must(s.bench, s.Dirty)) > 0 {
		return
	}
	for _, d := range s.dead {
		if err := s.Bury(ctx, s.leader, d); err != nil {
			s.t.Fatal(err)
		}
	}
	s.dead = nil
}

// findLost looks for instants that have no verdict, but for the last ones.
func (s *dutySimulation) findLost() {
	s.t.Helper()
	for t := next(start()); t.Before(s.now.Add(-3 * sessionTimeout)); t = next(t) {
		for item := range dutyItems {
			key := fmt.Sprintf("%d@%d", item, t.Unix())
			if s.verdicts[key] == "" && !s.unknown[key] {
				s.t.Errorf("item %s at %v is lost", key, t)
			}
		}
	}
}

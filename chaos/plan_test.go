//go:build unix

package chaos_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// kind is a kind of fault.
type kind string

// The faults. Each has a length, after which it is undone.
const (
	// kill is kill -9; the node is started anew.
	kill kind = "kill"
	// pause is SIGSTOP, then SIGCONT.
	pause kind = "pause"
	// refuse ends the connections of a node and lets it make none.
	refuse kind = "refuse"
	// hang keeps what a node and Redis send to each other, and lets it through later.
	hang kind = "hang"
	// mute does so with the answers only.
	mute kind = "mute"
	// slow delays what goes either way.
	slow kind = "slow"
	// roll stops a node as an operator does, and starts it anew.
	roll kind = "roll"
	// join starts one more node, and stops it.
	join kind = "join"
	// restart kills Redis, and starts it with what it has on disk.
	restart kind = "restart"
	// promote cuts a replica off, ends the master, and has Sentinels put the replica
	// in its place: what was written in between is lost.
	promote kind = "promote"
)

// kinds are the faults of a fleet on one Redis, each as often as it is to be.
func kinds() []kind {
	return []kind{kill, kill, pause, pause, refuse, hang, mute, slow, roll, join, restart}
}

// sentinelKinds are those of a fleet on Sentinels, which name the master's own
// address: no proxy is in the way.
func sentinelKinds() []kind { return []kind{kill, kill, pause, roll, join, promote} }

// noSlot is the slot of what is done to Redis.
const noSlot = -1

// slots are the places of nodes; the last is that of the one that joins and leaves.
const slots = 5

// spare is that one.
const spare = slots - 1

// fault is something that happens at a time of the round.
type fault struct {
	kind kind
	slot int // of the node, or noSlot
	at   time.Duration
	for_ time.Duration
}

func (f fault) end() time.Duration { return f.at + f.for_ }

// plan is what happens in a round, in order.
type plan struct{ faults []fault }

// How long a fault is left to itself, and a node before the next one.
const (
	shortestGap, longestGap = 300 * time.Millisecond, 1700 * time.Millisecond
	recovery                = 2 * time.Second
)

// newPlan returns the faults of a round, of some kinds, all of which end before it
// does. At any time two nodes at least are well.
func newPlan(seed uint64, length time.Duration, kinds []kind) plan {
	r := rand.New(rand.NewPCG(seed, 0))
	between := func(low, high time.Duration) time.Duration { return low + time.Duration(r.Int64N(int64(high-low))) }
	var p plan
	var illUntil [slots]time.Duration
	var redisUntil time.Duration
	for at := between(0, longestGap); at < length; at += between(shortestGap, longestGap) {
		f := fault{kind: kinds[r.IntN(len(kinds))], slot: r.IntN(spare), at: at}
		switch f.kind {
		case kill:
			f.for_ = between(0, 2**sessionTimeout)
		case pause:
			f.for_ = between(*sessionTimeout/4, 3**sessionTimeout)
		case refuse, hang, mute:
			f.for_ = between(*sessionTimeout/10, 5**sessionTimeout/2)
		case slow, join:
			f.for_ = between(*sessionTimeout, 3**sessionTimeout)
		case roll:
			f.for_ = between(0, *sessionTimeout)
		case restart:
			f.slot, f.for_ = noSlot, between(100*time.Millisecond, *sessionTimeout/2)
		case promote:
			f.slot, f.for_ = noSlot, between(100*time.Millisecond, *sessionTimeout/3)
		}
		if f.kind == join {
			f.slot = spare
		}
		if f.end() > length {
			continue
		}
		if f.slot == noSlot {
			if at < redisUntil {
				continue
			}
			redisUntil = f.end() + 5**sessionTimeout
		} else {
			ill := 0
			for slot, until := range illUntil {
				if slot != spare && slot != f.slot && until > at {
					ill++
				}
			}
			if illUntil[f.slot] > at || f.slot != spare && ill > spare-3 {
				continue
			}
			illUntil[f.slot] = f.end() + recovery
		}
		p.faults = append(p.faults, f)
	}
	return p
}

// newCalmPlan returns the faults of a round in which one node at a time dies or is
// stopped, twice as often, and comes back when others run what it had.
func newCalmPlan(seed uint64, length time.Duration) plan {
	const settling = 3 * time.Second
	r := rand.New(rand.NewPCG(seed, 1))
	var p plan
	for at, n := settling, 0; ; n++ {
		f := fault{kind: roll, slot: n % spare, at: at, for_: settling}
		if n%3 == 0 {
			f.kind, f.for_ = kill, *sessionTimeout+2*settling
		}
		if f.end() > length {
			return p
		}
		p.faults = append(p.faults, f)
		// So that what happens has no firm place between two renewals.
		at = f.end() + settling + time.Duration(r.Int64N(int64(*sessionTimeout/3)))
	}
}

// change is the begin or the end of a fault.
type change struct {
	fault
	isEnd bool
}

func (c change) when() time.Duration {
	if c.isEnd {
		return c.end()
	}
	return c.at
}

// changes are the begins and ends of all faults, in order.
func (p plan) changes() []change {
	var all []change
	for _, f := range p.faults {
		all = append(all, change{f, false}, change{f, true})
	}
	slices.SortStableFunc(all, func(a, b change) int { return cmp.Compare(a.when(), b.when()) })
	return all
}

// TestPlan holds what the checks of a round rely on.
func TestPlan(t *testing.T) {
	t.Parallel()
	const length = time.Minute
	seen := map[kind]bool{}
	for seed := range uint64(50) {
		checkPlan(t, seed, newCalmPlan(seed, length), length)
		for _, kinds := range [][]kind{kinds(), sentinelKinds()} {
			p := newPlan(seed, length, kinds)
			if diff := gocmp.Diff(p.faults, newPlan(seed, length, kinds).faults, gocmp.AllowUnexported(fault{})); diff != "" {
				t.Fatalf("newPlan(%d) twice (-first +second):\n%s", seed, diff)
			}
			for _, f := range p.faults {
				seen[f.kind] = true
			}
			checkPlan(t, seed, p, length)
		}
	}
	if len(seen) != 10 {
		t.Errorf("kinds of faults of 50 seeds = %d, want 10", len(seen))
	}
}

func checkPlan(t *testing.T, seed uint64, p plan, length time.Duration) {
	t.Helper()
	ill := map[int]bool{}
	for _, c := range p.changes() {
		if c.when() > length {
			t.Errorf("newPlan(%d) has %v at %v, want it before %v", seed, c.kind, c.when(), length)
		}
		if c.isEnd {
			delete(ill, c.slot)
			continue
		}
		if ill[c.slot] {
			t.Errorf("newPlan(%d) has %v at %v in slot %d, want one fault at a time there", seed, c.kind, c.at, c.slot)
		}
		ill[c.slot] = true
		nodes := 0
		for slot := range spare {
			if !ill[slot] {
				nodes++
			}
		}
		if nodes < 2 {
			t.Errorf("newPlan(%d) leaves %d nodes well at %v, want 2", seed, nodes, c.at)
		}
	}
}

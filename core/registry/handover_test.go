package registry

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// unmonitored is an unmonitored job "j" of two items, both owned by "a", which
// leads, and a second node "b". Its hand-over is past.
func unmonitored(b *bench) (l Leadership, other Lease) {
	b.t.Helper()
	l, _ = oneNode(b, 2, func(d *JobDefinition) { d.Monitored = false })
	other = b.register("b")
	b.pass(b.HandOver())
	b.renewAll(l.Lease, other)
	return l, other
}

// renewAll renews leases; of those only "a" and "d" may lead.
func (b *bench) renewAll(leases ...Lease) {
	b.t.Helper()
	for _, l := range leases {
		_ = must(b, func(ctx context.Context) (Renewal, error) {
			return b.Renew(ctx, l, l.Instance == "a" || l.Instance == "d")
		})
	}
}

func (b *bench) wantFloors(instance string, floors []ItemsAt, orphans ...Orphan) {
	b.t.Helper()
	a := b.assignment(instance, "j")
	if diff := cmp.Diff(floors, a.Floors); diff != "" {
		b.t.Errorf("floors of %s (-want +got):\n%s", instance, diff)
	}
	if diff := cmp.Diff(orphans, a.Orphans); diff != "" {
		b.t.Errorf("orphans of %s (-want +got):\n%s", instance, diff)
	}
}

func TestLiveOwnerHandsOverLater(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, _ := unmonitored(b)
		from := b.now.Add(b.HandOver())
		if r := b.assign(l, "j", map[string]string{"a": "0", "b": "1"}); r.Code != CodeOK || !r.From.Equal(from) {
			t.Errorf("CommitAssignments = %s from %v, want ok from %v", r.Code, r.From, from)
		}
		b.wantFloors("a", []ItemsAt{{NewItems(0), start()}})
		b.wantFloors("b", []ItemsAt{{NewItems(1), from.Add(-time.Millisecond)}})
		// Nothing moves while that is to come, and the job stays dirty.
		b.pass(b.HandOver() - time.Millisecond)
		b.renewAll(l.Lease)
		d := b.dirtyNames()
		p := Plan{Job: "j", ExpectGeneration: b.job("j").Generation, ExpectVersion: b.job("j").Version, Items: 2, Dirty: must(b, b.Dirty)[0].Since}
		r := must(b, func(ctx context.Context) ([]CommitResult, error) { return b.CommitAssignments(ctx, l, []Plan{p}) })[0]
		if r.Code != CodePending || !r.From.Equal(from) || r.Generation != p.ExpectGeneration {
			t.Errorf("CommitAssignments before the hand-over = %s from %v, want pending until %v", r.Code, r.From, from)
		}
		if diff := cmp.Diff(d, b.dirtyNames()); diff != "" {
			t.Errorf("Dirty (-want +got):\n%s", diff)
		}
		b.pass(time.Millisecond)
		if r := b.assign(l, "j", nil); r.Code != CodeOK {
			t.Errorf("CommitAssignments after the hand-over = %s, want ok", r.Code)
		}
	})
}

func TestDrainingOwnerHandsOverAtOnce(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, other := unmonitored(b)
		b.assign(l, "j", map[string]string{"a": "0", "b": "1"})
		b.pass(b.HandOver())
		b.renewAll(l.Lease, other)
		stopped := b.now.Add(time.Second)
		if _, err := b.Depart(t.Context(), other, stopped, false, []string{"j"}); err != nil {
			t.Fatal(err)
		}
		if r := b.assign(l, "j", map[string]string{"b": "0-1"}); r.Code != CodeOwnerGone {
			t.Errorf("CommitAssignments to a draining node = %s, want owner gone", r.Code)
		}
		if r := b.assign(l, "j", map[string]string{"a": "0-1"}); r.Code != CodeOK || !r.From.Equal(b.now) {
			t.Errorf("CommitAssignments = %s from %v, want ok from %v", r.Code, r.From, b.now)
		}
		b.wantFloors("a", []ItemsAt{{NewItems(0), start()}, {NewItems(1), stopped}})
	})
}

// An owner that has just got an item may not know it yet: were the item moved on,
// nobody would fire it in between.
func TestOwnersKeepItemsForAHandOver(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, other := unmonitored(b)
		b.assign(l, "j", map[string]string{"b": "0-1"})
		b.pass(b.HandOver())
		b.renewAll(l.Lease, other)
		if err := b.Leave(t.Context(), other, b.now); err != nil {
			t.Fatal(err)
		}
		next := b.register("c")
		b.assign(l, "j", map[string]string{"a": "0-1"}) // from now on
		until := b.now.Add(b.HandOver())
		b.pass(time.Second)
		if r := b.assign(l, "j", map[string]string{"c": "0-1"}); r.Code != CodePending || !r.From.Equal(until) {
			t.Errorf("CommitAssignments = %s from %v, want pending until %v", r.Code, r.From, until)
		}
		b.pass(b.HandOver() - time.Second)
		b.renewAll(l.Lease, next)
		if r := b.assign(l, "j", map[string]string{"c": "0-1"}); r.Code != CodeOK {
			t.Errorf("CommitAssignments later = %s, want ok", r.Code)
		}
	})
}

// A node that drains has said what it fires: its items need not wait for those of
// the others.
func TestItemsOfADrainingOwnerDoNotWaitForAHandOver(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, other := unmonitored(b)
		b.register("c")
		from := b.assign(l, "j", map[string]string{"a": "0", "b": "1"}).From
		first := b.job("j").Generation
		b.pass(time.Second)
		if _, err := b.Depart(t.Context(), other, b.now, false, []string{"j"}); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Second)
		r := b.assign(l, "j", map[string]string{"c": "0-1"})
		if again := b.now.Add(b.HandOver()); r.Code != CodePending || r.Generation == first || !r.From.Equal(again) {
			t.Errorf("CommitAssignments = %s, generation %d, from %v, want a pending one, new, from %v", r.Code, r.Generation, r.From, again)
		}
		b.wantFloors("a", []ItemsAt{{NewItems(0), start()}})
		b.wantFloors("c", []ItemsAt{{NewItems(1), from.Add(-time.Millisecond)}})
		assigned := must(b, func(ctx context.Context) ([]Assignment, error) { return b.Assignments(ctx, "c", []string{"j"}) })
		if assigned[0].Previous >= first {
			t.Errorf("Previous = %d while the hand-over of %d lasts, want an earlier one", assigned[0].Previous, first)
		}
		b.pass(b.HandOver())
		b.renewAll(l.Lease)
		given := b.assign(l, "j", map[string]string{"c": "0-1"}).Generation
		assigned = must(b, func(ctx context.Context) ([]Assignment, error) { return b.Assignments(ctx, "c", []string{"j"}) })
		if got := assigned[0]; got.Generation != given || got.Previous != first {
			t.Errorf("Previous = %d of generation %d, want %d as its hand-over is over", got.Previous, got.Generation, first)
		}
		if dirty := must(b, b.Dirty); len(dirty) != 1 {
			t.Errorf("Dirty = %v, want the job to be looked at again", dirty)
		}
	})
}

func TestItemsOfADeadOwnerAreOrphans(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, other := unmonitored(b)
		third := b.register("c")
		b.assign(l, "j", map[string]string{"a": "0", "b": "1"})
		b.pass(b.HandOver())
		b.renewAll(l.Lease, other, third)
		renewed := b.now
		b.pass(sessionTimeout - time.Second)
		b.renewAll(l.Lease, third)
		b.pass(time.Second + defaultGrace + time.Millisecond)
		reaped := must(b, func(ctx context.Context) (Reaped, error) { return b.Reap(ctx, l, false) })
		if diff := cmp.Diff([]Lease{other}, reaped.Dead); diff != "" {
			t.Fatalf("Reap (-want +got):\n%s", diff)
		}
		// Also by way of nobody.
		if r := b.assign(l, "j", map[string]string{"a": "0"}); r.Code != CodeOK || !r.From.Equal(b.now) {
			t.Errorf("CommitAssignments = %s from %v, want ok from %v", r.Code, r.From, b.now)
		}
		b.pass(time.Second)
		orphan := Orphan{Former: "b", Items: NewItems(1)}
		floor := ItemsAt{NewItems(1), renewed}
		b.assign(l, "j", map[string]string{"a": "0", "c": "1"})
		b.wantFloors("c", []ItemsAt{floor}, orphan)
		// The next session of the instance learns that nobody waits for it.
		for instance, want := range map[string]Items{"b": NewItems(1), "c": {}} {
			if got := b.assignment(instance, "j").Forfeited; !got.Equal(want) {
				t.Errorf("items that %s has forfeited = %v, want %v", instance, got, want)
			}
		}
		// c may not have heard of it when the next generation comes.
		b.pass(time.Second)
		b.renewAll(l.Lease, third)
		if err := b.Leave(t.Context(), l.Lease, b.now); err != nil {
			t.Fatal(err)
		}
		b.pass(b.HandOver())
		b.renewAll(third)
		l = b.lead("d")
		if r := b.assign(l, "j", map[string]string{"d": "0", "c": "1"}); r.Code != CodeOK {
			t.Fatalf("CommitAssignments = %s, want ok", r.Code)
		}
		b.wantFloors("c", []ItemsAt{floor}, orphan)
		b.wantFloors("d", []ItemsAt{{NewItems(0), at(b.now.Sub(start()) - b.HandOver())}})
		// Given away by a live owner, it is no orphan any more.
		b.pass(b.HandOver())
		b.renewAll(l.Lease, third)
		b.assign(l, "j", map[string]string{"d": "0-1"})
		if got := b.assignment("d", "j").Orphans; got != nil {
			t.Errorf("Orphans = %v, want none", got)
		}
	})
}

func TestNextSessionOfAnOwnerIsAnotherOwner(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		for name, c := range map[string]struct {
			monitored bool
			left      time.Duration
			code      Code
			floor     time.Duration
			orphans   []Orphan
		}{
			"died":            {false, 0, CodeOK, 0, []Orphan{{Former: "b", Items: NewItems(0, 1)}}},
			"left":            {false, time.Second, CodeOK, time.Second, nil},
			"died, monitored": {true, 0, CodeNone, 0, nil},
		} {
			b := setup(t, on)
			l := b.lead("z")
			d := definition("j", 2)
			d.Monitored = c.monitored
			b.put(d)
			b.pass(time.Second)
			owner := b.register("b", "j")
			g := b.assign(l, "j", map[string]string{"b": "0-1"}).Generation
			renewed := b.now
			want := renewed.Add(c.floor)
			if c.monitored {
				want = start()
			}
			b.pass(sessionTimeout - time.Second)
			_ = must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l.Lease, true) })
			if c.left > 0 {
				if err := b.Leave(t.Context(), owner, want); err != nil {
					t.Fatal(err)
				}
			}
			b.pass(2*time.Second + time.Millisecond)
			b.register("b", "j")
			r := b.assign(l, "j", map[string]string{"b": "0-1"})
			if r.Code != c.code || (r.Generation > g) != (c.code == CodeOK) {
				t.Errorf("%s: CommitAssignments = %s of generation %d after %d, want %s", name, r.Code, r.Generation, g, c.code)
			}
			b.wantFloors("b", []ItemsAt{{NewItems(0, 1), want}}, c.orphans...)
			if r := b.assign(l, "j", map[string]string{"b": "0-1"}); r.Code != CodeNone {
				t.Errorf("%s: CommitAssignments again = %s, want none", name, r.Code)
			}
		}
	})
}

func TestEnablingEndsOrphans(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, other := unmonitored(b)
		floor := b.assign(l, "j", map[string]string{"b": "0-1"}).From.Add(-time.Millisecond)
		b.pass(b.HandOver())
		b.renewAll(l.Lease)
		if err := b.Leave(t.Context(), other, time.Time{}); err != nil {
			t.Fatal(err)
		}
		b.assign(l, "j", map[string]string{"a": "0-1"})
		b.wantFloors("a", []ItemsAt{{NewItems(0, 1), floor}}, Orphan{Former: "b", Items: NewItems(0, 1)})
		for _, enabled := range []bool{false, true} {
			b.pass(time.Second)
			if _, err := b.SetState(t.Context(), "j", enabled, "test"); err != nil {
				t.Fatal(err)
			}
		}
		b.wantFloors("a", []ItemsAt{{NewItems(0, 1), b.now}})
	})
}

package registry

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// TestReconcile damages what is stored, and wants it mended once and for all.
func TestReconcile(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		for name, c := range map[string]struct {
			damage func(b *bench)
			want   []Repair
			dirty  bool
		}{
			"nothing": {func(*bench) {}, nil, false},
			"counter of marks": {func(b *bench) {
				b.client.HSet(b.t.Context(), b.keys.job("j"), "x", "7")
			}, []Repair{{"j", RepairMarkCount, 1}}, false},
			"marks of an unknown session": {func(b *bench) {
				b.client.HSet(b.t.Context(), b.keys.marks("j"), "old", "7|5|1|N|1|q|2;8|5|1|N|1|q|3")
			}, []Repair{{"j", RepairMarkOrphaned, 1}, {"j", RepairMarkCount, 1}}, false},
			"marks that nobody can read": {func(b *bench) {
				b.client.HSet(b.t.Context(), b.keys.marks("j"), "a", "x", "b", "1|2|3;y")
			}, []Repair{{"j", RepairMarkBroken, 3}}, false},
			"running items that wait for failover": {func(b *bench) {
				s := b.job("j")
				b.begin(Lease{"a", b.epoch("a")}, "j", s.Generation, at(3*time.Second))
				b.client.HSet(b.t.Context(), b.keys.failovers("j"), "0", "f", "1", "f", "2", "f")
			}, []Repair{{"j", RepairFailoverRunning, 2}}, false},
			"items with two owners, none, and unknown ones": {func(b *bench) {
				b.client.HSet(b.t.Context(), b.keys.assignments("j"), "b", "1@1772366400000;9@1")
			}, []Repair{{"j", RepairItemOwner, 4}}, true},
			"assignment lost": {func(b *bench) {
				b.client.Del(b.t.Context(), b.keys.assignments("j"))
			}, []Repair{{"j", RepairItemOwner, 4}}, true},
			"index lost": {func(b *bench) {
				b.client.Del(b.t.Context(), b.keys.jobs())
			}, []Repair{{"j", RepairIndex, 1}}, true},
			"job lost": {func(b *bench) {
				b.client.Del(b.t.Context(), b.keys.job("j"))
			}, []Repair{{"j", RepairIndex, 1}}, false},
			"summary of states": {func(b *bench) {
				b.client.HSet(b.t.Context(), b.keys.job("j"), "nd", "5", "dn", "2")
			}, []Repair{{"j", RepairDesiredState, 1}}, false},
			"number of items": {func(b *bench) {
				b.client.HSet(b.t.Context(), b.keys.job("j"), "n", "5")
			}, []Repair{{"j", RepairUnassigned, 1}}, true},
			"owner without session": {func(b *bench) {
				b.client.HDel(b.t.Context(), b.keys.sess(), "b")
				b.client.ZRem(b.t.Context(), b.keys.lease(), "b")
				b.client.HDel(b.t.Context(), b.keys.info(), "b")
			}, []Repair{{"j", RepairOwnerGone, 1}}, true},
			"sessions": {func(b *bench) {
				b.client.ZRem(b.t.Context(), b.keys.lease(), "b")
				b.client.ZAdd(b.t.Context(), b.keys.lease(), redis.Z{Score: 1, Member: "c"})
				b.client.HSet(b.t.Context(), b.keys.info(), "d", "{}")
				b.client.HSet(b.t.Context(), b.keys.stop(), "e", "1")
			}, []Repair{{"", RepairSession, 4}}, false},
		} {
			b := setup(t, on)
			l := b.lead("a")
			b.register("b")
			b.put(definition("j", 4))
			s := b.job("j")
			p := Plan{
				Job: "j", ExpectVersion: s.Version, Items: 4, Dirty: must(b, b.Dirty)[0].Since,
				Owners: map[string]Items{"a": NewItems(0, 1), "b": NewItems(2, 3)},
			}
			_ = must(b, func(ctx context.Context) ([]CommitResult, error) { return b.CommitAssignments(ctx, l, []Plan{p}) })
			c.damage(b)
			reconcile := func() []Repair {
				return must(b, func(ctx context.Context) ([]Repair, error) { return b.Reconcile(ctx, l, []string{"j"}) })
			}
			if diff := cmp.Diff(c.want, reconcile()); diff != "" {
				t.Errorf("%s: Reconcile (-want +got):\n%s", name, diff)
			}
			if got := b.dirtyNames(); (len(got) > 0) != c.dirty {
				t.Errorf("%s: Dirty = %v, want it so: %v", name, got, c.dirty)
			}
			if got := reconcile(); got != nil {
				t.Errorf("%s: Reconcile again = %v, want nothing to repair", name, got)
			}
		}
	})
}

func (b *bench) epoch(instance string) int64 {
	b.t.Helper()
	for _, s := range must(b, b.Instances) {
		if s.Instance.ID == instance {
			return s.Epoch
		}
	}
	b.t.Fatalf("no instance %s", instance)
	return 0
}

func TestReconciledMarksCanBeDrained(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 2)
		b.begin(l.Lease, "j", g, at(2*time.Second))
		if err := b.client.HDel(t.Context(), b.keys.sess(), "a").Err(); err != nil {
			t.Fatal(err)
		}
		next := b.lead("b")
		repairs := must(b, func(ctx context.Context) ([]Repair, error) { return b.Reconcile(ctx, next, []string{"j"}) })
		want := []Repair{{"", RepairSession, 2}, {"j", RepairMarkOrphaned, 1}}
		if diff := cmp.Diff(want, repairs); diff != "" {
			t.Errorf("Reconcile (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]Lease{l.Lease}, must(b, b.Dead)); diff != "" {
			t.Errorf("Dead (-want +got):\n%s", diff)
		}
		_ = must(b, func(ctx context.Context) ([]Drained, error) { return b.Drain(ctx, next, l.Lease, []string{"j"}) })
		g = b.assign(next, "j", map[string]string{"b": "0-1"}).Generation
		wantBegin(t, b.begin(next.Lease, "j", g, at(3*time.Second)), CodeOK, "0-1", "")
	})
}

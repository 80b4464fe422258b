package registry

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func (b *bench) restore(states ...JobState) int {
	b.t.Helper()
	return must(b, func(ctx context.Context) (int, error) { return b.Restore(ctx, states) })
}

func TestRestoreIntoAnEmptyRegistry(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, _ := oneNode(b, 3)
		b.put(definition("k", 1))
		ctx := t.Context()
		for _, err := range []error{
			second(b.SetState(ctx, "j", false, "test")), second(b.SetItemState(ctx, "j", 2, false, "test")),
			second(b.SetStateOnInstance(ctx, "j", "10.0.0.1@-@7", false, "test")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		want := must(b, func(ctx context.Context) ([]JobState, error) { return b.Jobs(ctx, "j", "k") })
		if err := b.client.FlushAll(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Minute)
		l = b.lead("a")
		if got := b.restore(want...); got != 2 {
			t.Errorf("Restore = %d, want 2", got)
		}
		if got := b.restore(want...); got != 0 {
			t.Errorf("Restore again = %d, want 0", got)
		}
		got := must(b, func(ctx context.Context) ([]JobState, error) { return b.Jobs(ctx, "j", "k") })
		want[0].Generation, want[0].Owners, want[0].Assigned = 0, map[string]Items{}, 0
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Jobs (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"j", "k"}, b.dirtyNames()); diff != "" {
			t.Errorf("Dirty (-want +got):\n%s", diff)
		}
		if got := must(b, func(ctx context.Context) ([]Repair, error) { return b.Reconcile(ctx, l, []string{"j", "k"}) }); got != nil {
			t.Errorf("Reconcile = %v, want nothing to repair", got)
		}
		// Nothing before is missed.
		if _, err := b.SetState(ctx, "j", true, "test"); err != nil {
			t.Fatal(err)
		}
		g := b.assign(l, "j", map[string]string{"a": "0-2"}).Generation
		wantBegin(t, b.begin(l.Lease, "j", g, b.now), CodeNone, "", "")
		wantBegin(t, b.begin(l.Lease, "j", g, b.now.Add(time.Second)), CodeOK, "0-1", "")
	})
}

func TestRestoreKeepsTheNewerVersion(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 2)
		first := b.job("j")
		d := definition("j", 3)
		d.Overwrite = true
		b.pass(time.Second)
		b.put(d)
		second := b.job("j")
		if got := b.restore(first); got != 0 || b.job("j").Definition.Items != 3 {
			t.Errorf("Restore of an older version = %d, want 0", got)
		}
		// As if the last writes were lost.
		second.Version += 1_000_000
		second.DisabledItems = NewItems(1)
		if got := b.restore(second); got != 1 {
			t.Errorf("Restore of a newer version = %d, want 1", got)
		}
		if got := b.job("j"); got.Version != second.Version || got.Generation != g || !got.DisabledItems.Equal(second.DisabledItems) {
			t.Errorf("Job = %+v, want version %d, generation %d with item 1 disabled", got, second.Version, g)
		}
		b.pass(time.Second)
		b.assign(l, "j", map[string]string{"a": "0-2"})
		if put := b.put(d); put.Outcome != PutUnchanged || put.Version != second.Version {
			t.Errorf("PutJobs of the restored definition = %+v, want unchanged of version %d", put, second.Version)
		}
	})
}

func TestRestoreChecksStates(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		good := JobState{Definition: definition("j", 2), Version: 1, Updated: start()}
		for name, change := range map[string]func(*JobState){
			"name":            func(s *JobState) { s.Definition.Name = "a b" },
			"version":         func(s *JobState) { s.Version = 0 },
			"time":            func(s *JobState) { s.Updated = time.Time{} },
			"disabled item":   func(s *JobState) { s.DisabledItems = NewItems(2) },
			"disabled server": func(s *JobState) { s.DisabledServers = []string{""} },
		} {
			s := good
			change(&s)
			if _, err := b.Restore(t.Context(), []JobState{s}); err == nil {
				t.Errorf("Restore with a bad %s = nil, want an error", name)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

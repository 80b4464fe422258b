package registry

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func (b *bench) assignment(instance, job string) Assignment {
	b.t.Helper()
	return must(b, func(ctx context.Context) ([]Assignment, error) {
		return b.Assignments(ctx, instance, []string{"unknown", job})
	})[0]
}

func TestFirstAssignmentStartsAtDefinition(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("a")
		p := b.put(definition("j", 3))
		b.pass(5 * time.Second)
		r := b.assign(l, "j", map[string]string{"a": "0-2"})
		// An instant at the very definition is nobody's, so the first after it counts.
		from := start().Add(time.Millisecond)
		want := CommitResult{Job: "j", Code: CodeOK, Generation: r.Generation, From: from}
		if diff := cmp.Diff(want, r); diff != "" || r.Generation == 0 {
			t.Errorf("CommitAssignments (-want +got):\n%s", diff)
		}
		a := Assignment{
			Job: "j", Generation: r.Generation, Epoch: l.Term, Monitored: true, Items: NewItems(0, 1, 2), From: from,
			Floors: []ItemsAt{{NewItems(0, 1, 2), start()}},
		}
		if diff := cmp.Diff(a, b.assignment("a", "j")); diff != "" {
			t.Errorf("Assignments (-want +got):\n%s", diff)
		}
		a.Items, a.Floors = Items{}, nil
		if diff := cmp.Diff(a, b.assignment("nobody", "j")); diff != "" {
			t.Errorf("Assignments of nobody (-want +got):\n%s", diff)
		}
		if next := b.register("b"); next.Epoch <= a.Epoch {
			t.Errorf("the next session has epoch %d, want one above the assignment's %d", next.Epoch, a.Epoch)
		}
		if s := b.job("j"); s.Version != p.Version || s.Generation != r.Generation || s.Owners["a"].String() != "0-2" {
			t.Errorf("Job = %+v, want version %d, generation %d, owner a", s, p.Version, r.Generation)
		}
		// An instant before the definition is not the job's.
		wantBegin(t, b.begin(l.Lease, "j", r.Generation, start()), CodeNone, "", "")
		wantBegin(t, b.begin(l.Lease, "j", r.Generation, at(time.Second)), CodeOK, "0-2", "")
	})
}

// The four cases of a reshard in the check table of the protocol.
func TestReshardWhileRunning(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g1 := oneNode(b, 3)
		other := b.register("b")
		first := b.begin(l.Lease, "j", g1, at(2*time.Second))
		b.complete(l.Lease, "j", first.Fence, "0-1")
		g2 := b.assign(l, "j", map[string]string{"a": "0-1", "b": "2"}).Generation

		wantBegin(t, b.begin(other, "j", g2, at(2*time.Second)), CodeNone, "", "")
		wantBegin(t, b.begin(other, "j", g2, at(3*time.Second)), CodeNone, "", "2")
		wantBegin(t, b.catchUp(other, "j", g2, "m1"), CodeNone, "", "")
		since := must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l.Lease, true) }).Version
		if r := b.complete(l.Lease, "j", first.Fence, "2"); r.Released.String() != "2" || !r.HasMisfire {
			t.Errorf("Complete = %+v, want 2 released and a misfire", r)
		}
		changes, _, complete, err := b.Changes(t.Context(), since)
		if err != nil || !complete || len(changes) != 1 || changes[0].Kind != ChangeReleased || changes[0].Job != "j" {
			t.Errorf("Changes = %+v, %v, %v, want one release of j", changes, complete, err)
		}
		late := b.catchUp(other, "j", g2, "m2")
		wantBegin(t, late, CodeOK, "2", "")
		if !late.Instant.Equal(at(3 * time.Second)) {
			t.Errorf("catch-up instant = %v, want %v", late.Instant, at(3*time.Second))
		}
		if x := b.hash("j", "j")["x"]; x != "0" {
			t.Errorf("marks outside the generation = %s, want 0", x)
		}
	})
}

func TestReshardBeforeBegin(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("a")
		other := b.register("b")
		b.put(definition("j", 4))
		g1 := b.assign(l, "j", map[string]string{"a": "0-2", "b": "3"}).Generation
		run := b.begin(other, "j", g1, at(2*time.Second))
		wantBegin(t, run, CodeOK, "3", "")
		g2 := b.assign(l, "j", map[string]string{"a": "0-1", "b": "2-3"}).Generation

		wantBegin(t, b.begin(l.Lease, "j", g1, at(2*time.Second)), CodeStale, "", "")
		want := []ItemsAt{{NewItems(2), start()}, {NewItems(3), at(2 * time.Second)}}
		if diff := cmp.Diff(want, b.assignment("b", "j").Floors); diff != "" {
			t.Errorf("floors (-want +got):\n%s", diff)
		}
		wantBegin(t, b.begin(other, "j", g2, at(2*time.Second)), CodeOK, "2", "")
		wantBegin(t, b.begin(l.Lease, "j", g2, at(2*time.Second)), CodeOK, "0-1", "")
	})
}

func TestCommitRefusesWhatHasChanged(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 2)
		s := b.job("j")
		good := Plan{
			Job: "j", ExpectGeneration: g, ExpectVersion: s.Version, Items: 2,
			Owners: map[string]Items{"a": NewItems(0)},
		}
		for name, c := range map[string]struct {
			change func(*Plan)
			want   Code
		}{
			"old generation":           {func(p *Plan) { p.ExpectGeneration-- }, CodeStale},
			"old version":              {func(p *Plan) { p.ExpectVersion-- }, CodeStale},
			"owner without session":    {func(p *Plan) { p.Owners = map[string]Items{"gone": NewItems(0)} }, CodeOwnerGone},
			"job that is not there":    {func(p *Plan) { p.Job = "unknown" }, CodeUnknownJob},
			"assignment as it already": {func(p *Plan) { p.Owners = map[string]Items{"a": NewItems(0, 1)} }, CodeNone},
		} {
			p := good
			c.change(&p)
			r := must(b, func(ctx context.Context) ([]CommitResult, error) {
				return b.CommitAssignments(ctx, l, []Plan{p})
			})[0]
			if r.Code != c.want || c.want != CodeUnknownJob && r.Generation != g {
				t.Errorf("%s: CommitAssignments = %s of generation %d, want %s of %d", name, r.Code, r.Generation, c.want, g)
			}
		}
		for name, owners := range map[string]map[string]Items{
			"item given twice":  {"a": NewItems(0), "b": NewItems(0)},
			"item out of range": {"a": NewItems(2)},
			"bad instance id":   {"a|b": NewItems(0)},
		} {
			p := good
			p.Owners = owners
			if _, err := b.CommitAssignments(t.Context(), l, []Plan{p}); err == nil {
				t.Errorf("%s: CommitAssignments = nil, want an error", name)
			}
		}
		l.Term++
		if _, err := b.CommitAssignments(t.Context(), l, []Plan{good}); !errors.Is(err, ErrNotLeader) {
			t.Errorf("CommitAssignments of another term = %v, want %v", err, ErrNotLeader)
		}
	})
}

func TestUnownedItemsKeepTheirFloors(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 2)
		run := b.begin(l.Lease, "j", g, at(3*time.Second))
		b.complete(l.Lease, "j", run.Fence, "0-1")
		b.assign(l, "j", nil)
		if got := b.job("j").Owners; got[""].String() != "0-1" || len(got) != 1 {
			t.Errorf("Owners = %v, want all with nobody", got)
		}
		g = b.assign(l, "j", map[string]string{"a": "0-1"}).Generation
		wantBegin(t, b.begin(l.Lease, "j", g, at(3*time.Second)), CodeNone, "", "")
		wantBegin(t, b.begin(l.Lease, "j", g, at(4*time.Second)), CodeOK, "0-1", "")
	})
}

func TestShrinkDropsWhatWaits(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 4)
		b.begin(l.Lease, "j", g, at(2*time.Second))
		b.begin(l.Lease, "j", g, at(3*time.Second)) // 0-3 missed it
		for _, item := range []int{1, 3} {
			if _, err := b.SetItemState(t.Context(), "j", item, false, "test"); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.client.HSet(t.Context(), b.keys.prefix+"cp:j", "1", "1|x", "3", "1|y").Err(); err != nil {
			t.Fatal(err)
		}
		d := definition("j", 2)
		d.Overwrite = true
		b.put(d)
		r := b.assign(l, "j", map[string]string{"a": "0-1"})
		if r.Dropped.String() != "2-3" {
			t.Errorf("CommitAssignments dropped %q, want 2-3", r.Dropped)
		}
		if got := b.job("j").DisabledItems.String(); got != "1" {
			t.Errorf("DisabledItems = %q, want 1", got)
		}
		for letter, want := range map[string]int{"m": 2, "cp": 1, "st": 1} {
			if got := b.hash(letter, "j"); len(got) != want {
				t.Errorf("%s = %v, want %d fields", letter, got, want)
			}
		}
		// Grown again, an item starts anew.
		b.pass(time.Second)
		d.Items = 4
		b.put(d)
		b.assign(l, "j", map[string]string{"a": "0-3"})
		for _, f := range b.assignment("a", "j").Floors {
			if f.Items.Contains(3) && !f.At.Equal(b.now) {
				t.Errorf("floor of the new item = %v, want %v", f.At, b.now)
			}
		}
	})
}

func TestDisabledItemNeverAssignedIsDropped(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 2)
		d := definition("j", 4)
		d.Overwrite = true
		b.put(d)
		if _, err := b.SetItemState(t.Context(), "j", 3, false, "test"); err != nil {
			t.Fatal(err)
		}
		d.Items = 2
		b.put(d)
		if r := b.assign(l, "j", map[string]string{"a": "0-1"}); r.Code != CodeNone || r.Generation != g {
			t.Errorf("CommitAssignments = %s of generation %d, want none of %d", r.Code, r.Generation, g)
		}
		if got, left := b.job("j").DisabledItems, b.hash("st", "j"); got.Len() != 0 || len(left) != 0 {
			t.Errorf("DisabledItems = %q, stored %v, want none", got, left)
		}
	})
}

func TestDirtyIsClearedOnlyAsSeen(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("a")
		p := b.put(definition("j", 1))
		seen := must(b, b.Dirty)
		if len(seen) != 1 || seen[0].Name != "j" {
			t.Fatalf("Dirty = %v, want j", seen)
		}
		commit := func(generation, dirty int64) CommitResult {
			return must(b, func(ctx context.Context) ([]CommitResult, error) {
				return b.CommitAssignments(ctx, l, []Plan{{
					Job: "j", ExpectGeneration: generation, ExpectVersion: p.Version, Items: 1,
					Owners: map[string]Items{"a": NewItems(0)}, Dirty: dirty,
				}})
			})[0]
		}
		b.register("b", "j", "unknown") // a node that runs j comes while the leader plans
		r := commit(0, seen[0].Since)
		again := must(b, b.Dirty)
		if len(again) != 1 || again[0].Since <= seen[0].Since {
			t.Errorf("Dirty = %v, want j since after %d", again, seen[0].Since)
		}
		if r := commit(r.Generation, again[0].Since); r.Code != CodeNone {
			t.Errorf("CommitAssignments of the same owners = %s, want none", r.Code)
		}
		if got := must(b, b.Dirty); len(got) != 0 {
			t.Errorf("Dirty = %v, want none", got)
		}
	})
}

func TestManyPlansAreSplit(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("a")
		const jobs = batchJobs + 3
		names := make([]string, jobs)
		plans := make([]Plan, jobs)
		for i := range jobs {
			names[i] = fmt.Sprintf("j%d", i)
			p := b.put(definition(names[i], 30))
			plans[i] = Plan{Job: names[i], ExpectVersion: p.Version, Items: 30, Owners: map[string]Items{}}
			for k := range 30 {
				plans[i].Owners[fmt.Sprintf("n%d", k)] = NewItems(k)
			}
		}
		for k := range 30 {
			b.register(fmt.Sprintf("n%d", k))
		}
		for rest := plans; len(rest) > 0; rest = rest[len(planBatch(rest)):] {
			if n := len(planBatch(rest)); n == 0 || n > maxPlanOwners/30 {
				t.Fatalf("planBatch = %d plans of 30 owners, want 1 to %d", n, maxPlanOwners/30)
			}
		}
		for _, r := range must(b, func(ctx context.Context) ([]CommitResult, error) { return b.CommitAssignments(ctx, l, plans) }) {
			if r.Code != CodeOK {
				t.Errorf("CommitAssignments(%s) = %s, want ok", r.Job, r.Code)
			}
		}
		got := must(b, func(ctx context.Context) ([]Assignment, error) { return b.Assignments(ctx, "n7", names) })
		if len(got) != jobs {
			t.Fatalf("Assignments = %d, want %d", len(got), jobs)
		}
		for i, a := range got {
			if a.Job != names[i] || a.Items.String() != "7" {
				t.Errorf("Assignments[%d] = %s %q, want %s 7", i, a.Job, a.Items, names[i])
			}
		}
	})
}

func TestLargestJob(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("a")
		other := b.register("b")
		b.put(definition("j", MaxItems))
		var even, odd []int
		for i := range MaxItems / 2 {
			even, odd = append(even, 2*i), append(odd, 2*i+1)
		}
		g := b.assign(l, "j", map[string]string{"a": NewItems(even...).String(), "b": NewItems(odd...).String()}).Generation
		run := b.begin(l.Lease, "j", g, at(time.Second))
		if !run.Items.Equal(NewItems(even...)) {
			t.Errorf("Begin = %d items, want the even ones", run.Items.Len())
		}
		b.begin(other, "j", g, at(time.Second))
		held := b.begin(l.Lease, "j", g, at(2*time.Second))
		if held.Code != CodeNone || !held.Held.Equal(NewItems(even...)) {
			t.Errorf("Begin = %s with %d held, want none with the even ones", held.Code, held.Held.Len())
		}
		next := b.assign(l, "j", map[string]string{"a": NewItems(odd...).String(), "b": NewItems(even...).String()})
		if next.Code != CodeOK {
			t.Errorf("CommitAssignments = %s, want ok", next.Code)
		}
		if r := b.complete(l.Lease, "j", run.Fence, NewItems(even...).String()); r.Released.Len() != MaxItems/2 {
			t.Errorf("Complete released %d items, want %d", r.Released.Len(), MaxItems/2)
		}
		if r := b.catchUp(other, "j", next.Generation, "m1"); !r.Items.Equal(NewItems(even...)) {
			t.Errorf("catch-up = %d items, want the even ones", r.Items.Len())
		}
	})
}

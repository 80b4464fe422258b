package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPutJobsComparesAndSets(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		d := definition("j", 2)
		created := b.put(d)
		want := PutResult{Name: "j", Outcome: PutCreated, Config: d.Config, Version: created.Version}
		if diff := cmp.Diff(want, created); diff != "" || created.Version == 0 {
			t.Errorf("PutJobs (-want +got):\n%s", diff)
		}
		steps := []struct {
			name   string
			change func(*JobDefinition)
			want   PutOutcome
			stored string // "" for the one put
			rises  bool
		}{
			{"the same", func(*JobDefinition) {}, PutUnchanged, "", false},
			{"another without a claim", func(d *JobDefinition) { d.Config = []byte("2") }, PutKept, `{"v":1}`, false},
			{"the wrong version", func(d *JobDefinition) { d.Config, d.ExpectVersion = []byte("2"), 5 }, PutConflict, `{"v":1}`, false},
			{"overwriting", func(d *JobDefinition) { d.Config, d.Overwrite = []byte("2"), true }, PutUpdated, "", true},
			{"only a flag", func(d *JobDefinition) { d.Config, d.Misfire = []byte("2"), false }, PutKept, "2", false},
		}
		last := created.Version
		for _, s := range steps {
			next := d
			s.change(&next)
			got := b.put(next)
			if s.stored == "" {
				s.stored = string(next.Config)
			}
			if got.Outcome != s.want || string(got.Config) != s.stored || (got.Version > last) != s.rises {
				t.Errorf("%s: PutJobs = %+v, want %s of %s, version above %d: %v", s.name, got, s.want, s.stored, last, s.rises)
			}
			last = got.Version
		}
		d.Config, d.ExpectVersion = []byte("3"), last
		if got := b.put(d); got.Outcome != PutUpdated || got.Version <= last {
			t.Errorf("PutJobs of the stored version = %+v, want it updated", got)
		}
		// Repeated after a lost reply.
		if got := b.put(d); got.Outcome != PutUnchanged {
			t.Errorf("PutJobs again = %s, want unchanged", got.Outcome)
		}
	})
}

func TestPutJobsChecks(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		for name, change := range map[string]func(*JobDefinition){
			"name":     func(d *JobDefinition) { d.Name = "a b" },
			"no items": func(d *JobDefinition) { d.Items = 0 },
			"items":    func(d *JobDefinition) { d.Items = MaxItems + 1 },
			"no bytes": func(d *JobDefinition) { d.Config = nil },
			"bytes":    func(d *JobDefinition) { d.Config = make([]byte, maxDefinition+1) },
			"version":  func(d *JobDefinition) { d.ExpectVersion = -1 },
		} {
			d := definition("j", 1)
			change(&d)
			if _, err := b.PutJobs(t.Context(), []JobDefinition{d}); err == nil {
				t.Errorf("PutJobs with a bad %s = nil, want an error", name)
			}
		}
	})
}

func TestManyJobs(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		defs := make([]JobDefinition, 2*batchJobs+1)
		for i := range defs {
			defs[i] = definition(fmt.Sprintf("j%03d", i), 1)
			defs[i].Config = []byte(strings.Repeat("x", 1000+i))
			defs[i].Disabled = i%2 == 1
		}
		results := must(b, func(ctx context.Context) ([]PutResult, error) { return b.PutJobs(ctx, defs) })
		names := must(b, b.JobNames)
		if len(results) != len(defs) || len(names) != len(defs) {
			t.Fatalf("PutJobs = %d, JobNames = %d, want %d", len(results), len(names), len(defs))
		}
		states := must(b, func(ctx context.Context) ([]JobState, error) { return b.Jobs(ctx, append(names, "unknown")...) })
		for i, s := range states {
			want := JobState{
				Definition: defs[i], Version: results[i].Version, Updated: start(), Enabled: i%2 == 0,
				Owners: map[string]Items{},
			}
			if diff := cmp.Diff(want, s); diff != "" {
				t.Fatalf("Jobs (-want +got):\n%s", diff)
			}
		}
		if n := must(b, func(ctx context.Context) (int, error) { return b.RemoveJobs(ctx, names[1:]...) }); n != len(names)-1 {
			t.Errorf("RemoveJobs = %d, want %d", n, len(names)-1)
		}
		if got := must(b, b.JobNames); len(got) != 1 || got[0] != names[0] {
			t.Errorf("JobNames = %v, want %v", got, names[:1])
		}
		if got := must(b, b.Dirty); len(got) != 1 {
			t.Errorf("Dirty = %v, want one", got)
		}
	})
}

func TestRemovedJobStartsAnew(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 2)
		run := b.begin(l.Lease, "j", g, at(2*time.Second))
		b.pass(time.Second)
		for want := 1; want >= 0; want-- {
			if got := must(b, func(ctx context.Context) (int, error) { return b.RemoveJobs(ctx, "j") }); got != want {
				t.Errorf("RemoveJobs = %d, want %d", got, want)
			}
		}
		if _, err := b.Job(t.Context(), "j"); !errors.Is(err, ErrUnknownJob) {
			t.Errorf("Job = %v, want %v", err, ErrUnknownJob)
		}
		b.complete(l.Lease, "j", run.Fence, "0-1")
		left := must(b, func(ctx context.Context) ([]string, error) { return b.client.Keys(ctx, "*:j").Result() })
		if len(left) != 0 {
			t.Errorf("keys of the removed job = %v, want none", left)
		}
		b.put(definition("j", 2))
		if next := b.assign(l, "j", map[string]string{"a": "0-1"}).Generation; next <= run.Fence {
			t.Errorf("generation = %d, want above the fence %d of before", next, run.Fence)
		}
	})
}

func TestDisabledJobBeginsNothing(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 2)
		set := func(enabled bool) bool {
			return must(b, func(ctx context.Context) (bool, error) { return b.SetState(ctx, "j", enabled, "test") })
		}
		if set(true) || !set(false) || set(false) {
			t.Error("SetState does not report whether it changed anything")
		}
		wantBegin(t, b.begin(l.Lease, "j", g, at(2*time.Second)), CodeDisabled, "", "")
		wantBegin(t, b.catchUp(l.Lease, "j", g, "m1"), CodeDisabled, "", "")
		if b.job("j").Enabled {
			t.Error("Job Enabled = true, want false")
		}
		b.pass(2 * time.Second) // 12:00:03
		set(true)
		// What was due meanwhile is not missed; what comes is run.
		wantBegin(t, b.begin(l.Lease, "j", g, at(3*time.Second)), CodeNone, "", "")
		wantBegin(t, b.begin(l.Lease, "j", g, at(4*time.Second)), CodeOK, "0-1", "")
		if _, err := b.SetState(t.Context(), "unknown", true, "test"); !errors.Is(err, ErrUnknownJob) {
			t.Errorf("SetState = %v, want %v", err, ErrUnknownJob)
		}
		for _, by := range []string{"", "a,b", strings.Repeat("x", 101)} {
			if _, err := b.SetState(t.Context(), "j", true, by); err == nil {
				t.Errorf("SetState by %q = nil, want an error", by)
			}
		}
	})
}

func TestDisabledFlagCountsWhenItChanges(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		d := definition("j", 1)
		d.Overwrite = true
		b.put(d)
		if _, err := b.SetState(t.Context(), "j", false, "operator"); err != nil {
			t.Fatal(err)
		}
		d.Config = []byte("2")
		b.put(d)
		if b.job("j").Enabled {
			t.Error("a new definition enables the job, want it to stay disabled")
		}
		d.Disabled = true
		b.put(d)
		d.Disabled = false
		b.put(d)
		if !b.job("j").Enabled {
			t.Error("a definition that is no longer disabled leaves the job so")
		}
	})
}

func TestDisabledItemIsSkipped(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 4)
		set := func(item int, enabled bool) bool {
			return must(b, func(ctx context.Context) (bool, error) {
				return b.SetItemState(ctx, "j", item, enabled, "test")
			})
		}
		if set(1, true) || !set(1, false) || set(1, false) || !set(2, false) {
			t.Error("SetItemState does not report whether it changed anything")
		}
		run := b.begin(l.Lease, "j", g, at(2*time.Second))
		wantBegin(t, run, CodeOK, "0,3", "")
		if got := b.job("j").DisabledItems.String(); got != "1-2" {
			t.Errorf("DisabledItems = %q, want 1-2", got)
		}
		b.complete(l.Lease, "j", run.Fence, "0,3")
		set(1, true)
		wantBegin(t, b.begin(l.Lease, "j", g, at(3*time.Second)), CodeOK, "0-1,3", "")
		for _, item := range []int{-1, 4, MaxItems} {
			if _, err := b.SetItemState(t.Context(), "j", item, false, "test"); err == nil {
				t.Errorf("SetItemState of item %d of 4 = nil, want an error", item)
			}
		}
	})
}

func TestDisabledOnInstanceLastsOverRestart(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("10.0.0.1@-@7")
		other := b.register("10.0.0.2@-@7")
		b.put(definition("j", 2))
		g := b.assign(l, "j", map[string]string{"10.0.0.1@-@7": "0", "10.0.0.2@-@7": "1"}).Generation
		for _, d := range must(b, b.Dirty) {
			if err := b.client.ZRem(t.Context(), b.keys.dirty(), d.Name).Err(); err != nil {
				t.Fatal(err)
			}
		}
		set := func(enabled bool) bool {
			return must(b, func(ctx context.Context) (bool, error) {
				return b.SetStateOnInstance(ctx, "j", "10.0.0.1@-@7", enabled, "error-handler")
			})
		}
		if set(true) || !set(false) || set(false) {
			t.Error("SetStateOnInstance does not report whether it changed anything")
		}
		wantBegin(t, b.begin(l.Lease, "j", g, at(2*time.Second)), CodeDisabled, "", "")
		wantBegin(t, b.begin(other, "j", g, at(2*time.Second)), CodeOK, "1", "")
		restarted := b.register("10.0.0.1@-@8")
		wantBegin(t, b.begin(restarted, "j", g, at(2*time.Second)), CodeDisabled, "", "")
		if diff := cmp.Diff([]string{"10.0.0.1"}, b.job("j").DisabledServers); diff != "" {
			t.Errorf("DisabledServers (-want +got):\n%s", diff)
		}
		if got := must(b, b.Dirty); len(got) != 1 || got[0].Name != "j" {
			t.Errorf("Dirty = %v, want j", got)
		}
		b.pass(3 * time.Second)
		set(true)
		wantBegin(t, b.begin(l.Lease, "j", g, at(3*time.Second)), CodeNone, "", "")
		wantBegin(t, b.begin(l.Lease, "j", g, at(4*time.Second)), CodeOK, "0", "")
		if f := b.assignment("10.0.0.2@-@7", "j").Floors; !f[0].At.Equal(start()) {
			t.Errorf("floor on the other server = %v, want %v as before", f[0].At, start())
		}
	})
}

func TestMonitoringSwitchedOnStartsNow(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 2, func(d *JobDefinition) { d.Monitored = false })
		b.pass(4 * time.Second)
		d := definition("j", 2)
		d.Overwrite = true
		b.put(d)
		wantBegin(t, b.begin(l.Lease, "j", g, b.now), CodeNone, "", "")
		wantBegin(t, b.begin(l.Lease, "j", g, b.now.Add(time.Second)), CodeOK, "0-1", "")
	})
}

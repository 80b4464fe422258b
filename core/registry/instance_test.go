package registry

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestInstances(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("b@-@1")
		i := Instance{ID: "a", Host: "host", PID: 7, Labels: map[string]string{"zone": "x"}, Version: "1.0", Jobs: []string{"j"}}
		r, err := b.Register(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		b.pass(sessionTimeout)
		_ = must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l.Lease, true) })
		b.pass(time.Second)
		want := []InstanceState{
			{Instance: i, Epoch: r.Lease.Epoch, Deadline: at(sessionTimeout)},
			{
				Instance: Instance{ID: "b@-@1", Host: "h", PID: 1, Version: "v"}, Epoch: l.Lease.Epoch,
				Deadline: at(2 * sessionTimeout), Live: true, Leader: true,
			},
		}
		if diff := cmp.Diff(want, must(b, b.Instances)); diff != "" {
			t.Errorf("Instances (-want +got):\n%s", diff)
		}
	})
}

func (b *bench) dirtyNames() []string {
	b.t.Helper()
	names := []string{}
	for _, d := range must(b, b.Dirty) {
		names = append(names, d.Name)
	}
	return names
}

func TestHostMakesWhatChangesDirty(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("z")
		for _, name := range []string{"kept", "new", "old"} {
			b.put(definition(name, 1))
		}
		node := b.register("a", "kept", "old", "unknown")
		for _, name := range []string{"kept", "new", "old"} {
			s := b.job(name)
			p := Plan{Job: name, ExpectVersion: s.Version, Items: 1, Dirty: must(b, b.Dirty)[0].Since}
			for _, d := range must(b, b.Dirty) {
				if d.Name == name {
					p.Dirty = d.Since
				}
			}
			_ = must(b, func(ctx context.Context) ([]CommitResult, error) { return b.CommitAssignments(ctx, l, []Plan{p}) })
		}
		said := Instance{ID: "a", Host: "h2", PID: 2, Version: "v", Jobs: []string{"kept", "new", "missing"}}
		for range 2 {
			if err := b.Host(t.Context(), node, said); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"new", "old"}, b.dirtyNames()); diff != "" {
				t.Errorf("Dirty (-want +got):\n%s", diff)
			}
		}
		if diff := cmp.Diff(said, must(b, b.Instances)[0].Instance); diff != "" {
			t.Errorf("Instances (-want +got):\n%s", diff)
		}
		b.pass(time.Minute)
		if err := b.Host(t.Context(), node, said); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("Host after the lease = %v, want %v", err, ErrLeaseLost)
		}
	})
}

func TestDepartKeepsTheFirstInstant(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		b.put(definition("j", 1))
		node := b.register("a")
		for _, d := range []time.Duration{1, 2} {
			stopped, err := b.Depart(t.Context(), node, at(d*time.Second), false, []string{"j", "unknown"})
			if err != nil || !stopped.Equal(at(time.Second)) {
				t.Fatalf("Depart = %v, %v, want %v", stopped, err, at(time.Second))
			}
		}
		if got := must(b, b.Instances)[0]; !got.Draining || !got.Stopped.Equal(at(time.Second)) || !got.Live {
			t.Errorf("Instances = %+v, want it live, draining since %v", got, at(time.Second))
		}
		if diff := cmp.Diff([]string{"j"}, b.dirtyNames()); diff != "" {
			t.Errorf("Dirty (-want +got):\n%s", diff)
		}
		if err := b.Leave(t.Context(), node, at(3*time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Depart(t.Context(), node, at(time.Second), false, nil); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("Depart after Leave = %v, want %v", err, ErrLeaseLost)
		}
		dead := must(b, func(ctx context.Context) (map[string]string, error) {
			return b.client.HGetAll(ctx, b.keys.dead()).Result()
		})
		if got, want := dead["a:"+number(node.Epoch)], millis(at(time.Second))+"|g"; got != want {
			t.Errorf("dead session = %q, want %q", got, want)
		}
		b.register("a")
		if got := must(b, b.Instances)[0]; got.Draining || !got.Stopped.IsZero() {
			t.Errorf("Instances after the next session = %+v, want it not draining", got)
		}
	})
}

func TestDisabledServerRunsNothing(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("10.0.0.1@-@7")
		b.register("10.0.0.2@-@8")
		b.put(definition("j", 2))
		b.put(definition("k", 2))
		g := b.assign(l, "j", map[string]string{"10.0.0.1@-@7": "0-1"}).Generation
		first := b.begin(l.Lease, "j", g, at(time.Second))
		set := func(enabled bool) bool {
			return must(b, func(ctx context.Context) (bool, error) {
				return b.SetInstanceState(ctx, "10.0.0.1@-@another", enabled, "test")
			})
		}
		if !set(false) || set(false) {
			t.Error("SetInstanceState = unchanged, then changed, want it the other way round")
		}
		if diff := cmp.Diff([]string{"j", "k"}, b.dirtyNames()); diff != "" {
			t.Errorf("Dirty (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"10.0.0.1"}, must(b, b.DisabledServers)); diff != "" {
			t.Errorf("DisabledServers (-want +got):\n%s", diff)
		}
		for i, want := range []bool{true, false} {
			if got := must(b, b.Instances)[i]; got.Disabled != want {
				t.Errorf("Instances: %s disabled = %v, want %v", got.Instance.ID, got.Disabled, want)
			}
		}
		wantBegin(t, b.begin(l.Lease, "j", g, at(2*time.Second)), CodeDisabled, "", "")
		if again := b.begin(l.Lease, "j", g, at(time.Second)); again.Fence != first.Fence {
			t.Errorf("a repeated Begin = fence %d, want %d", again.Fence, first.Fence)
		}
		b.complete(l.Lease, "j", first.Fence, "0-1")
		if !set(true) || set(true) {
			t.Error("SetInstanceState = unchanged, then changed, want it the other way round")
		}
		wantBegin(t, b.begin(l.Lease, "j", g, at(3*time.Second)), CodeOK, "0-1", "")
	})
}

func TestNothingIsMissedWhileTheOnlyServerIsDisabled(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("z")
		node := b.register("a", "j")
		b.put(definition("j", 2))
		b.put(definition("elsewhere", 1))
		b.assign(l, "j", map[string]string{"a": "0-1"})
		b.assign(l, "elsewhere", nil)
		for _, enabled := range []bool{false, true} {
			if _, err := b.SetInstanceState(t.Context(), "a", enabled, "test"); err != nil {
				t.Fatal(err)
			}
			b.assign(l, "j", nil)
			b.pass(5 * time.Second)
		}
		g := b.assign(l, "j", map[string]string{"a": "0-1"}).Generation
		wantBegin(t, b.begin(node, "j", g, at(5*time.Second)), CodeNone, "", "")
		wantBegin(t, b.begin(node, "j", g, at(6*time.Second)), CodeOK, "0-1", "")
		if diff := cmp.Diff(map[string]string{"": "0@" + millis(start())}, b.hash("a", "elsewhere")); diff != "" {
			t.Errorf("floors of a job that the server does not host (-want +got):\n%s", diff)
		}
	})
}

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
	b := setup(t)
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
	b := setup(t)
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
}

func TestDepartKeepsTheFirstInstant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(definition("j", 1))
	node := b.register("a")
	for _, d := range []time.Duration{1, 2} {
		if err := b.Depart(t.Context(), node, at(d*time.Second), []string{"j", "unknown"}); err != nil {
			t.Fatal(err)
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
	if err := b.Depart(t.Context(), node, at(time.Second), nil); !errors.Is(err, ErrLeaseLost) {
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
}

package registry

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

func TestRegisterRefusesLiveInstance(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		first, err := b.Register(t.Context(), Instance{ID: "a", Nonce: "1"})
		if err != nil {
			t.Fatal(err)
		}
		if !first.NotBefore.IsZero() || !first.Now.Equal(start()) || first.Incarnation == "" {
			t.Errorf("Register = %+v, want no quarantine, now %v and an incarnation", first, start())
		}
		if _, err := b.Register(t.Context(), Instance{ID: "a", Nonce: "2"}); !errors.Is(err, ErrInstanceConflict) {
			t.Errorf("Register of a live id = %v, want %v", err, ErrInstanceConflict)
		}
		again, err := b.Register(t.Context(), Instance{ID: "a", Nonce: "1"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("the same registration again (-first +second):\n%s", diff)
		}
		// Its code may still be stopping.
		b.pass(sessionTimeout + time.Millisecond)
		until := at(sessionTimeout + defaultGrace)
		for _, nonce := range []string{"1", "2"} {
			_, err := b.Register(t.Context(), Instance{ID: "a", Nonce: nonce})
			if !errors.Is(err, ErrInstanceConflict) || !strings.Contains(err.Error(), "until "+until.Format(time.RFC3339)) {
				t.Errorf("Register after the lease = %v, want %v until %v", err, ErrInstanceConflict, until)
			}
		}
		b.pass(defaultGrace - time.Millisecond)
		if _, err := b.Register(t.Context(), Instance{ID: "a", Nonce: "2"}); !errors.Is(err, ErrInstanceConflict) {
			t.Errorf("Register at the end of the grace = %v, want %v", err, ErrInstanceConflict)
		}
		if dead := must(b, b.Dead); len(dead) != 0 {
			t.Errorf("Dead before the end of the grace = %v, want none", dead)
		}
		b.pass(time.Millisecond)
		next, err := b.Register(t.Context(), Instance{ID: "a", Nonce: "2"})
		if err != nil {
			t.Fatal(err)
		}
		if next.Lease.Epoch <= first.Lease.Epoch {
			t.Errorf("second epoch = %d, want above %d", next.Lease.Epoch, first.Lease.Epoch)
		}
		dead := must(b, b.Dead)
		if diff := cmp.Diff([]Lease{first.Lease}, dead); diff != "" {
			t.Errorf("Dead (-want +got):\n%s", diff)
		}
		// Who has left is not in the way.
		if err := b.Leave(t.Context(), next.Lease, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Register(t.Context(), Instance{ID: "a", Nonce: "3"}); err != nil {
			t.Errorf("Register after Leave = %v, want nil", err)
		}
	})
}

// TestARepeatedRegistrationHasAWholeLease has a node whose first answer was lost:
// it counts its lease from the request that was answered.
func TestARepeatedRegistrationHasAWholeLease(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		var lease Lease
		for range 2 {
			r := must(b, func(ctx context.Context) (Registration, error) {
				return b.Register(ctx, Instance{ID: "a", Nonce: "1"})
			})
			lease = r.Lease
			b.pass(sessionTimeout - time.Second)
		}
		if _, err := b.Renew(t.Context(), lease, false); err != nil {
			t.Errorf("Renew within a session timeout of the repeated registration = %v, want nil", err)
		}
	})
}

func TestNamespaceOfAnotherSchemaIsRefused(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		b.register("a")
		if err := b.client.HSet(t.Context(), b.keys.meta(), "P", "32").Err(); err != nil {
			t.Fatal(err)
		}
		_, err := b.Register(t.Context(), Instance{ID: "b"})
		if !errors.Is(err, ErrIncompatible) || !strings.Contains(err.Error(), "schema 4 with 32 partitions") {
			t.Errorf("Register = %v, want %v with what it has", err, ErrIncompatible)
		}
	})
}

func TestRenewKeepsLeaseButNeverRevivesIt(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.register("a")
		for range 5 {
			b.pass(sessionTimeout)
			r := must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l, false) })
			if !r.Now.Equal(b.now) || r.Leader {
				t.Errorf("Renew = %+v, want now %v and no leader", r, b.now)
			}
		}
		b.pass(sessionTimeout + time.Millisecond)
		for range 2 {
			if _, err := b.Renew(t.Context(), l, true); !errors.Is(err, ErrLeaseLost) {
				t.Errorf("Renew after the lease = %v, want %v", err, ErrLeaseLost)
			}
		}
	})
}

func TestLeadPassesOn(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		a := b.lead("a")
		second := b.register("b")
		renew := func(l Lease, want bool) Renewal {
			return must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l, want) })
		}
		if r := renew(second, true); r.Leader || !r.LeaderUntil.Equal(at(sessionTimeout)) {
			t.Errorf("Renew while another leads = %+v, want no leader until %v", r, at(sessionTimeout))
		}
		if r := renew(a.Lease, true); !r.Leader || r.Term != a.Term || !r.LeaderUntil.IsZero() {
			t.Errorf("Renew of the leader = %+v, want term %d", r, a.Term)
		}
		// Given up at will.
		if renew(a.Lease, false).Leader {
			t.Error("Renew without wanting the lead keeps it")
		}
		r := renew(second, true)
		if !r.Leader || r.Term <= a.Term {
			t.Errorf("Renew = %+v, want a term above %d", r, a.Term)
		}
		if _, err := b.CommitAssignments(t.Context(), a, []Plan{{Job: "j", Items: 1}}); !errors.Is(err, ErrNotLeader) {
			t.Errorf("CommitAssignments of the former leader = %v, want %v", err, ErrNotLeader)
		}
		// Left behind.
		if err := b.Leave(t.Context(), second, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if !renew(a.Lease, true).Leader {
			t.Error("the lead of a session that left is not taken")
		}
		// Expired, after the grace.
		third := b.register("c")
		for _, d := range []time.Duration{5, 5, 1, 1} {
			b.pass(d * time.Second)
			if r := renew(third, true); r.Leader != b.now.After(at(sessionTimeout+defaultGrace)) {
				t.Errorf("Renew at %v: leader = %v", b.now, r.Leader)
			}
		}
	})
}

func TestReapBrakesWhenMostAreDue(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("a")
		ended := []Lease{b.register("b"), b.register("c")}
		reap := func(force bool) Reaped {
			return must(b, func(ctx context.Context) (Reaped, error) { return b.Reap(ctx, l, force) })
		}
		next := at(sessionTimeout + defaultGrace + time.Millisecond)
		if got := reap(true); len(got.Dead) != 0 || !got.Next.Equal(next) || got.Held != 0 {
			t.Errorf("Reap = %+v, want none and the next at %v", got, next)
		}
		b.pass(sessionTimeout)
		_ = must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l.Lease, true) })
		late := b.register("d")
		b.pass(defaultGrace + time.Millisecond)
		_ = must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l.Lease, true) })
		// Two of four are due, which is not most.
		if err := b.Leave(t.Context(), late, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got := reap(false); len(got.Dead) != 0 || got.Held != 2 || !got.Next.IsZero() {
			t.Errorf("Reap of two of three = %+v, want both held", got)
		}
		late = b.register("d")
		next = b.now.Add(sessionTimeout + defaultGrace + time.Millisecond)
		if diff := cmp.Diff(Reaped{Dead: ended, Next: next}, reap(false)); diff != "" {
			t.Errorf("Reap of two of four (-want +got):\n%s", diff)
		}
		if err := b.Leave(t.Context(), late, at(time.Minute)); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"b:" + number(ended[0].Epoch): millis(at(0)) + "|d", "c:" + number(ended[1].Epoch): millis(at(0)) + "|d",
			"d:" + number(late.Epoch): millis(at(time.Minute)) + "|g",
		}
		dead := must(b, func(ctx context.Context) (map[string]string, error) {
			return b.client.HGetAll(ctx, b.keys.dead()).Result()
		})
		for name, value := range want {
			if dead[name] != value {
				t.Errorf("dead session %s = %q, want %q", name, dead[name], value)
			}
		}
	})
}

func TestLeaveEndsSession(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.register("a")
		for range 2 {
			if err := b.Leave(t.Context(), l, time.Time{}); err != nil {
				t.Errorf("Leave = %v, want nil", err)
			}
		}
		if _, err := b.Renew(t.Context(), l, false); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("Renew after Leave = %v, want %v", err, ErrLeaseLost)
		}
		// A late Leave does not end the next session of the id.
		next := b.register("a")
		if err := b.Leave(t.Context(), l, time.Time{}); err != nil {
			t.Fatal(err)
		}
		_ = must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, next, false) })
	})
}

func TestReapDrainBury(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("a")
		dead := b.register("b")
		for _, d := range []JobDefinition{definition("j", 2), definition("k", 2)} {
			d.Failover = d.Name == "k"
			b.put(d)
		}
		jobs := []string{"j", "k"}
		gens := map[string]int64{}
		fences := map[string]int64{}
		for _, name := range jobs {
			gens[name] = b.assign(l, name, map[string]string{"b": "0-1"}).Generation
			fences[name] = b.begin(dead, name, gens[name], at(2*time.Second)).Fence
		}
		renew := func() { _ = must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l.Lease, true) }) }
		reap := func() []Lease {
			return must(b, func(ctx context.Context) (Reaped, error) { return b.Reap(ctx, l, false) }).Dead
		}
		b.pass(sessionTimeout - time.Second)
		renew()
		b.pass(time.Second + defaultGrace)
		if got := reap(); len(got) != 0 {
			t.Errorf("Reap at the end of the grace = %v, want none", got)
		}
		b.pass(time.Millisecond)
		if diff := cmp.Diff([]Lease{dead}, reap()); diff != "" {
			t.Errorf("Reap (-want +got):\n%s", diff)
		}
		drain := func() []Drained {
			return must(b, func(ctx context.Context) ([]Drained, error) { return b.Drain(ctx, l, dead, jobs) })
		}
		want := []Drained{{Job: "j", Lost: []LostRun{{NewItems(0, 1), FormatRunID(at(2 * time.Second))}}}}
		if diff := cmp.Diff(want, drain()); diff != "" {
			t.Errorf("Drain (-want +got):\n%s", diff)
		}
		if got := drain(); len(got) != 0 {
			t.Errorf("second Drain = %v, want none", got)
		}
		f := number(at(2*time.Second).UnixMilli()) + "|N|" + number(fences["k"]) + "|b|" + number(dead.Epoch)
		if diff := cmp.Diff(map[string]string{"0": f, "1": f}, b.hash("f", "k")); diff != "" {
			t.Errorf("failover queue (-want +got):\n%s", diff)
		}
		for _, name := range jobs {
			if got := b.hash("r", name); len(got) != 0 {
				t.Errorf("marks of %s = %v, want none", name, got)
			}
		}
		var names []string
		for _, d := range must(b, b.Dirty) {
			names = append(names, d.Name)
		}
		if diff := cmp.Diff(jobs, names); diff != "" {
			t.Errorf("Dirty (-want +got):\n%s", diff)
		}
		for range 2 {
			if err := b.Bury(t.Context(), l, dead); err != nil {
				t.Fatal(err)
			}
			if got := must(b, b.Dead); len(got) != 0 {
				t.Errorf("Dead = %v, want none", got)
			}
		}
		// Queued items are busy for their next owner; lost ones are free.
		g := b.assign(l, "k", map[string]string{"a": "0-1"}).Generation
		wantBegin(t, b.begin(l.Lease, "k", g, b.now.Add(time.Second)), CodeNone, "", "0-1")
		g = b.assign(l, "j", map[string]string{"a": "0-1"}).Generation
		wantBegin(t, b.begin(l.Lease, "j", g, b.now.Add(time.Second)), CodeOK, "0-1", "")
	})
}

// TestInstancesThatComeAndGoLeaveNothing is #2009 and #2008 of ElasticJob, where
// the addresses of containers that are gone stay for ever.
func TestInstancesThatComeAndGoLeaveNothing(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("a")
		b.put(definition("j", 2))
		for n := range 3 {
			pod := b.register("pod-" + number(int64(n)))
			b.begin(pod, "j", b.assign(l, "j", map[string]string{pod.Instance: "0-1"}).Generation, b.now.Add(time.Second))
			for range 2 {
				b.pass((sessionTimeout+defaultGrace)/2 + time.Millisecond)
				_ = must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l.Lease, true) })
			}
			if got := must(b, func(ctx context.Context) (Reaped, error) { return b.Reap(ctx, l, false) }).Dead; len(got) != 1 {
				t.Fatalf("Reap = %v, want %s", got, pod.Instance)
			}
			_ = must(b, func(ctx context.Context) ([]Drained, error) { return b.Drain(ctx, l, pod, []string{"j"}) })
			b.assign(l, "j", map[string]string{"a": "0-1"})
			if err := b.Bury(t.Context(), l, pod); err != nil {
				t.Fatal(err)
			}
		}
		for _, key := range must(b, func(ctx context.Context) ([]string, error) { return b.client.Keys(ctx, "*").Result() }) {
			// A job knows who owned its items just before.
			if text := strings.ReplaceAll(b.dumped(key), "|pod-2 ", " "); strings.Contains(text, "pod-") {
				t.Errorf("%s = %s, want nothing of instances that are gone", key, text)
			}
		}
	})
}

// dumped is what a key holds, whatever its type. The feed has an end of its own,
// and nothing of it is shown.
func (b *bench) dumped(key string) string {
	b.t.Helper()
	ctx := b.t.Context()
	var command redis.Cmder
	switch kind := must(b, func(ctx context.Context) (string, error) { return b.client.Type(ctx, key).Result() }); kind {
	case "hash":
		command = b.client.HGetAll(ctx, key)
	case "zset":
		command = b.client.ZRange(ctx, key, 0, -1)
	case "set":
		command = b.client.SMembers(ctx, key)
	case "string":
		command = b.client.Get(ctx, key)
	case "stream":
		return ""
	default:
		b.t.Fatalf("%s is a %s, want a type that is dumped", key, kind)
	}
	return command.String()
}

func TestDrainAfterShrinkLosesGoneItems(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("a")
		dead := b.register("b")
		d := definition("j", 4)
		d.Failover, d.Overwrite = true, true
		b.put(d)
		b.begin(dead, "j", b.assign(l, "j", map[string]string{"b": "0-3"}).Generation, at(time.Second))
		d.Items = 2
		b.put(d)
		b.assign(l, "j", map[string]string{"a": "0-1"})
		if err := b.Leave(t.Context(), dead, time.Time{}); err != nil {
			t.Fatal(err)
		}
		got := must(b, func(ctx context.Context) ([]Drained, error) { return b.Drain(ctx, l, dead, []string{"j"}) })
		want := []Drained{{Job: "j", Lost: []LostRun{{NewItems(2, 3), FormatRunID(at(time.Second))}}}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Drain (-want +got):\n%s", diff)
		}
		if f := b.hash("f", "j"); len(f) != 2 {
			t.Errorf("failover queue = %v, want items 0 and 1", f)
		}
		if x := b.hash("j", "j")["x"]; x != "0" {
			t.Errorf("marks outside the generation = %s, want 0", x)
		}
	})
}

func TestLostSessionOfAReturnedNodeIsDrained(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 2)
		b.begin(l.Lease, "j", g, at(2*time.Second))
		b.pass(time.Minute)
		again := b.lead("a")
		wantBegin(t, b.begin(again.Lease, "j", g, at(2*time.Second)), CodeNone, "", "")
		wantBegin(t, b.begin(again.Lease, "j", g, at(time.Minute)), CodeNone, "", "0-1")
		_ = must(b, func(ctx context.Context) ([]Drained, error) { return b.Drain(ctx, again, l.Lease, []string{"j"}) })
		// The generation stands: the node owns what it owned.
		wantBegin(t, b.begin(again.Lease, "j", g, at(time.Minute+5*time.Second)), CodeOK, "0-1", "", ItemsAt{NewItems(0, 1), at(time.Minute)})
	})
}

func TestOneOfManyRegistersAndLeads(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		const nodes = 8
		var won, led sync.Map
		var wg sync.WaitGroup
		for i := range nodes {
			wg.Go(func() {
				_, err := b.Register(t.Context(), Instance{ID: "a"})
				if err == nil {
					won.Store(i, true)
				} else if !errors.Is(err, ErrInstanceConflict) {
					t.Error(err)
				}
				r, err := b.Register(t.Context(), Instance{ID: "n" + number(int64(i))})
				if err != nil {
					t.Error(err)
					return
				}
				renewal, err := b.Renew(t.Context(), r.Lease, true)
				if err != nil {
					t.Error(err)
				}
				if renewal.Leader {
					led.Store(i, true)
				}
			})
		}
		wg.Wait()
		for what, m := range map[string]*sync.Map{"registered": &won, "led": &led} {
			n := 0
			m.Range(func(any, any) bool { n++; return true })
			if n != 1 {
				t.Errorf("%d of %d nodes %s, want 1", n, nodes, what)
			}
		}
	})
}

package registry

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// setupOn is a bench on a Redis that the test may restart.
func setupOn(t testing.TB, s *redistest.Server, change ...func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, now: start()}
	b.onRedis(s, untouched)
	b.setTime(b.now)
	b.Partition = b.open(append(change, lasting)...)
	return b
}

// lasting says that the registry is not embedded.
func lasting(c *Config) { c.Embedded = false }

func TestFirstStartWaits(t *testing.T) {
	t.Parallel()
	b := setup(t, onRedis, lasting)
	r, err := b.Register(t.Context(), Instance{ID: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if want := at(sessionTimeout + defaultGrace); !r.NotBefore.Equal(want) {
		t.Errorf("Register NotBefore = %v, want %v", r.NotBefore, want)
	}
	b.pass(time.Second)
	second, err := b.Register(t.Context(), Instance{ID: "b"})
	if err != nil {
		t.Fatal(err)
	}
	if !second.NotBefore.Equal(r.NotBefore) || second.Incarnation != r.Incarnation {
		t.Errorf("second Register = %+v, want NotBefore and Incarnation of %+v", second, r)
	}
}

// quarantined is a job that runs on a registry which has been up for long.
func quarantined(b *bench) (l Leadership, generation int64, run BeginReply) {
	b.t.Helper()
	b.register("a")
	b.pass(sessionTimeout + defaultGrace + time.Millisecond)
	l, generation = oneNode(b, 2)
	run = b.begin(l.Lease, "j", generation, b.now)
	wantBegin(b.t, run, CodeOK, "0-1", "")
	return l, generation, run
}

func TestAnotherServerIsQuarantined(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.AppendOnly())
	b := setupOn(t, s)
	l, g, run := quarantined(b)
	version := must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l.Lease, true) }).Version
	s.Stop()
	s.Restart()

	// Whoever comes first notices.
	before := b.now.Add(sessionTimeout + defaultGrace + 2*time.Second)
	request := BeginRequest{Lease: l.Lease, Job: "j", Generation: g, Kind: KindNormal, Instant: b.now.Add(time.Second)}
	for range 2 {
		if _, err := b.Begin(t.Context(), request); !errors.Is(err, ErrQuarantined) {
			t.Errorf("Begin after a restart = %v, want %v", err, ErrQuarantined)
		}
	}
	changes, _, complete, err := b.Changes(t.Context(), version)
	if want := []Change{{Kind: ChangeQuarantine}}; err != nil || !complete || len(changes) != 1 || changes[0].Kind != ChangeQuarantine {
		t.Errorf("Changes = %v, %v, %v, want %v", changes, complete, err, want)
	}
	for what, call := range map[string]func() error{
		"CommitAssignments": func() error { return second(b.CommitAssignments(t.Context(), l, []Plan{{Job: "j", Items: 2}})) },
		"Reap":              func() error { return second(b.Reap(t.Context(), l, true)) },
	} {
		if err := call(); !errors.Is(err, ErrQuarantined) {
			t.Errorf("%s after a restart = %v, want %v", what, err, ErrQuarantined)
		}
	}
	// What goes on is told of it.
	b.pass(time.Second)
	renewal := must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l.Lease, true) })
	if !renewal.NotBefore.Equal(before) || !renewal.Leader {
		t.Errorf("Renew = %+v, want the lead and no start before %v", renewal, before)
	}
	registration, err := b.Register(t.Context(), Instance{ID: "b"})
	if err != nil || !registration.NotBefore.Equal(before) {
		t.Errorf("Register = %+v, %v, want no start before %v", registration, err, before)
	}
	b.complete(l.Lease, "j", run.Fence, "0-1")

	b.pass(sessionTimeout / 2)
	_ = must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l.Lease, true) })
	b.pass(before.Sub(b.now))
	if got := b.begin(l.Lease, "j", g, request.Instant); got.Code != CodeOK {
		t.Errorf("Begin after the quarantine = %s, want ok", got.Code)
	}
}

func TestEveryGrantNoticesAnotherServer(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(*bench, Leadership) error{
		"register": func(b *bench, _ Leadership) error { return second(b.Register(b.t.Context(), Instance{ID: "n"})) },
		"renew":    func(b *bench, l Leadership) error { return second(b.Renew(b.t.Context(), l.Lease, true)) },
		"commit": func(b *bench, l Leadership) error {
			return second(b.CommitAssignments(b.t.Context(), l, []Plan{{Job: "j", Items: 2}}))
		},
		"reap": func(b *bench, l Leadership) error { return second(b.Reap(b.t.Context(), l, false)) },
	} {
		b := setup(t, onRedis, lasting)
		l, _, _ := quarantined(b)
		// As a replica of another primary has it.
		if err := b.client.HSet(t.Context(), b.keys.meta(), "primary", "0123").Err(); err != nil {
			t.Fatal(err)
		}
		if err := call(b, l); err != nil && !errors.Is(err, ErrQuarantined) {
			t.Errorf("%s = %v, want nil or %v", name, err, ErrQuarantined)
		}
		got := must(b, func(ctx context.Context) (map[string]string, error) {
			return b.client.HGetAll(ctx, b.keys.meta()).Result()
		})
		want := millis(b.now.Add(sessionTimeout + defaultGrace + 2*time.Second))
		if got["notBefore"] != want || got["primary"] == "0123" {
			t.Errorf("after %s: no start before %s on %s, want %s on another", name, got["notBefore"], got["primary"], want)
		}
	}
}

func TestPromotedReplicaIsQuarantined(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := setupOn(t, s)
	l, g, _ := quarantined(b)
	replica := redistest.StartReplica(t, s)
	// A replica that joins changes nothing.
	wantBegin(t, b.begin(l.Lease, "j", g, b.now.Add(time.Second)), CodeNone, "", "0-1")
	if n, err := s.Client().Wait(t.Context(), 1, 10*time.Second).Result(); n != 1 || err != nil {
		t.Fatalf("Wait = %d, %v, want the replica to follow", n, err)
	}
	s.Kill()
	b.client = replica.Client()
	if err := b.client.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	b.Partition = b.open(lasting)
	if _, err := b.Begin(t.Context(), BeginRequest{Lease: l.Lease, Job: "j", Generation: g, Kind: KindNormal, Instant: b.now.Add(2 * time.Second)}); !errors.Is(err, ErrQuarantined) {
		t.Errorf("Begin on a promoted replica = %v, want %v", err, ErrQuarantined)
	}
}

func TestTheLongestLeaseDecidesTheQuarantine(t *testing.T) {
	t.Parallel()
	b := setup(t, onRedis, lasting)
	b.register("a")
	patient := b.open(lasting, func(c *Config) { c.SessionTimeout, c.Grace = time.Minute, 5*time.Second })
	if _, err := patient.Register(t.Context(), Instance{ID: "b"}); err != nil {
		t.Fatal(err)
	}
	b.register("c")
	if err := b.client.HSet(t.Context(), b.keys.meta(), "primary", "0123").Err(); err != nil {
		t.Fatal(err)
	}
	r, err := b.Register(t.Context(), Instance{ID: "d"})
	if want := at(time.Minute + 7*time.Second); err != nil || !r.NotBefore.Equal(want) {
		t.Errorf("Register NotBefore = %v, %v, want %v", r.NotBefore, err, want)
	}
}

// TestRealTime runs the untouched scripts.
func TestRealTime(t *testing.T) {
	t.Parallel()
	b := &bench{t: t, client: redistest.Start(t).Client()}
	center, err := Open(t.Context(), Config{Client: b.client, Namespace: "test", SessionTimeout: time.Hour, Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	b.Partition = center.Partition("j")
	began := time.Now().Add(-time.Second)
	l := b.lead("a")
	b.put(definition("j", 2))
	g := b.assign(l, "j", map[string]string{"a": "0-1"}).Generation
	run := b.begin(l.Lease, "j", g, time.Now().Add(time.Second))
	wantBegin(t, run, CodeOK, "0-1", "")
	for what, us := range map[string]int64{"epoch": l.Lease.Epoch, "term": l.Term, "generation": g, "fence": run.Fence} {
		if at := time.UnixMicro(us); at.Before(began) || at.After(time.Now().Add(time.Second)) {
			t.Errorf("%s = %d, which is %v, want the present", what, us, at)
		}
	}
	b.complete(l.Lease, "j", run.Fence, "0-1")
	got := must(b, b.Instances)
	if len(got) != 1 || !got[0].Live || !got[0].Leader {
		t.Errorf("Instances = %+v, want a live leader", got)
	}
	if diff := cmp.Diff(map[string]string{}, b.hash("r", "j")); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
}

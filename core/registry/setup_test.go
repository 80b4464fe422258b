package registry

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/elasticjob-go/elasticjob/core/registry/embedded"
)

// sessionTimeout of all tests; grace is the default second.
const sessionTimeout = 10 * time.Second

// start is the first reading of the server's clock in a test that stops it.
func start() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// bench is a partition with a clock that only the test moves.
type bench struct {
	*Partition
	t      testing.TB
	client redis.UniversalClient
	clock  interface{ SetTime(time.Time) }
	now    time.Time
}

func setup(t testing.TB, change ...func(*Config)) *bench {
	t.Helper()
	s, err := embedded.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{t: t, client: s.Client(), clock: s, now: start()}
	s.SetTime(b.now)
	b.Partition = b.open(change...)
	return b
}

// open is the first partition of another Center on the same server.
func (b *bench) open(change ...func(*Config)) *Partition {
	b.t.Helper()
	c := Config{Client: b.client, Namespace: "test", SessionTimeout: sessionTimeout, Embedded: true}
	for _, f := range change {
		f(&c)
	}
	center, err := Open(b.t.Context(), c)
	if err != nil {
		b.t.Fatal(err)
	}
	return center.Partition("j")
}

// pass moves the server's clock.
func (b *bench) pass(d time.Duration) {
	b.now = b.now.Add(d)
	b.clock.SetTime(b.now)
}

// at is the instant d after the start.
func at(d time.Duration) time.Time { return start().Add(d) }

func (b *bench) register(id string, jobs ...string) Lease {
	b.t.Helper()
	r, err := b.Register(b.t.Context(), Instance{ID: id, Host: "h", PID: 1, Version: "v", Jobs: jobs})
	if err != nil {
		b.t.Fatal(err)
	}
	return r.Lease
}

// lead registers a node and makes it the leader.
func (b *bench) lead(id string) Leadership {
	b.t.Helper()
	l := b.register(id)
	r := must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l, true) })
	if !r.Leader {
		b.t.Fatalf("Renew(%q, true).Leader = false, want true", id)
	}
	return Leadership{Lease: l, Term: r.Term}
}

func definition(name string, items int) JobDefinition {
	return JobDefinition{Name: name, Config: []byte(`{"v":1}`), Items: items, Monitored: true, Misfire: true}
}

func (b *bench) put(d JobDefinition) PutResult {
	b.t.Helper()
	r := must(b, func(ctx context.Context) ([]PutResult, error) { return b.PutJobs(ctx, []JobDefinition{d}) })
	return r[0]
}

// assign commits owners ("0-3,9" by instance) for a job as it is now.
func (b *bench) assign(l Leadership, job string, owners map[string]string) CommitResult {
	b.t.Helper()
	s := b.job(job)
	p := Plan{
		Job: job, ExpectGeneration: s.Generation, ExpectVersion: s.Version, Items: s.Definition.Items,
		Owners: map[string]Items{},
	}
	for id, text := range owners {
		p.Owners[id] = items(b.t, text)
	}
	r := must(b, func(ctx context.Context) ([]CommitResult, error) {
		return b.CommitAssignments(ctx, l, []Plan{p})
	})
	return r[0]
}

func (b *bench) job(name string) JobState {
	b.t.Helper()
	return must(b, func(ctx context.Context) (JobState, error) { return b.Job(ctx, name) })
}

func (b *bench) begin(l Lease, job string, generation int64, instant time.Time) BeginReply {
	b.t.Helper()
	return must(b, func(ctx context.Context) (BeginReply, error) {
		return b.Begin(ctx, BeginRequest{Lease: l, Job: job, Generation: generation, Kind: KindNormal, Instant: instant})
	})
}

func (b *bench) catchUp(l Lease, job string, generation int64, request string) BeginReply {
	b.t.Helper()
	return must(b, func(ctx context.Context) (BeginReply, error) {
		return b.Begin(ctx, BeginRequest{Lease: l, Job: job, Generation: generation, Kind: KindMisfire, Request: request})
	})
}

func (b *bench) complete(l Lease, job string, fence int64, list string) CompleteReply {
	b.t.Helper()
	return must(b, func(ctx context.Context) (CompleteReply, error) {
		return b.Complete(ctx, CompleteRequest{Lease: l, Job: job, Fence: fence, Items: items(b.t, list), Outcome: OutcomeSuccess})
	})
}

// marks is what Redis holds of a job under the letters of keys.go.
func (b *bench) hash(letter, job string) map[string]string {
	b.t.Helper()
	return must(b, func(ctx context.Context) (map[string]string, error) {
		return b.client.HGetAll(ctx, b.keys.prefix+letter+":"+job).Result()
	})
}

func must[T any](b *bench, call func(context.Context) (T, error)) T {
	b.t.Helper()
	v, err := call(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

func items(t testing.TB, text string) Items {
	t.Helper()
	s, err := ParseItems(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantBegin checks a decision but for its fence and deadline.
func wantBegin(t testing.TB, got BeginReply, code Code, run, held string, coalesced ...ItemsAt) {
	t.Helper()
	if got.Code != code || got.Items.String() != run || got.Held.String() != held {
		t.Errorf("Begin = %s, items %q, held %q, want %s, %q, %q", got.Code, got.Items, got.Held, code, run, held)
	}
	if diff := cmp.Diff(coalesced, got.Coalesced); diff != "" {
		t.Errorf("Begin coalesced (-want +got):\n%s", diff)
	}
}

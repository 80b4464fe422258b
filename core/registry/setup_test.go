package registry

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/elasticjob-go/elasticjob/core/registry/embedded"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// sessionTimeout of all tests; grace is the default second.
const sessionTimeout = 10 * time.Second

// start is the first reading of the server's clock in a test that stops it.
func start() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// server says which kind of server a test runs on.
type server string

const (
	onEmbedded server = "embedded"
	onRedis    server = "redis"
)

func servers() []server { return []server{onEmbedded, onRedis} }

// eachServer runs a test on every kind of server.
func eachServer(t *testing.T, test func(t *testing.T, on server)) {
	t.Helper()
	for _, on := range servers() {
		t.Run(string(on), func(t *testing.T) {
			t.Parallel()
			test(t, on)
		})
	}
}

// bench is a partition with a clock that only the test moves.
type bench struct {
	*Partition
	t       testing.TB
	client  redis.UniversalClient
	hooks   hooks
	setTime func(time.Time)
	now     time.Time
}

// setup starts a server of its own.
func setup(t testing.TB, on server, change ...func(*Config)) *bench {
	t.Helper()
	return setupBroken(t, on, untouched, change...)
}

func untouched(_, source string) string { return source }

// setupBroken is setup with edited scripts.
func setupBroken(t testing.TB, on server, edit func(name, source string) string, change ...func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, now: start()}
	if on == onEmbedded {
		b.onEmbedded(edit)
	} else {
		b.onRedis(redistest.Start(t), edit)
	}
	b.setTime(b.now)
	b.Partition = b.open(change...)
	return b
}

func (b *bench) onEmbedded(edit func(name, source string) string) {
	b.t.Helper()
	s, err := embedded.Open(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.t.Error(err)
		}
	})
	b.client, b.setTime = s.Client(), s.SetTime
	b.hooks = hooks{script: edit, clock: func(ctx context.Context, pipe redis.Pipeliner) func() time.Time {
		return pipe.Time(ctx).Val
	}}
}

// clockKey holds the time on a real Redis, whose clock cannot be set.
const clockKey = "test-clock"

func (b *bench) onRedis(s *redistest.Server, edit func(name, source string) string) {
	b.t.Helper()
	b.client = s.Client()
	b.setTime = func(t time.Time) {
		if err := b.client.HSet(b.t.Context(), clockKey, "s", t.Unix(), "us", t.Nanosecond()/1000).Err(); err != nil {
			b.t.Fatal(err)
		}
	}
	b.hooks = hooks{
		script: func(name, source string) string {
			const clock = "call('TIME')"
			if strings.Count(source, clock) != 1 {
				b.t.Fatalf("script %s reads the clock %d times, want once", name, strings.Count(source, clock))
			}
			return edit(name, strings.Replace(source, clock, "call('HMGET', '"+clockKey+"', 's', 'us')", 1))
		},
		clock: func(context.Context, redis.Pipeliner) func() time.Time { return func() time.Time { return b.now } },
	}
}

// open is the first partition of another Center on the same server.
func (b *bench) open(change ...func(*Config)) *Partition {
	b.t.Helper()
	c := Config{Client: b.client, Namespace: "test", SessionTimeout: sessionTimeout, Embedded: true}
	for _, f := range change {
		f(&c)
	}
	center, err := openWith(b.t.Context(), c, b.hooks)
	if err != nil {
		b.t.Fatal(err)
	}
	return center.Partition("j")
}

// pass moves the server's clock.
func (b *bench) pass(d time.Duration) {
	b.t.Helper()
	b.now = b.now.Add(d)
	b.setTime(b.now)
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

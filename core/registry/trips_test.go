package registry

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/elasticjob-go/elasticjob/core/registry/embedded"
)

// trips counts round trips of a client.
type trips struct{ n atomic.Int64 }

var _ redis.Hook = (*trips)(nil)

func (h *trips) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (h *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.n.Add(1)
		return next(ctx, cmd)
	}
}

func (h *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h.n.Add(1)
		return next(ctx, cmds)
	}
}

func TestRoundTrips(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		h := &trips{}
		b.client.AddHook(h)
		l, g := oneNode(b, 4)
		p := definition("k", 2)
		b.put(p)
		gk := b.assign(l, "k", map[string]string{"a": "0-1"}).Generation
		wantTrips := func(what string, want int64, do func()) {
			t.Helper()
			before := h.n.Load()
			do()
			if got := h.n.Load() - before; got != want {
				t.Errorf("%s = %d round trips, want %d", what, got, want)
			}
		}
		wantTrips("a firing", 2, func() {
			run := b.begin(l.Lease, "j", g, at(2*time.Second))
			b.complete(l.Lease, "j", run.Fence, "0-3")
		})
		wantTrips("a firing of two jobs", 2, func() {
			var begins []BeginRequest
			for name, generation := range map[string]int64{"j": g, "k": gk} {
				begins = append(begins, BeginRequest{Lease: l.Lease, Job: name, Generation: generation, Kind: KindNormal, Instant: at(3 * time.Second)})
			}
			var ends []CompleteRequest
			for i, r := range must(b, func(ctx context.Context) ([]BeginReply, error) { return b.BeginAll(ctx, begins) }) {
				ends = append(ends, CompleteRequest{Lease: l.Lease, Job: begins[i].Job, Fence: r.Fence, Items: r.Items, Outcome: OutcomeSuccess})
			}
			_ = must(b, func(ctx context.Context) ([]CompleteReply, error) { return b.CompleteAll(ctx, ends) })
		})
		wantTrips("a firing that holds an item", 5, func() {
			first := b.begin(l.Lease, "j", g, at(4*time.Second))
			b.complete(l.Lease, "j", first.Fence, "0-2")
			b.begin(l.Lease, "j", g, at(5*time.Second)) // 3 is held
			b.complete(l.Lease, "j", first.Fence, "3")
			wantBegin(t, b.catchUp(l.Lease, "j", g, "m1"), CodeOK, "3", "")
		})
		wantTrips("a firing with listeners called once, which is one more for each call", 4, func() {
			run := b.gather(l.Lease, g, at(6*time.Second))
			b.meet(l.Lease, run, MomentBefore, ActDone)
			b.end(l.Lease, run, "0-3", OutcomeSuccess)
			b.meet(l.Lease, run, MomentAfter, ActDone)
		})
		wantTrips("a trigger", 1, func() { b.trigger(1, "0-2") })
		wantTrips("a manual run", 2, func() {
			b.endOneOff(l.Lease, b.beginOneOff(l.Lease, g, "o2"), "0-2", OutcomeSuccess)
		})
		wantTrips("a renewal", 1, func() {
			_ = must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l.Lease, true) })
		})
	})
}

// TestRoundTripsOfAFailover takes over what a dead instance was running.
func TestRoundTripsOfAFailover(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, _ := deadNodes(b, 2)
		h := &trips{}
		b.client.AddHook(h)
		r := b.claim(l.Lease, 2, "c1")
		_ = must(b, func(ctx context.Context) (CompleteReply, error) {
			return b.Complete(ctx, CompleteRequest{Lease: l.Lease, Job: "j", Fence: r.Fence, Items: r.Items, Outcome: OutcomeSuccess, Claimed: true})
		})
		if n := h.n.Load(); n != 2 || r.Items.Len() != 2 {
			t.Errorf("a failover of items %q = %d round trips, want 2 of both items", r.Items, n)
		}
	})
}

// TestSessionsHaveTheirOwnClient holds that nothing on which a session lives waits
// behind other calls.
func TestSessionsHaveTheirOwnClient(t *testing.T) {
	t.Parallel()
	s, err := embedded.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bulk, sessions := s.Connect(), s.Connect()
	t.Cleanup(func() {
		for _, c := range []interface{ Close() error }{bulk, sessions, s} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	center, err := Open(t.Context(), Config{Client: bulk, Sessions: sessions, Namespace: "test", SessionTimeout: time.Hour, Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Partition: center.Partitions()[0], t: t, client: bulk}
	h := &trips{}
	bulk.AddHook(h)
	l := b.lead("a")
	other := b.register("b")
	for what, err := range map[string]error{
		"Host":   b.Host(t.Context(), other, Instance{}),
		"Depart": second(b.Depart(t.Context(), other, time.Now(), false, nil)),
		"Leave":  b.Leave(t.Context(), other, time.Time{}),
		"Reap":   second(b.Reap(t.Context(), l, false)),
		"Bury":   b.Bury(t.Context(), l, other),
	} {
		if err != nil {
			t.Errorf("%s = %v, want nil", what, err)
		}
	}
	if n := h.n.Load(); n != 0 {
		t.Errorf("sessions took %d round trips of the other client, want none", n)
	}
	b.put(definition("j", 1))
	if n := h.n.Load(); n == 0 {
		t.Error("storing a job took no round trip of its client")
	}
}

package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// deadNodes is a job "j" of n items whose failover is on. Instances b1, b2 … own
// two items each, have begun the instant of two seconds and are dead and drained.
func deadNodes(b *bench, n int) (Leadership, []Lease) {
	b.t.Helper()
	l := b.lead("a")
	d := definition("j", n)
	d.Failover = true
	b.put(d)
	owners := map[string]string{}
	var dead []Lease
	for i := 0; i < n; i += 2 {
		lease := b.register(fmt.Sprintf("b%d", i/2+1))
		dead = append(dead, lease)
		owners[lease.Instance] = NewItems(i, i+1).String()
	}
	g := b.assign(l, "j", owners).Generation
	for _, lease := range dead {
		wantBegin(b.t, b.begin(lease, "j", g, at(2*time.Second)), CodeOK, owners[lease.Instance], "")
	}
	b.drainDead(l, dead...)
	return l, dead
}

// drainDead ends sessions as if they had died.
func (b *bench) drainDead(l Leadership, dead ...Lease) {
	b.t.Helper()
	for _, lease := range dead {
		if err := b.Leave(b.t.Context(), lease, time.Time{}); err != nil {
			b.t.Fatal(err)
		}
		_ = must(b, func(ctx context.Context) ([]Drained, error) { return b.Drain(ctx, l, lease, []string{"j"}) })
	}
}

func (b *bench) claim(l Lease, most int, request string, busy ...int) ClaimReply {
	b.t.Helper()
	return must(b, func(ctx context.Context) (ClaimReply, error) {
		return b.Claim(ctx, ClaimRequest{Lease: l, Job: "j", Most: most, Request: request, Busy: NewItems(busy...)})
	})
}

func wantClaim(t *testing.T, got ClaimReply, code Code, items string, more bool) {
	t.Helper()
	if got.Code != code || got.Items.String() != items || got.More != more {
		t.Errorf("Claim = %s with items %q, more %v, want %s, %q, %v", got.Code, got.Items, got.More, code, items, more)
	}
}

// TestClaimTakesItemsOver lets the one node that lives take over what two dead ones
// were running, and nobody after it.
func TestClaimTakesItemsOver(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, dead := deadNodes(b, 4)
		got := b.claim(l.Lease, 8, "c1")
		wantClaim(t, got, CodeOK, "0-3", false)
		if !got.Instant.Equal(at(2*time.Second)) || got.Trigger != "" {
			t.Errorf("Claim = instant %v, trigger %q, want %v and none", got.Instant, got.Trigger, at(2*time.Second))
		}
		want := []Orphan{{dead[0].Instance, NewItems(0, 1)}, {dead[1].Instance, NewItems(2, 3)}}
		if diff := cmp.Diff(want, got.Former); diff != "" {
			t.Errorf("former owners (-want +got):\n%s", diff)
		}
		again := b.claim(l.Lease, 8, "c1")
		got.Former = nil // is not kept
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("the same request again (-first +second):\n%s", diff)
		}
		wantClaim(t, b.claim(l.Lease, 8, "c2"), CodeNone, "", false)
		r := must(b, func(ctx context.Context) (CompleteReply, error) {
			return b.Complete(ctx, CompleteRequest{Lease: l.Lease, Job: "j", Fence: got.Fence, Items: got.Items, Outcome: OutcomeSuccess, Claimed: true})
		})
		if r.HasFailover || r.Released.String() != "0-3" {
			t.Errorf("Complete = failover %v, released %q, want nothing left and all released", r.HasFailover, r.Released)
		}
	})
}

// TestClaimsAreShared lets three nodes claim in turn: each gets its part, and the
// earliest run comes first.
func TestClaimsAreShared(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, _ := deadNodes(b, 12)
		others := []Lease{b.register("x"), b.register("y")}
		wantClaim(t, b.claim(l.Lease, 1, "c1"), CodeOK, "0", true)
		wantClaim(t, b.claim(others[0], 10, "c1"), CodeOK, "1-4", true)
		wantClaim(t, b.claim(others[1], 10, "c1", 5, 6), CodeOK, "7-8", true)
		left := NewItems(5, 6, 9, 10, 11)
		for i := 2; left.Len() > 0; i++ {
			got := b.claim(l.Lease, 10, fmt.Sprint("c", i))
			if got.Code != CodeOK || i > 9 {
				t.Fatalf("claim %d = %s with %s left", i, got.Code, left)
			}
			left = NewItems(slices.DeleteFunc(left.Slice(), got.Items.Contains)...)
		}
	})
}

// TestClaimsOfAClaimantThatDies take over what it had taken over, and what it gives
// back is for others.
func TestClaimsOfAClaimantThatDies(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, _ := deadNodes(b, 2)
		second := b.register("x")
		b.claim(second, 1, "c1")
		first := b.claim(second, 1, "c2")
		b.drainDead(l, second)
		got := b.claim(l.Lease, 8, "c1")
		wantClaim(t, got, CodeOK, "0-1", false)
		if got.Fence <= first.Fence || !got.Instant.Equal(at(2*time.Second)) || len(got.Former) != 1 || got.Former[0].Former != "x" {
			t.Errorf("Claim = fence %d, %v, from %v, want above %d, %v, from x", got.Fence, got.Instant, got.Former, first.Fence, at(2*time.Second))
		}
		_, before, _, err := b.Changes(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		r := must(b, func(ctx context.Context) (CompleteReply, error) {
			return b.Complete(ctx, CompleteRequest{Lease: l.Lease, Job: "j", Fence: got.Fence, Items: NewItems(1), Outcome: OutcomeReturned, Claimed: true})
		})
		if !r.HasFailover {
			t.Error("nothing waits for failover after item 1 was given back")
		}
		changes, _, _, err := b.Changes(t.Context(), before)
		if err != nil || len(changes) != 1 || changes[0].Kind != ChangeDrain || changes[0].Job != "j" {
			t.Errorf("Changes = %v, %v, want that something of j waits", changes, err)
		}
		wantClaim(t, b.claim(l.Lease, 8, "c2"), CodeOK, "1", false)
	})
}

// TestClaimsOfManualRuns get the parameter of the trigger, behind timed runs.
func TestClaimsOfManualRuns(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("a")
		d := definition("j", 2)
		d.Failover = true
		b.put(d)
		dead := b.register("b")
		g := b.assign(l, "j", map[string]string{"b": "0-1"}).Generation
		const id = "018f0000-0000-7000-8000-000000000001"
		trigger := TriggerRequest{Job: "j", ID: id, Items: NewItems(0), Mode: TriggerQueue, By: "test", Parameter: new("p")}
		if _, err := b.Trigger(t.Context(), trigger); err != nil {
			t.Fatal(err)
		}
		_ = must(b, func(ctx context.Context) (BeginReply, error) {
			return b.Begin(ctx, BeginRequest{Lease: dead, Job: "j", Generation: g, Kind: KindOneOff, Request: "o1"})
		})
		wantBegin(t, b.begin(dead, "j", g, at(2*time.Second)), CodeOK, "1", "0")
		b.drainDead(l, dead)
		timed := b.claim(l.Lease, 8, "c1")
		wantClaim(t, timed, CodeOK, "1", true)
		got := b.claim(l.Lease, 8, "c2")
		wantClaim(t, got, CodeOK, "0", false)
		if got.Trigger != id || got.Parameter == nil || *got.Parameter != "p" || !got.Instant.Equal(b.now.Truncate(time.Millisecond)) {
			t.Errorf("Claim = %+v, want the trigger %s with its parameter", got, id)
		}
		_ = must(b, func(ctx context.Context) (CompleteReply, error) {
			return b.Complete(ctx, CompleteRequest{Lease: l.Lease, Job: "j", Fence: got.Fence, Items: got.Items, Outcome: OutcomeSuccess, Manual: true, Claimed: true})
		})
		state := must(b, func(ctx context.Context) (TriggerState, error) { return b.TriggerState(ctx, "j", id) })
		if state.Ended.IsZero() || state.Succeeded.String() != "0" {
			t.Errorf("TriggerState = %+v, want item 0 succeeded", state)
		}
	})
}

// TestClaimsWaitForWhatIsDisabled takes nothing over that may not run.
func TestClaimsWaitForWhatIsDisabled(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, _ := deadNodes(b, 2)
		set := func(set func(ctx context.Context, enabled bool) (bool, error), enabled bool) {
			if _, err := set(t.Context(), enabled); err != nil {
				t.Fatal(err)
			}
		}
		job := func(ctx context.Context, enabled bool) (bool, error) { return b.SetState(ctx, "j", enabled, "test") }
		instance := func(ctx context.Context, enabled bool) (bool, error) {
			return b.SetStateOnInstance(ctx, "j", "a", enabled, "test")
		}
		server := func(ctx context.Context, enabled bool) (bool, error) {
			return b.SetInstanceState(ctx, "a", enabled, "test")
		}
		for i, off := range []func(context.Context, bool) (bool, error){job, instance, server} {
			set(off, false)
			wantClaim(t, b.claim(l.Lease, 8, "c"+number(int64(i))), CodeDisabled, "", false)
			set(off, true)
		}
		item := func(ctx context.Context, enabled bool) (bool, error) {
			return b.SetItemState(ctx, "j", 0, enabled, "test")
		}
		set(item, false)
		wantClaim(t, b.claim(l.Lease, 8, "c3"), CodeOK, "1", false)
		wantClaim(t, b.claim(l.Lease, 8, "c4"), CodeNone, "", false)
		set(item, true)
		wantClaim(t, b.claim(l.Lease, 8, "c5"), CodeOK, "0", false)
	})
}

func TestClaimsAreChecked(t *testing.T) {
	t.Parallel()
	b := setup(t, onEmbedded)
	l := b.lead("a")
	good := ClaimRequest{Lease: l.Lease, Job: "j", Most: 1, Request: "c1"}
	for name, change := range map[string]func(*ClaimRequest){
		"job":     func(c *ClaimRequest) { c.Job = "a b" },
		"most":    func(c *ClaimRequest) { c.Most = 0 },
		"request": func(c *ClaimRequest) { c.Request = "" },
		"letters": func(c *ClaimRequest) { c.Request = "a|b" },
	} {
		c := good
		change(&c)
		if _, err := b.Claim(t.Context(), c); err == nil {
			t.Errorf("Claim with another %s = nil, want an error", name)
		}
	}
	other := good
	other.Lease.Epoch++
	if _, err := b.ClaimAll(t.Context(), []ClaimRequest{good, other}); err == nil {
		t.Error("ClaimAll of two sessions = nil, want an error")
	}
	wantClaim(t, b.claim(l.Lease, 1, "c1"), CodeUnknownJob, "", false)
	if _, err := b.Claim(t.Context(), other); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("Claim without a lease = %v, want %v", err, ErrLeaseLost)
	}
}

// TestCheckpointsFollowTheirRun hands what an item has saved to whoever takes its run
// over, as often as that happens, and to no other run.
func TestCheckpointsFollowTheirRun(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("a")
		d := definition("j", 2)
		d.Failover = true
		b.put(d)
		dead, next := b.register("b"), b.register("c")
		g := b.assign(l, "j", map[string]string{"b": "0-1"}).Generation
		fence := b.begin(dead, "j", g, at(2*time.Second)).Fence
		big := bytes.Repeat([]byte{0, '|', '\n', 0xff}, MaxCheckpoint/4)
		save := func(lease Lease, fence int64, item int, data []byte) error {
			return b.SaveCheckpoint(t.Context(), CheckpointRequest{Lease: lease, Job: "j", Fence: fence, Item: item, Data: data})
		}
		for _, data := range [][]byte{[]byte("old"), big} {
			if err := save(dead, fence, 1, data); err != nil {
				t.Errorf("SaveCheckpoint = %v, want nil", err)
			}
		}
		if err := save(dead, fence, 1, append(big, 0)); err == nil {
			t.Error("SaveCheckpoint of too much = nil, want an error")
		}
		for i, wrong := range []error{save(next, fence, 1, nil), save(dead, fence-1, 1, nil), save(dead, fence, 2, nil)} {
			if !errors.Is(wrong, ErrLeaseLost) {
				t.Errorf("SaveCheckpoint %d of what does not run = %v, want %v", i, wrong, ErrLeaseLost)
			}
		}
		b.drainDead(l, dead)
		for _, lease := range []Lease{next, l.Lease} {
			// The next one dies without having saved anything.
			got := b.claim(lease, 8, "c1")
			if lease == next {
				got = b.claim(lease, 8, "c2") // its second half
			}
			if diff := cmp.Diff(map[int][]byte{1: big}, got.Checkpoints); diff != "" {
				t.Errorf("checkpoints on %s differ, of items %s", lease.Instance, got.Items)
			}
			if err := save(dead, fence, 1, nil); !errors.Is(err, ErrLeaseLost) {
				t.Errorf("SaveCheckpoint of the dead = %v, want %v", err, ErrLeaseLost)
			}
			if lease == next {
				b.drainDead(l, next)
			}
		}
		// Another run of the item has none.
		if err := b.client.HSet(t.Context(), b.keys.prefix+"cp:j", "0", "7|"+encodeCheckpoint([]byte("x"))).Err(); err != nil {
			t.Fatal(err)
		}
		if got := b.claim(l.Lease, 8, "c1").Checkpoints; len(got) != 1 {
			t.Errorf("checkpoints = %d, want that of item 1", len(got))
		}
		if err := b.client.HSet(t.Context(), b.keys.prefix+"cp:j", "1", strings.Repeat("x", 100)).Err(); err != nil {
			t.Fatal(err)
		}
		if got := b.claim(l.Lease, 8, "c1").Checkpoints; len(got) != 0 {
			t.Errorf("checkpoints = %v, want none of broken ones", got)
		}
	})
}

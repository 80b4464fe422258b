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

// oneNode is a job "j" of n items, all owned by the leader "a".
func oneNode(b *bench, n int, change ...func(*JobDefinition)) (Leadership, int64) {
	b.t.Helper()
	l := b.lead("a")
	d := definition("j", n)
	for _, f := range change {
		f(&d)
	}
	b.put(d)
	b.pass(time.Second)
	r := b.assign(l, "j", map[string]string{"a": AllItems(n).String()})
	if r.Code != CodeOK {
		b.t.Fatalf("CommitAssignments = %s, want ok", r.Code)
	}
	return l, r.Generation
}

func TestBeginRunsOwnedItemsOnce(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 4)
		first := b.begin(l.Lease, "j", g, at(2*time.Second))
		wantBegin(t, first, CodeOK, "0-3", "")
		if first.Fence <= g || !first.Instant.Equal(at(2*time.Second)) {
			t.Errorf("Begin fence = %d at %v, want above %d at %v", first.Fence, first.Instant, g, at(2*time.Second))
		}
		if want := start().Add(sessionTimeout); !first.LeaseDeadline.Equal(want) {
			t.Errorf("Begin lease deadline = %v, want %v", first.LeaseDeadline, want)
		}
		if diff := cmp.Diff(first, b.begin(l.Lease, "j", g, at(2*time.Second))); diff != "" {
			t.Errorf("the same request again (-first +second):\n%s", diff)
		}
		b.complete(l.Lease, "j", first.Fence, "0-3")
		second := b.begin(l.Lease, "j", g, at(3*time.Second))
		wantBegin(t, second, CodeOK, "0-3", "")
		if second.Fence <= first.Fence {
			t.Errorf("second fence = %d, want above %d", second.Fence, first.Fence)
		}
	})
}

func TestBeginRefusesDecidedInstants(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 2)
		b.begin(l.Lease, "j", g, at(5*time.Second))
		wantBegin(t, b.begin(l.Lease, "j", g, at(4*time.Second)), CodeDuplicate, "", "")
		again := must(b, func(ctx context.Context) (BeginReply, error) {
			return b.Begin(ctx, BeginRequest{
				Lease: l.Lease, Job: "j", Generation: g, Kind: KindNormal, Instant: at(5 * time.Second), Request: "other",
			})
		})
		wantBegin(t, again, CodeDuplicate, "", "")
	})
}

func TestBeginRefusesOldGeneration(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 2)
		got := b.begin(l.Lease, "j", g-1, at(2*time.Second))
		wantBegin(t, got, CodeStale, "", "")
		if got.Generation != g {
			t.Errorf("Begin generation = %d, want %d", got.Generation, g)
		}
		wantBegin(t, b.begin(l.Lease, "unknown", g, at(2*time.Second)), CodeUnknownJob, "", "")
	})
}

func TestHeldItemsCatchUpOnce(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 4)
		first := b.begin(l.Lease, "j", g, at(2*time.Second))
		b.complete(l.Lease, "j", first.Fence, "0-1,3")

		second := b.begin(l.Lease, "j", g, at(3*time.Second))
		wantBegin(t, second, CodeOK, "0-1,3", "2")
		wantBegin(t, b.begin(l.Lease, "j", g, at(3*time.Second)), CodeOK, "0-1,3", "2")
		b.complete(l.Lease, "j", second.Fence, "0-1,3")
		third := b.begin(l.Lease, "j", g, at(4*time.Second))
		wantBegin(t, third, CodeOK, "0-1,3", "2", ItemsAt{NewItems(2), at(3 * time.Second)})
		b.complete(l.Lease, "j", third.Fence, "0-1,3")

		wantBegin(t, b.catchUp(l.Lease, "j", g, "m1"), CodeNone, "", "")
		if r := b.complete(l.Lease, "j", first.Fence, "2"); !r.HasMisfire {
			t.Error("Complete HasMisfire = false, want true")
		}
		late := b.catchUp(l.Lease, "j", g, "m2")
		wantBegin(t, late, CodeOK, "2", "")
		if !late.Instant.Equal(at(4 * time.Second)) {
			t.Errorf("catch-up instant = %v, want %v", late.Instant, at(4*time.Second))
		}
		if again := b.catchUp(l.Lease, "j", g, "m2"); again.Fence != late.Fence {
			t.Errorf("repeated catch-up fence = %d, want %d", again.Fence, late.Fence)
		}
		wantBegin(t, b.catchUp(l.Lease, "j", g, "m3"), CodeNone, "", "")
		if r := b.complete(l.Lease, "j", late.Fence, "2"); r.HasMisfire {
			t.Error("Complete HasMisfire = true, want false")
		}
	})
}

func TestCatchUpTakesEarliestInstantFirst(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 3)
		first := b.begin(l.Lease, "j", g, at(2*time.Second))
		wantBegin(t, b.begin(l.Lease, "j", g, at(3*time.Second)), CodeNone, "", "0-2")
		// Item 1 is not asked for 4 s, so it keeps its earlier instant.
		for _, enabled := range []bool{false, true} {
			if _, err := b.SetItemState(t.Context(), "j", 1, enabled, "test"); err != nil {
				t.Fatal(err)
			}
			if !enabled {
				wantBegin(t, b.begin(l.Lease, "j", g, at(4*time.Second)), CodeNone, "", "0,2", ItemsAt{NewItems(0, 2), at(3 * time.Second)})
			}
		}
		b.complete(l.Lease, "j", first.Fence, "0-1")
		for i, want := range []struct {
			items string
			at    time.Duration
		}{{"1", 3 * time.Second}, {"0", 4 * time.Second}} {
			r := b.catchUp(l.Lease, "j", g, "m"+number(int64(i)))
			wantBegin(t, r, CodeOK, want.items, "")
			if !r.Instant.Equal(at(want.at)) {
				t.Errorf("catch-up %d instant = %v, want %v", i, r.Instant, at(want.at))
			}
		}
		wantBegin(t, b.catchUp(l.Lease, "j", g, "m2"), CodeNone, "", "")
		b.complete(l.Lease, "j", first.Fence, "2")
		wantBegin(t, b.catchUp(l.Lease, "j", g, "m3"), CodeOK, "2", "")
	})
}

func TestFreeItemWithMissedInstantIsCoalesced(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 1)
		first := b.begin(l.Lease, "j", g, at(2*time.Second))
		wantBegin(t, b.begin(l.Lease, "j", g, at(3*time.Second)), CodeNone, "", "0")
		b.complete(l.Lease, "j", first.Fence, "0")
		wantBegin(t, b.begin(l.Lease, "j", g, at(4*time.Second)), CodeOK, "0", "", ItemsAt{NewItems(0), at(3 * time.Second)})
		wantBegin(t, b.catchUp(l.Lease, "j", g, "m1"), CodeNone, "", "")
	})
}

// TestLateCopiesGetNothing sends a request again whose run is over, when another item
// waits to be caught up, and after a commit.
func TestLateCopiesGetNothing(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 2)
		first := b.begin(l.Lease, "j", g, at(2*time.Second))
		wantBegin(t, b.begin(l.Lease, "j", g, at(3*time.Second)), CodeNone, "", "0-1")
		b.complete(l.Lease, "j", first.Fence, "0")
		late := b.catchUp(l.Lease, "j", g, "m7")
		wantBegin(t, late, CodeOK, "0", "")
		b.complete(l.Lease, "j", late.Fence, "0")
		b.complete(l.Lease, "j", first.Fence, "1")
		wantBegin(t, b.catchUp(l.Lease, "j", g, "m7"), CodeNone, "", "")
		b.assign(l, "j", map[string]string{"a": "0"})
		g = b.assign(l, "j", map[string]string{"a": "0-1"}).Generation
		wantBegin(t, b.catchUp(l.Lease, "j", g, "m7"), CodeNone, "", "")
		wantBegin(t, b.catchUp(l.Lease, "j", g, "m8"), CodeOK, "1", "")
	})
}

func TestMisfireOffOnlyReports(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 2, func(d *JobDefinition) { d.Misfire = false })
		first := b.begin(l.Lease, "j", g, at(2*time.Second))
		b.complete(l.Lease, "j", first.Fence, "0")
		wantBegin(t, b.begin(l.Lease, "j", g, at(3*time.Second)), CodeOK, "0", "1")
		if r := b.complete(l.Lease, "j", first.Fence, "1"); r.HasMisfire {
			t.Error("Complete HasMisfire = true, want false")
		}
		wantBegin(t, b.catchUp(l.Lease, "j", g, "m1"), CodeNone, "", "")
		wantBegin(t, b.begin(l.Lease, "j", g, at(4*time.Second)), CodeOK, "1", "0")
	})
}

func TestCompleteIsIdempotentAndShrinksMark(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 4)
		first := b.begin(l.Lease, "j", g, at(2*time.Second))
		b.complete(l.Lease, "j", first.Fence, "1")
		b.complete(l.Lease, "j", first.Fence, "1")
		want := fmt.Sprintf("%d|%d|%d|N|%d|n%dg%d|0,2-3", first.Fence, l.Lease.Epoch, g,
			at(2*time.Second).UnixMilli(), at(2*time.Second).UnixMilli(), g)
		if got := b.hash("r", "j")["a"]; got != want {
			t.Errorf("mark = %q, want %q", got, want)
		}
		for range 2 {
			if r := b.complete(l.Lease, "j", first.Fence, "0,2-3"); r.Code != CodeOK || r.Released.Len() != 0 {
				t.Errorf("Complete = %+v, want ok and nothing released", r)
			}
			if got := b.hash("r", "j"); len(got) != 0 {
				t.Errorf("marks = %v, want none", got)
			}
		}
		// Another fence touches nothing.
		second := b.begin(l.Lease, "j", g, at(3*time.Second))
		b.complete(l.Lease, "j", first.Fence, "0-3")
		if got := b.hash("r", "j")["a"]; !strings.HasPrefix(got, number(second.Fence)+"|") {
			t.Errorf("mark = %q, want that of fence %d", got, second.Fence)
		}
	})
}

func TestCompleteForgetsCheckpointsOfSuccess(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		for outcome, want := range map[Outcome]int{OutcomeSuccess: 1, OutcomeFailure: 2, OutcomeCancelled: 2} {
			b := setup(t, on)
			l, g := oneNode(b, 2)
			key := b.keys.prefix + "cp:j"
			if err := b.client.HSet(t.Context(), key, "0", "1|x", "1", "1|y").Err(); err != nil {
				t.Fatal(err)
			}
			first := b.begin(l.Lease, "j", g, at(2*time.Second))
			_ = must(b, func(ctx context.Context) (CompleteReply, error) {
				return b.Complete(ctx, CompleteRequest{
					Lease: l.Lease, Job: "j", Fence: first.Fence, Items: NewItems(1), Outcome: outcome,
				})
			})
			if got := len(b.hash("cp", "j")); got != want {
				t.Errorf("checkpoints after outcome %c = %d, want %d", outcome, got, want)
			}
		}
	})
}

func TestMarksOfANodeAreBounded(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 80)
		instant := func(i int) time.Time { return at(2*time.Second + time.Duration(i)*10*time.Millisecond) }
		// Item i hangs in the run of an instant of its own: one more mark each time.
		for i := range 64 {
			r := b.begin(l.Lease, "j", g, instant(i))
			if r.Code != CodeOK {
				t.Fatalf("Begin %d = %s, want ok", i, r.Code)
			}
			var done []int
			for item := range r.Items.All() {
				if item != i {
					done = append(done, item)
				}
			}
			b.complete(l.Lease, "j", r.Fence, NewItems(done...).String())
		}
		last := b.begin(l.Lease, "j", g, instant(70))
		if last.Code != CodeNone || last.Held.String() != "0-79" {
			t.Errorf("Begin with 64 marks = %s, held %q, want none, 0-79", last.Code, last.Held)
		}
	})
}

// TestInstantsThatAreFarAreRefused keeps a node whose clock is wrong from deciding what
// has not come: it would silence the items until then.
func TestInstantsThatAreFarAreRefused(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 2)
		soon := b.now.Truncate(time.Millisecond).Add(5 * time.Second)
		wantBegin(t, b.begin(l.Lease, "j", g, soon.Add(time.Millisecond)), CodeEarly, "", "")
		wantBegin(t, b.begin(l.Lease, "j", g, soon.Add(time.Hour)), CodeEarly, "", "")
		wantBegin(t, b.begin(l.Lease, "j", g, soon), CodeOK, "0-1", "")
	})
}

func TestLostLeaseIsRefused(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 2)
		first := b.begin(l.Lease, "j", g, at(2*time.Second))
		b.pass(sessionTimeout)
		_, err := b.Begin(t.Context(), BeginRequest{
			Lease: l.Lease, Job: "j", Generation: g, Kind: KindNormal, Instant: at(3 * time.Second),
		})
		if !errors.Is(err, ErrLeaseLost) {
			t.Errorf("Begin after the lease = %v, want %v", err, ErrLeaseLost)
		}
		complete := CompleteRequest{Lease: l.Lease, Job: "j", Fence: first.Fence, Items: NewItems(0), Outcome: OutcomeSuccess}
		if _, err := b.Complete(t.Context(), complete); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("Complete after the lease = %v, want %v", err, ErrLeaseLost)
		}
		// A new session of the same id has another epoch.
		b.pass(defaultGrace)
		again := b.register("a")
		if again.Epoch <= l.Lease.Epoch {
			t.Errorf("second epoch = %d, want above %d", again.Epoch, l.Lease.Epoch)
		}
		if _, err := b.Complete(t.Context(), complete); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("Complete of the old session = %v, want %v", err, ErrLeaseLost)
		}
	})
}

func TestQuarantineHoldsBeginButNotComplete(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 2)
		first := b.begin(l.Lease, "j", g, at(2*time.Second))
		if err := b.client.HSet(t.Context(), b.keys.meta(), "notBefore", millis(at(3*time.Second))).Err(); err != nil {
			t.Fatal(err)
		}
		next := BeginRequest{Lease: l.Lease, Job: "j", Generation: g, Kind: KindNormal, Instant: at(3 * time.Second)}
		if _, err := b.Begin(t.Context(), next); !errors.Is(err, ErrQuarantined) {
			t.Errorf("Begin = %v, want %v", err, ErrQuarantined)
		}
		if _, err := b.CommitAssignments(t.Context(), l, []Plan{{Job: "j", Items: 1}}); !errors.Is(err, ErrQuarantined) {
			t.Errorf("CommitAssignments = %v, want %v", err, ErrQuarantined)
		}
		b.complete(l.Lease, "j", first.Fence, "0-1")
		b.pass(2 * time.Second)
		wantBegin(t, b.begin(l.Lease, "j", g, at(3*time.Second)), CodeOK, "0-1", "")
	})
}

func TestBeginAllDecidesEachJob(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("a")
		var requests []BeginRequest
		const jobs = 2*batchJobs + 7
		for i := range jobs {
			name := fmt.Sprintf("j%d", i)
			b.put(definition(name, 1+i%3))
			r := b.assign(l, name, map[string]string{"a": AllItems(1 + i%3).String()})
			requests = append(requests, BeginRequest{
				Lease: l.Lease, Job: name, Generation: r.Generation, Kind: KindNormal, Instant: at(time.Second),
			})
		}
		requests[3].Generation--
		replies := must(b, func(ctx context.Context) ([]BeginReply, error) { return b.BeginAll(ctx, requests) })
		if len(replies) != jobs {
			t.Fatalf("BeginAll = %d replies, want %d", len(replies), jobs)
		}
		var ends []CompleteRequest
		for i, r := range replies {
			if i == 3 {
				wantBegin(t, r, CodeStale, "", "")
				continue
			}
			wantBegin(t, r, CodeOK, AllItems(1+i%3).String(), "")
			ends = append(ends, CompleteRequest{
				Lease: l.Lease, Job: requests[i].Job, Fence: r.Fence, Items: r.Items, Outcome: OutcomeFailure,
			})
		}
		if got := must(b, func(ctx context.Context) ([]CompleteReply, error) { return b.CompleteAll(ctx, ends) }); len(got) != jobs-1 {
			t.Errorf("CompleteAll = %d replies, want %d", len(got), jobs-1)
		}
		for i := range jobs {
			if got := b.hash("r", fmt.Sprintf("j%d", i)); len(got) != 0 {
				t.Errorf("marks of j%d = %v, want none", i, got)
			}
		}
	})
}

func TestRequestsAreChecked(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 1)
		good := BeginRequest{Lease: l.Lease, Job: "j", Generation: g, Kind: KindNormal, Instant: at(time.Second)}
		for name, change := range map[string]func(*BeginRequest){
			"job name":              func(r *BeginRequest) { r.Job = "a:b" },
			"separator in request":  func(r *BeginRequest) { r.Request = "a|b" },
			"at sign in request":    func(r *BeginRequest) { r.Request = "a@b" },
			"kind of a later issue": func(r *BeginRequest) { r.Kind = KindFailover },
			"unnamed catch-up":      func(r *BeginRequest) { r.Kind = KindMisfire },
			"instant before 1970":   func(r *BeginRequest) { r.Instant = time.UnixMilli(-1) },
		} {
			r := good
			change(&r)
			if _, err := b.Begin(t.Context(), r); err == nil {
				t.Errorf("Begin with a bad %s = nil, want an error", name)
			}
		}
		other := good
		other.Lease.Epoch++
		if _, err := b.BeginAll(t.Context(), []BeginRequest{good, other}); err == nil {
			t.Error("BeginAll of two sessions = nil, want an error")
		}
	})
}

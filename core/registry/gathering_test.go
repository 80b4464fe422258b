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

// gather begins a normal firing that gathers.
func (b *bench) gather(l Lease, generation int64, instant time.Time) BeginReply {
	b.t.Helper()
	return must(b, func(ctx context.Context) (BeginReply, error) {
		return b.Begin(ctx, BeginRequest{Lease: l, Job: "j", Generation: generation, Kind: KindNormal, Instant: instant, Gathers: true})
	})
}

// end completes items of a gathered firing.
func (b *bench) end(l Lease, run BeginReply, list string, outcome Outcome) *Gathering {
	b.t.Helper()
	return must(b, func(ctx context.Context) (CompleteReply, error) {
		return b.Complete(ctx, CompleteRequest{
			Lease: l, Job: "j", Fence: run.Fence, Items: items(b.t, list), Outcome: outcome, Run: run.Gathering.Run,
		})
	}).Gathering
}

func (b *bench) meet(l Lease, run BeginReply, moment Moment, act Act) Gathering {
	b.t.Helper()
	return must(b, func(ctx context.Context) (Gathering, error) {
		return b.Meet(ctx, MeetRequest{Lease: l, Job: "j", Run: run.Gathering.Run, Fence: run.Fence, Moment: moment, Act: act})
	})
}

func wantTurn(t *testing.T, what string, got, want Turn) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %s, want %s", what, got, want)
	}
}

// twoNodes is a job of four items, 0 and 1 on a, the others on b. a leads.
func twoNodes(t *testing.T, on server) (f *bench, a Leadership, b Lease, generation int64) {
	t.Helper()
	f = setup(t, on)
	a = f.lead("a")
	b = f.register("b")
	f.put(definition("j", 4))
	return f, a, b, f.assign(a, "j", map[string]string{"a": "0-1", "b": "2-3"}).Generation
}

// kinds are the kinds of changes after a version, with their runs.
func (b *bench) kinds(since int64) (kinds []string, latest int64) {
	b.t.Helper()
	changes, latest, _, err := b.Changes(b.t.Context(), since)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range changes {
		kinds = append(kinds, strings.TrimSpace(string(c.Kind)+" "+c.Run))
	}
	return kinds, latest
}

func TestARunOfTwoNodes(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		f, a, b, g := twoNodes(t, on)
		_, since := f.kinds(0)
		instant := at(2 * time.Second)
		first := f.gather(a.Lease, g, instant)
		wantTurn(t, "the first begin", first.Gathering.Turn, TurnWait)
		wantTurn(t, "an ask before the second", f.meet(a.Lease, first, MomentBefore, ActAsk).Turn, TurnWait)
		second := f.gather(b, g, instant)
		want := &Gathering{Run: millis(instant), Turn: TurnCall, Items: items(t, "0-3")}
		if diff := cmp.Diff(want, second.Gathering); diff != "" {
			t.Errorf("the second begin (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, f.gather(b, g, instant).Gathering); diff != "" {
			t.Errorf("the second begin again (-want +got):\n%s", diff)
		}
		wantTurn(t, "an ask during the calls", f.meet(a.Lease, first, MomentBefore, ActAsk).Turn, TurnWait)
		if kinds, _ := f.kinds(since); len(kinds) != 0 {
			t.Errorf("changes before the calls are made = %q, want none", kinds)
		}
		for range 2 {
			f.meet(b, second, MomentBefore, ActDone)
		}
		kinds, since := f.kinds(since)
		if diff := cmp.Diff([]string{"before " + millis(instant)}, kinds); diff != "" {
			t.Errorf("changes after the calls (-want +got):\n%s", diff)
		}
		wantTurn(t, "an ask after the calls", f.meet(a.Lease, first, MomentBefore, ActAsk).Turn, TurnGo)
		wantTurn(t, "the end of an item", f.end(b, second, "2", OutcomeFailure).Turn, TurnWait)
		wantTurn(t, "the end of two items", f.end(a.Lease, first, "0-1", OutcomeSuccess).Turn, TurnWait)
		want = &Gathering{
			Run: millis(instant), Turn: TurnCall, Items: items(t, "0-3"), Succeeded: items(t, "0-1"), Failed: items(t, "2"), Cancelled: items(t, "3"),
		}
		for range 2 {
			if diff := cmp.Diff(want, f.end(b, second, "3", OutcomeCancelled)); diff != "" {
				t.Errorf("the last end (-want +got):\n%s", diff)
			}
		}
		f.meet(b, second, MomentAfter, ActDone)
		if kinds, _ := f.kinds(since); !cmp.Equal(kinds, []string{"after " + millis(instant)}) {
			t.Errorf("changes after the end = %q, want one", kinds)
		}
	})
}

// TestNobodyIsToldWhoDoesNotWait has a run of one node, which needs no change.
func TestNobodyIsToldWhoDoesNotWait(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 4)
		_, since := b.kinds(0)
		run := b.gather(l.Lease, g, at(2*time.Second))
		wantTurn(t, "the begin", run.Gathering.Turn, TurnCall)
		b.meet(l.Lease, run, MomentBefore, ActDone)
		b.end(l.Lease, run, "0", OutcomeSuccess)
		wantTurn(t, "the last end", b.end(l.Lease, run, "1-3", OutcomeSuccess).Turn, TurnCall)
		b.meet(l.Lease, run, MomentAfter, ActDone)
		if kinds, _ := b.kinds(since); len(kinds) != 0 {
			t.Errorf("changes = %q, want none", kinds)
		}
	})
}

// TestACallIsGivenUpForAll lets the time of a node be over.
func TestACallIsGivenUpForAll(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		f, a, b, g := twoNodes(t, on)
		instant := at(2 * time.Second)
		first := f.gather(a.Lease, g, instant)
		for range 2 {
			wantTurn(t, "the end of the time", f.meet(a.Lease, first, MomentBefore, ActExpire).Turn, TurnExpired)
		}
		second := f.gather(b, g, instant)
		wantTurn(t, "the late begin", second.Gathering.Turn, TurnGo)
		f.end(a.Lease, first, "0-1", OutcomeSuccess)
		wantTurn(t, "the end of the time after", f.meet(a.Lease, first, MomentAfter, ActExpire).Turn, TurnExpired)
		wantTurn(t, "the late end", f.end(b, second, "2-3", OutcomeSuccess).Turn, TurnGo)
	})
}

// TestTheCallOfTheDeadIsTold drains the session that makes the calls.
func TestTheCallOfTheDeadIsTold(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		f, a, b, g := twoNodes(t, on)
		instant := at(2 * time.Second)
		first := f.gather(a.Lease, g, instant)
		wantTurn(t, "the second begin", f.gather(b, g, instant).Gathering.Turn, TurnCall)
		if err := f.Leave(t.Context(), b, time.Time{}); err != nil {
			t.Fatal(err)
		}
		_ = must(f, func(ctx context.Context) ([]Drained, error) { return f.Drain(ctx, a, b, []string{"j"}) })
		for range 2 {
			wantTurn(t, "an ask after its death", f.meet(a.Lease, first, MomentBefore, ActAsk).Turn, TurnForsaken)
		}
		got := f.end(a.Lease, first, "0-1", OutcomeSuccess)
		if got.Turn != TurnCall || got.Cancelled.String() != "2-3" {
			t.Errorf("the last end = %s, cancelled %q, want %s, 2-3", got.Turn, got.Cancelled, TurnCall)
		}
		if _, err := f.Meet(t.Context(), MeetRequest{Lease: b, Job: "j", Run: millis(instant), Fence: 1, Moment: MomentAfter, Act: ActAsk}); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("Meet of the dead = %v, want %v", err, ErrLeaseLost)
		}
	})
}

// TestRunsAreForgotten bounds the runs of a job by number and age.
func TestRunsAreForgotten(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on, func(c *Config) { c.SessionTimeout = 1000 * time.Hour })
		l, g := oneNode(b, 1)
		slow := b.gather(l.Lease, g, at(time.Second))
		b.meet(l.Lease, slow, MomentBefore, ActDone)
		if _, err := b.Complete(t.Context(), CompleteRequest{Lease: l.Lease, Job: "j", Fence: slow.Fence, Items: items(t, "0"), Outcome: OutcomeSuccess}); err != nil {
			t.Fatal(err) // as by a node that does not gather: the run stays as it is
		}
		for i := range 200 {
			b.pass(time.Second)
			run := b.gather(l.Lease, g, at(time.Duration(i+2)*time.Second))
			b.meet(l.Lease, run, MomentBefore, ActDone)
			wantTurn(t, "the end", b.end(l.Lease, run, "0", OutcomeSuccess).Turn, TurnCall)
			b.meet(l.Lease, run, MomentAfter, ActDone)
			if n := len(b.hash("g", "j")); n > 64 {
				t.Fatalf("%d runs are kept, want at most 64", n)
			}
		}
		kept := b.hash("g", "j")
		if _, ok := kept[slow.Gathering.Run]; !ok || len(kept) < 48 {
			t.Errorf("%d runs are kept, the one under way: %v, want 48 at least, and it", len(kept), ok)
		}
		reconcile := func() {
			t.Helper()
			_ = must(b, func(ctx context.Context) ([]Repair, error) { return b.Reconcile(ctx, l, []string{"j"}) })
		}
		b.pass(61 * time.Minute)
		reconcile()
		if kept := b.hash("g", "j"); len(kept) != 1 {
			t.Errorf("%d runs are kept an hour later, want the one under way", len(kept))
		}
		b.pass(9 * 24 * time.Hour)
		reconcile()
		if kept, flag := b.hash("g", "j"), b.hash("j", "j")["gr"]; len(kept) != 0 || flag != "" {
			t.Errorf("%d runs are kept nine days later, flag %q, want none", len(kept), flag)
		}
	})
}

// TestRunsThatNobodyKnows asks for one that the registry has lost.
func TestRunsThatNobodyKnows(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 1)
		run := b.gather(l.Lease, g, at(2*time.Second))
		if err := b.client.Del(t.Context(), b.keys.prefix+"g:j").Err(); err != nil {
			t.Fatal(err)
		}
		wantTurn(t, "an ask", b.meet(l.Lease, run, MomentBefore, ActAsk).Turn, TurnForsaken)
		wantTurn(t, "a report", b.meet(l.Lease, run, MomentBefore, ActDone).Turn, TurnGo)
		wantTurn(t, "an end", b.end(l.Lease, run, "0", OutcomeSuccess).Turn, TurnGo)
	})
}

func TestMeetRefusesWhatIsNoMeeting(t *testing.T) {
	t.Parallel()
	b := setup(t, onEmbedded)
	l := b.register("a")
	good := MeetRequest{Lease: l, Job: "j", Run: "1", Fence: 1, Moment: MomentBefore, Act: ActAsk}
	for name, change := range map[string]func(*MeetRequest){
		"job":    func(q *MeetRequest) { q.Job = "a b" },
		"run":    func(q *MeetRequest) { q.Run = "" },
		"run id": func(q *MeetRequest) { q.Run = "a|b" },
		"moment": func(q *MeetRequest) { q.Moment = 'x' },
		"act":    func(q *MeetRequest) { q.Act = 'x' },
	} {
		q := good
		change(&q)
		if _, err := b.Meet(t.Context(), q); err == nil {
			t.Errorf("Meet with a bad %s = nil, want an error", name)
		}
	}
	if _, err := b.MeetAll(t.Context(), []MeetRequest{good, {Lease: Lease{Instance: "b", Epoch: 1}, Job: "j", Run: "1", Moment: MomentBefore, Act: ActAsk}}); err == nil {
		t.Error("MeetAll for two sessions = nil, want an error")
	}
}

// TestRepliesAboutRunsAreChecked reads what no script answers.
func TestRepliesAboutRunsAreChecked(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{
		"number": int64(1), "text": "go", "short": []any{"1", int64(1)},
		"turn":  []any{"1", int64(9), "", "", "", ""},
		"run":   []any{"a|b", int64(1), "", "", "", ""},
		"items": []any{"1", int64(3), "x", "", "", ""},
		"long":  []any{"1", int64(1), "", "", "", "", ""},
	} {
		r := &reply{source: "test", values: []any{value}}
		if g := r.gathering(); g != nil || r.end() == nil {
			t.Errorf("gathering of %s = %v, %v, want an error", name, g, r.end())
		}
	}
	if got, want := fmt.Sprint(TurnGo, TurnWait, TurnCall, TurnExpired, TurnForsaken, Turn(9)), "go wait call expired forsaken turn 9"; got != want {
		t.Errorf("names of turns = %q, want %q", got, want)
	}
}

// TestARunThatCannotBeReadIsGatheredAnew has in the way of a run what another
// version, or a fault, has written.
func TestARunThatCannotBeReadIsGatheredAnew(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{
		"", "x", "5|4|||||||W", "5||||||||W|W", "5|x|||||||W|W", "5|-1|||||||W|W", "5|99999999999|||||||W|W", "5|1e9|||||||W|W",
	} {
		t.Run(broken, func(t *testing.T) {
			t.Parallel()
			eachServer(t, func(t *testing.T, on server) {
				f, a, b, g := twoNodes(t, on)
				instant := at(2 * time.Second)
				if err := f.client.HSet(t.Context(), f.keys.prefix+"g:j", millis(instant), broken).Err(); err != nil {
					t.Fatal(err)
				}
				first := f.gather(a.Lease, g, instant)
				wantTurn(t, "the first begin", first.Gathering.Turn, TurnWait)
				second := f.gather(b, g, instant)
				wantTurn(t, "the second begin", second.Gathering.Turn, TurnCall)
			})
		})
	}
}

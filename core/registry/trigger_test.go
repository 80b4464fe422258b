package registry

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// trigger asks for a manual run of a job, of all items if list is empty.
func (b *bench) trigger(n int, list string) TriggerReply {
	b.t.Helper()
	return must(b, func(ctx context.Context) (TriggerReply, error) { return b.Trigger(ctx, triggerRequest(b, n, list)) })
}

func triggerRequest(b *bench, n int, list string) TriggerRequest {
	return TriggerRequest{Job: "j", ID: triggerID(n), Items: items(b.t, list), Mode: TriggerQueue, By: "test"}
}

func triggerID(n int) string { return fmt.Sprintf("00000000-0000-7000-8000-%012d", n) }

func (b *bench) beginOneOff(l Lease, generation int64, request string) BeginReply {
	b.t.Helper()
	return must(b, func(ctx context.Context) (BeginReply, error) {
		return b.Begin(ctx, BeginRequest{Lease: l, Job: "j", Generation: generation, Kind: KindOneOff, Request: request})
	})
}

func (b *bench) endOneOff(l Lease, r BeginReply, list string, outcome Outcome) CompleteReply {
	b.t.Helper()
	return must(b, func(ctx context.Context) (CompleteReply, error) {
		return b.Complete(ctx, CompleteRequest{Lease: l, Job: "j", Fence: r.Fence, Items: items(b.t, list), Outcome: outcome, Manual: true})
	})
}

func TestATriggerEndsWithItsLastItem(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 4)
		request := triggerRequest(b, 1, "1-3")
		request.Parameter = new("a|b\nc")
		_ = must(b, func(ctx context.Context) (TriggerReply, error) { return b.Trigger(ctx, request) })
		run := b.beginOneOff(l.Lease, g, "o1")
		wantBegin(t, run, CodeOK, "1-3", "")
		if run.Trigger != request.ID || run.Parameter == nil || *run.Parameter != *request.Parameter || !run.Instant.Equal(b.now) {
			t.Errorf("Begin = %+v, want trigger %s with its parameter", run, request.ID)
		}
		b.pass(time.Second)
		b.endOneOff(l.Lease, run, "1", OutcomeSuccess)
		b.endOneOff(l.Lease, run, "2", OutcomeFailure)
		state := func() TriggerState {
			return must(b, func(ctx context.Context) (TriggerState, error) { return b.TriggerState(ctx, "j", request.ID) })
		}
		if s := state(); s.Left.String() != "3" || s.Succeeded.String() != "1" || s.Failed.String() != "2" || !s.Ended.IsZero() || s.Parameter == nil {
			t.Errorf("TriggerState = %+v, want item 3 left", s)
		}
		before := must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l.Lease, true) }).Version
		b.endOneOff(l.Lease, run, "3", OutcomeCancelled)
		if s := state(); s.Left.Len() != 0 || s.Cancelled.String() != "3" || !s.Ended.Equal(b.now) || s.Parameter != nil {
			t.Errorf("TriggerState = %+v, want it ended", s)
		}
		changes, _, _, err := b.Changes(t.Context(), before)
		if err != nil || len(changes) != 1 || changes[0].Kind != ChangeTriggered || changes[0].Job != "j" {
			t.Errorf("Changes = %+v, %v, want %s", changes, err, ChangeTriggered)
		}
		if again := b.trigger(1, "1-3"); !again.Repeated || again.Accepted.String() != "1-3" {
			t.Errorf("Trigger again = %+v, want the first answer", again)
		}
		wantBegin(t, b.beginOneOff(l.Lease, g, "o2"), CodeNone, "", "")
	})
}

// TestTriggersAreForgotten holds that the answers of a job neither live for ever nor
// become too many.
func TestTriggersAreForgotten(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 1)
		run := func(n int) {
			b.trigger(n, "")
			r := b.beginOneOff(l.Lease, g, fmt.Sprintf("o%d", n))
			b.endOneOff(l.Lease, r, "0", OutcomeSuccess)
		}
		run(1)
		for range 800 {
			b.pass(5 * time.Second)
			_ = must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l.Lease, true) })
		}
		run(2)
		if got := must(b, func(ctx context.Context) ([]Repair, error) { return b.Reconcile(ctx, l, []string{"j"}) }); len(got) > 0 {
			t.Errorf("Reconcile = %v, want nothing to mend", got)
		}
		if _, err := b.TriggerState(t.Context(), "j", triggerID(1)); !errors.Is(err, ErrUnknownTrigger) {
			t.Errorf("TriggerState after an hour = %v, want %v", err, ErrUnknownTrigger)
		}
		if _, err := b.TriggerState(t.Context(), "j", triggerID(2)); err != nil {
			t.Errorf("TriggerState at once = %v, want nil", err)
		}
		values := map[string]any{}
		for n := range 1000 {
			values[triggerID(10+n)] = fmt.Sprintf("1|%d|Q|test|0|||0@S|0|", b.now.UnixMilli()-1000+int64(n))
		}
		if err := b.client.HSet(t.Context(), b.keys.triggers("j"), values).Err(); err != nil {
			t.Fatal(err)
		}
		b.trigger(3, "")
		if n := len(b.hash("t", "j")); n > 600 || n < 400 {
			t.Errorf("%d triggers are kept of more than a thousand, want about half", n)
		}
		if _, err := b.TriggerState(t.Context(), "j", triggerID(1009)); err != nil {
			t.Errorf("TriggerState of the last one = %v, want it kept", err)
		}
		for id := range values {
			values[id] = "1|0|Q|test|0||0||0|"
		}
		if err := b.client.HSet(t.Context(), b.keys.triggers("j"), values).Err(); err != nil {
			t.Fatal(err)
		}
		l2 := b.beginOneOff(l.Lease, g, "o3")
		b.endOneOff(l.Lease, l2, "0", OutcomeSuccess)
		if err := b.client.HDel(t.Context(), b.keys.triggers("j"), triggerID(2), triggerID(3)).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Trigger(t.Context(), triggerRequest(b, 4, "")); !errors.Is(err, ErrTooManyTriggers) {
			t.Errorf("Trigger behind a thousand = %v, want %v", err, ErrTooManyTriggers)
		}
	})
}

// TestReconcileEndsTriggersThatWaitInVain breaks what is stored of triggers in every
// way that counts.
func TestReconcileEndsTriggersThatWaitInVain(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 4)
		b.trigger(1, "0-2")
		b.beginOneOff(l.Lease, g, "o1")
		b.trigger(2, "3")
		b.trigger(3, "0")
		for _, broken := range []error{
			b.client.HDel(t.Context(), b.keys.queued("j"), "3").Err(),            // 2 waits in vain
			b.client.HSet(t.Context(), b.keys.triggers("j"), "x", "y").Err(),     // nobody can read it
			b.client.HSet(t.Context(), b.keys.queued("j"), "1", "unknown").Err(), // waits for nothing
		} {
			if broken != nil {
				t.Fatal(broken)
			}
		}
		got := must(b, func(ctx context.Context) ([]Repair, error) { return b.Reconcile(ctx, l, []string{"j"}) })
		want := []Repair{{"j", RepairTriggerBroken, 1}, {"j", RepairTriggerQueue, 1}, {"j", RepairTriggerLost, 1}}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("Reconcile = %v, want %v", got, want)
		}
		s := must(b, func(ctx context.Context) (TriggerState, error) { return b.TriggerState(ctx, "j", triggerID(2)) })
		if s.Lost.String() != "3" || s.Ended.IsZero() {
			t.Errorf("TriggerState = %+v, want item 3 lost", s)
		}
		for n, left := range map[int]string{1: "0-2", 3: "0"} {
			s := must(b, func(ctx context.Context) (TriggerState, error) { return b.TriggerState(ctx, "j", triggerID(n)) })
			if s.Left.String() != left {
				t.Errorf("TriggerState of %d = %+v, want items %s left", n, s, left)
			}
		}
		if got := must(b, func(ctx context.Context) ([]Repair, error) { return b.Reconcile(ctx, l, []string{"j"}) }); len(got) > 0 {
			t.Errorf("Reconcile again = %v, want nothing", got)
		}
	})
}

package registry

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMarksAreThoseOfWhatRuns has a server back that lost a begin and the end of
// another run: the node says what runs, and both are as they were. Said again, nothing
// differs.
func TestMarksAreThoseOfWhatRuns(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 3)
		ended := b.begin(l.Lease, "j", g, b.now)
		marks := b.hash("r", "j")
		b.complete(l.Lease, "j", ended.Fence, "0-2")
		b.pass(time.Second)
		runs := b.begin(l.Lease, "j", g, b.now)
		// As of before the second begin.
		if err := b.client.HSet(t.Context(), b.keys.marks("j"), marks).Err(); err != nil {
			t.Fatal(err)
		}
		q := ReassertRequest{Lease: l.Lease, Job: "j", Newest: runs.Fence, Marks: []Mark{
			{Fence: runs.Fence, Kind: KindNormal, Instant: runs.Instant, Items: items(t, "1-2")},
		}}
		reassert := func() ReassertReply {
			return must(b, func(ctx context.Context) ([]ReassertReply, error) { return b.ReassertAll(ctx, []ReassertRequest{q}) })[0]
		}
		want := ReassertReply{
			Code: CodeOK, Marked: []LostRun{{items(t, "1-2"), FormatRunID(runs.Instant)}}, Ended: []LostRun{{items(t, "0-2"), FormatRunID(ended.Instant)}},
		}
		for range 2 {
			q.Asked++
			if diff := cmp.Diff(want, reassert()); diff != "" {
				t.Errorf("ReassertAll (-want +got):\n%s", diff)
			}
			want = ReassertReply{Code: CodeOK}
		}
		b.pass(time.Second)
		wantBegin(t, b.begin(l.Lease, "j", g, b.now), CodeOK, "0", "1-2")
	})
}

// TestLateCopyOfAReassertionGetsNothing has the network deliver one when what it says
// runs has ended, and something that it does not know of has begun.
func TestLateCopyOfAReassertionGetsNothing(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 3)
		runs := b.begin(l.Lease, "j", g, b.now)
		q := ReassertRequest{Lease: l.Lease, Job: "j", Newest: runs.Fence, Asked: 1, Marks: []Mark{
			{Fence: runs.Fence, Kind: KindNormal, Instant: runs.Instant, Items: items(t, "0-2")},
		}}
		reassert := func(want Code) {
			t.Helper()
			got := must(b, func(ctx context.Context) ([]ReassertReply, error) { return b.ReassertAll(ctx, []ReassertRequest{q}) })[0]
			if diff := cmp.Diff(ReassertReply{Code: want}, got); diff != "" {
				t.Errorf("ReassertAll (-want +got):\n%s", diff)
			}
		}
		reassert(CodeOK)
		b.complete(l.Lease, "j", runs.Fence, "0-2")
		b.pass(time.Second)
		wantBegin(t, b.begin(l.Lease, "j", g, b.now), CodeOK, "0-2", "")
		marks := b.hash("r", "j")
		reassert(CodeDuplicate)
		if diff := cmp.Diff(marks, b.hash("r", "j")); diff != "" {
			t.Errorf("marks after a late copy (-want +got):\n%s", diff)
		}
	})
}

// TestWhatRunsElsewhereIsNotMarkedAgain has an item run, or wait for a failover, under
// a newer token than the node's.
func TestWhatRunsElsewhereIsNotMarkedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, onEmbedded)
	l, g := oneNode(b, 3)
	runs := b.begin(l.Lease, "j", g, b.now)
	b.complete(l.Lease, "j", runs.Fence, "0-2")
	for key, value := range map[string]string{
		b.keys.marks("j"):     fmt.Sprintf("%d|7|1|N|%d||0", runs.Fence+1, b.now.UnixMilli()),
		b.keys.failovers("j"): fmt.Sprintf("%d|N|%d|other|7", b.now.UnixMilli(), runs.Fence+1),
	} {
		field := map[string]string{b.keys.marks("j"): "other", b.keys.failovers("j"): "1"}[key]
		if err := b.client.HSet(t.Context(), key, field, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	q := ReassertRequest{Lease: l.Lease, Job: "j", Newest: runs.Fence, Marks: []Mark{
		{Fence: runs.Fence, Kind: KindNormal, Instant: runs.Instant, Items: items(t, "0-2")},
	}}
	got := must(b, func(ctx context.Context) ([]ReassertReply, error) { return b.ReassertAll(ctx, []ReassertRequest{q}) })[0]
	run := FormatRunID(runs.Instant)
	want := ReassertReply{Code: CodeOK, Marked: []LostRun{{items(t, "2"), run}}, Refused: []LostRun{{items(t, "0-1"), run}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ReassertAll (-want +got):\n%s", diff)
	}
}

// TestRunsThatOthersWaitForAreOpenAgain has jobs wait for the ends of both runs.
func TestRunsThatOthersWaitForAreOpenAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, onEmbedded)
	l, g := oneNode(b, 1)
	if err := b.client.HSet(t.Context(), b.keys.job("j"), "ds", "next").Err(); err != nil {
		t.Fatal(err)
	}
	ended := b.begin(l.Lease, "j", g, b.now)
	marks := b.hash("r", "j")
	b.complete(l.Lease, "j", ended.Fence, "0")
	b.pass(time.Second)
	runs := b.begin(l.Lease, "j", g, b.now)
	if err := b.client.HSet(t.Context(), b.keys.marks("j"), marks).Err(); err != nil {
		t.Fatal(err)
	}
	if err := b.client.Del(t.Context(), b.keys.dependents("j")).Err(); err != nil {
		t.Fatal(err)
	}
	q := ReassertRequest{Lease: l.Lease, Job: "j", Newest: runs.Fence, Marks: []Mark{
		{Fence: runs.Fence, Kind: KindNormal, Instant: runs.Instant, Items: items(t, "0")},
	}}
	_ = must(b, func(ctx context.Context) ([]ReassertReply, error) { return b.ReassertAll(ctx, []ReassertRequest{q}) })
	want := map[string]string{
		millis(ended.Instant) + "!": "1",
		millis(runs.Instant):        "O|" + millis(b.now) + "|||",
	}
	if diff := cmp.Diff(want, b.hash("d", "j")); diff != "" {
		t.Errorf("runs that others wait for (-want +got):\n%s", diff)
	}
}

// TestReassertionsAreChecked refuses what no node can run.
func TestReassertionsAreChecked(t *testing.T) {
	t.Parallel()
	b := setup(t, onEmbedded)
	l, _ := oneNode(b, 1)
	good := Mark{Fence: 5, Kind: KindNormal, Instant: b.now, Items: items(t, "0")}
	for name, change := range map[string]func(*ReassertRequest){
		"job":     func(q *ReassertRequest) { q.Job = "a b" },
		"session": func(q *ReassertRequest) { q.Lease.Epoch++ },
		"fence":   func(q *ReassertRequest) { q.Marks[0].Fence = 6 },
		"items":   func(q *ReassertRequest) { q.Marks[0].Items = Items{} },
		"instant": func(q *ReassertRequest) { q.Marks[0].Instant = time.Time{} },
		"trigger": func(q *ReassertRequest) { q.Marks[0].Trigger = "x" },
		"kind":    func(q *ReassertRequest) { q.Marks[0].Kind = 'X' },
	} {
		ok := ReassertRequest{Lease: l.Lease, Job: "j", Newest: 5, Marks: []Mark{good}}
		bad := ReassertRequest{Lease: l.Lease, Job: "j", Newest: 5, Marks: []Mark{good}}
		change(&bad)
		if _, err := b.ReassertAll(t.Context(), []ReassertRequest{ok, bad}); err == nil {
			t.Errorf("ReassertAll with a bad %s = nil, want an error", name)
		}
	}
}

package registry

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/elasticjob-go/elasticjob/core/registry/embedded"
)

func TestChangesTellEveryStep(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("a")
		_ = must(b, func(ctx context.Context) ([]PutResult, error) {
			return b.PutJobs(ctx, []JobDefinition{definition("j", 1), definition("k", 1)})
		})
		g := b.assign(l, "j", map[string]string{"a": "0"}).Generation
		if _, err := b.SetState(t.Context(), "j", false, "test"); err != nil {
			t.Fatal(err)
		}
		_ = must(b, func(ctx context.Context) (int, error) { return b.RemoveJobs(ctx, "k") })
		if err := b.Leave(t.Context(), l.Lease, time.Time{}); err != nil {
			t.Fatal(err)
		}
		changes, latest, complete, err := b.Changes(t.Context(), 0)
		if err != nil || !complete {
			t.Fatalf("Changes = complete %v, %v, want true", complete, err)
		}
		want := []Change{
			{Kind: ChangeJoin, Instance: "a"},
			{Kind: ChangeJob, Job: "j"},
			{Kind: ChangeJob, Job: "k"},
			{Kind: ChangeAssigned, Job: "j", Generation: g},
			{Kind: ChangeState, Job: "j", Generation: g},
			{Kind: ChangeRemoved, Job: "k"},
			{Kind: ChangeLeave, Instance: "a"},
		}
		for i := range want {
			if i < len(changes) {
				want[i].Version = changes[i].Version
			}
		}
		if diff := cmp.Diff(want, changes); diff != "" {
			t.Errorf("Changes (-want +got):\n%s", diff)
		}
		if changes[1].Version != changes[2].Version || changes[0].Version >= changes[1].Version || latest != changes[6].Version {
			t.Errorf("versions of %+v up to %d do not rise by step", changes, latest)
		}
		for i, c := range changes {
			rest, _, complete, err := b.Changes(t.Context(), c.Version)
			if err != nil || !complete {
				t.Errorf("Changes(%d) = complete %v, %v, want true", c.Version, complete, err)
			}
			if len(rest) > len(changes)-i-1 {
				t.Errorf("Changes(%d) = %d changes, want at most %d", c.Version, len(rest), len(changes)-i-1)
			}
		}
	})
}

func TestChangesReportGaps(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		var versions []int64
		for i := range 5 {
			b.pass(time.Millisecond)
			b.put(definition("j"+strconv.Itoa(i), 1))
			_, latest, _, err := b.Changes(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			versions = append(versions, latest)
		}
		incomplete := func(what string, since int64) {
			t.Helper()
			changes, latest, complete, err := b.Changes(t.Context(), since)
			if err != nil || complete || len(changes) != 0 || latest != versions[4] {
				t.Errorf("%s: Changes = %d, %d, %v, %v, want none up to %d and incomplete", what, len(changes), latest, complete, err, versions[4])
			}
		}
		incomplete("a version between two", versions[1]+1)
		incomplete("a version not reached yet", versions[4]+1)
		if err := b.client.XTrimMaxLen(t.Context(), b.keys.feed(), 2).Err(); err != nil {
			t.Fatal(err)
		}
		incomplete("a trimmed entry", versions[0])
		if changes, _, complete, err := b.Changes(t.Context(), versions[2]); err != nil || !complete || len(changes) != 2 {
			t.Errorf("Changes after the trimmed = %d, %v, %v, want 2", len(changes), complete, err)
		}
		if err := b.client.Del(t.Context(), b.keys.feed()).Err(); err != nil {
			t.Fatal(err)
		}
		incomplete("a lost feed", versions[2])
	})
}

func TestChangesOverManyPages(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		b.put(definition("j", 1))
		const n = 2*feedPage + 1
		for i := range n {
			if _, err := b.SetState(t.Context(), "j", i%2 == 1, "test"); err != nil {
				t.Fatal(err)
			}
		}
		changes, _, complete, err := b.Changes(t.Context(), 0)
		if err != nil || !complete || len(changes) != n+1 {
			t.Errorf("Changes = %d, %v, %v, want %d", len(changes), complete, err, n+1)
		}
	})
}

func TestFeedEntriesAreChecked(t *testing.T) {
	t.Parallel()
	good := map[string]any{"prev": "0", "kind": "job", "node": "", "job": "j,k", "gen": "1,2"}
	for name, change := range map[string]func(map[string]any){
		"prev":             func(m map[string]any) { m["prev"] = "-1" },
		"kind":             func(m map[string]any) { delete(m, "kind") },
		"job":              func(m map[string]any) { m["job"] = "a b" },
		"empty job":        func(m map[string]any) { m["job"] = "j,," },
		"number of gens":   func(m map[string]any) { m["gen"] = "1" },
		"generation":       func(m map[string]any) { m["gen"] = "1,x" },
		"number as number": func(m map[string]any) { m["gen"] = 1.5 },
	} {
		values := map[string]any{}
		maps.Copy(values, good)
		if _, _, err := readChange(redis.XMessage{ID: "5-0", Values: values}); err != nil {
			t.Errorf("readChange of a good entry = %v", err)
		}
		change(values)
		if got, _, err := readChange(redis.XMessage{ID: "5-0", Values: values}); err == nil {
			t.Errorf("readChange with a bad %s = %+v, want an error", name, got)
		}
	}
	if got, _, err := readChange(redis.XMessage{ID: "5-1", Values: good}); err == nil {
		t.Errorf("readChange of id 5-1 = %+v, want an error", got)
	}
}

func TestDoorbellRings(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		d, err := b.Watch(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-d.C():
			t.Error("the doorbell rings before any change")
		default:
		}
		b.put(definition("j", 1))
		<-d.C()
		if err := d.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	})
}

// TestRingsTellOfTriggers holds that a ring tells the same as the feed, before C has
// a value.
func TestRingsTellOfTriggers(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("a")
		b.put(definition("j", 2))
		g := b.assign(l, "j", map[string]string{"a": "0-1"}).Generation
		since := func() int64 {
			_, latest, _, err := b.Changes(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			return latest
		}()
		heard := make(chan Change, 100)
		d, err := b.Watch(t.Context(), func(c Change) { heard <- c })
		if err != nil {
			t.Fatal(err)
		}
		_ = must(b, func(ctx context.Context) (TriggerReply, error) {
			return b.Trigger(ctx, TriggerRequest{Job: "j", ID: triggerID(1), Mode: TriggerQueue, By: "test"})
		})
		begun := must(b, func(ctx context.Context) (BeginReply, error) {
			return b.Begin(ctx, BeginRequest{Lease: l.Lease, Job: "j", Generation: g, Kind: KindOneOff, Request: "o1"})
		})
		_ = must(b, func(ctx context.Context) (CompleteReply, error) {
			return b.Complete(ctx, CompleteRequest{Lease: l.Lease, Job: "j", Fence: begun.Fence, Items: begun.Items, Outcome: OutcomeSuccess, Manual: true})
		})
		told, _, _, err := b.Changes(t.Context(), since)
		if err != nil || len(told) != 2 {
			t.Fatalf("Changes = %+v, %v, want a trigger and its end", told, err)
		}
		for _, want := range told {
			want.Instance, want.Generation = "", 0
			if got := <-heard; got != want {
				t.Errorf("a ring tells %+v, want %+v", got, want)
			}
		}
		<-d.C()
		if err := d.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	})
}

// TestRingsAreChecked ignores what no script has rung.
func TestRingsAreChecked(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "trigger", "1 2 trigger j", "1 x trigger j ", "1 -2 trigger j ", "1 2 job j 5", "1 2 trigger  ", "1 2 trigger a,,b ",
		"1 2 trigger a\x00b ", "1 2 trigger " + strings.Repeat("j,", maxRing) + "j ",
	} {
		if got := readRing(text); got != nil {
			t.Errorf("readRing(%.40q) = %+v, want nothing", text, got)
		}
	}
	want := []Change{{Version: 2, Kind: ChangeTriggered, Job: "j"}, {Version: 2, Kind: ChangeTriggered, Job: "k"}}
	if got := readRing("1 2 triggered j,k "); !slices.Equal(got, want) {
		t.Errorf("readRing of two jobs = %+v, want %+v", got, want)
	}
}

// TestRunsInBubble shows that a center and its embedded server live on the fake
// clock, doorbell included.
func TestRunsInBubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := embedded.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		center, err := Open(t.Context(), Config{Client: s.Client(), Namespace: "n", SessionTimeout: time.Minute, Embedded: true})
		if err != nil {
			t.Fatal(err)
		}
		c := center.Partitions()[0]
		d, err := c.Watch(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		r, err := c.Register(t.Context(), Instance{ID: "a"})
		if err != nil {
			t.Fatal(err)
		}
		<-d.C()
		for range 100 {
			time.Sleep(time.Minute)
			if _, err := c.Renew(t.Context(), r.Lease, true); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute + time.Millisecond)
		if _, err := c.Renew(t.Context(), r.Lease, true); err == nil {
			t.Error("Renew after the lease = nil, want an error")
		}
	})
}

package registry

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pair is a job "j" of one item, and a job "k" that depends on it.
func pair(b *bench) (Leadership, int64) {
	b.t.Helper()
	l, g := oneNode(b, 1)
	k := definition("k", 2)
	k.DependsOn = []Dependency{{"j", OnSuccess}}
	b.put(k)
	if err := b.Link(b.t.Context(), "j", "k"); err != nil {
		b.t.Fatal(err)
	}
	return l, g
}

func (b *bench) closeRuns(l Leadership, c CloseRequest) CloseReply {
	b.t.Helper()
	return must(b, func(ctx context.Context) ([]CloseReply, error) { return b.CloseRuns(ctx, l, []CloseRequest{c}) })[0]
}

func (b *bench) runsOf(job string) []JobRun {
	b.t.Helper()
	return must(b, func(ctx context.Context) ([]JobRun, error) { return b.JobRuns(ctx, job) })
}

func TestARunLeadsToTheNextJob(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := pair(b)
		if got := b.job("k").Definition.DependsOn; !cmp.Equal(got, []Dependency{{"j", OnSuccess}}) {
			t.Errorf("Job(k).Definition.DependsOn = %v, want j", got)
		}
		run := b.begin(l.Lease, "j", g, at(2*time.Second))
		id := FormatRunID(at(2 * time.Second))
		if got := b.closeRuns(l, CloseRequest{Job: "j"}); len(got.Ended) > 0 || got.Idle {
			t.Errorf("CloseRuns = %+v, want a run that goes on", got)
		}
		b.complete(l.Lease, "j", run.Fence, "0")
		ended := b.closeRuns(l, CloseRequest{Job: "j"})
		want := []EndedRun{{Run: id, Outcome: RunSucceeded, Field: millis(at(2 * time.Second))}}
		if !cmp.Equal(ended.Ended, want) || !cmp.Equal(ended.Down, []string{"k"}) {
			t.Errorf("CloseRuns = %+v, want %v for k", ended, want)
		}
		a := Arrival{Job: "k", From: "j", Run: id, Outcome: RunSucceeded, AsOf: ended.At}
		for range 2 {
			got := must(b, func(ctx context.Context) (ArrivalReply, error) { return b.Arrive(ctx, a) })
			if got.Stage != RunOpen || got.Accepted.String() != "0-1" {
				t.Errorf("Arrive = %+v, want both items accepted", got)
			}
		}
		s := must(b, func(ctx context.Context) (TriggerState, error) { return b.TriggerState(ctx, "k", id) })
		if s.Left.String() != "0-1" || s.By != "dependsOn" {
			t.Errorf("TriggerState = %+v, want both items to wait", s)
		}
		b.pass(2 * time.Minute)
		if _, err := b.Arrive(t.Context(), a); !errors.Is(err, ErrOldWord) {
			t.Errorf("Arrive after two minutes = %v, want %v", err, ErrOldWord)
		}
		if got := b.runsOf("k"); len(got) != 1 || got[0].Stage != RunOpen || got[0].Before["j"] != RunSucceeded {
			t.Errorf("JobRuns(k) = %+v, want one that is open", got)
		}
	})
}

// TestATriggerThatBeginsAfterItsDependencyIsKnown was accepted before: the jobs are back
// in a registry that had lost them, and the leader has not looked at them yet.
func TestATriggerThatBeginsAfterItsDependencyIsKnown(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 1)
		b.trigger(1, "")
		if err := b.Link(t.Context(), "j", "k"); err != nil {
			t.Fatal(err)
		}
		run := b.beginOneOff(l.Lease, g, "q1")
		_ = must(b, func(ctx context.Context) (CompleteReply, error) {
			return b.Complete(ctx, CompleteRequest{Lease: l.Lease, Job: "j", Fence: run.Fence, Items: run.Items, Outcome: OutcomeSuccess, Manual: true})
		})
		got := b.closeRuns(l, CloseRequest{Job: "j"}).Ended
		if want := []EndedRun{{Run: triggerID(1), Outcome: RunSucceeded, Field: triggerID(1)}}; !cmp.Equal(got, want) {
			t.Errorf("CloseRuns = %+v, want %+v", got, want)
		}
	})
}

// TestNothingIsCaughtUpInARunThatHasEnded holds an item, and disables it or its job:
// then its run ends without it, for ever. What can be caught up is waited for.
func TestNothingIsCaughtUpInARunThatHasEnded(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		for name, set := range map[string]func(b *bench, enabled bool) error{
			"nothing": func(*bench, bool) error { return nil },
			"job": func(b *bench, enabled bool) error {
				_, err := b.SetState(b.t.Context(), "j", enabled, "test")
				return err
			},
			"item": func(b *bench, enabled bool) error {
				_, err := b.SetItemState(b.t.Context(), "j", 1, enabled, "test")
				return err
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t, on)
				l, g := oneNode(b, 2)
				if err := b.Link(t.Context(), "j", "k"); err != nil {
					t.Fatal(err)
				}
				first := b.begin(l.Lease, "j", g, at(2*time.Second))
				b.complete(l.Lease, "j", first.Fence, "0")
				second := b.begin(l.Lease, "j", g, at(4*time.Second))
				if second.Held.String() != "1" {
					t.Fatalf("Begin = %+v, want item 1 held", second)
				}
				if err := set(b, false); err != nil {
					t.Fatal(err)
				}
				b.complete(l.Lease, "j", first.Fence, "1")
				b.complete(l.Lease, "j", second.Fence, "0")
				ended, caught := 2, ""
				if name == "nothing" {
					ended, caught = 1, "1"
				}
				if got := b.closeRuns(l, CloseRequest{Job: "j"}); len(got.Ended) != ended {
					t.Errorf("CloseRuns = %+v, want %d runs", got, ended)
				}
				if err := set(b, true); err != nil {
					t.Fatal(err)
				}
				if got := b.catchUp(l.Lease, "j", g, "q1"); got.Items.String() != caught {
					t.Errorf("Begin = %+v, want items %q to catch up", got, caught)
				}
			})
		}
	})
}

// TestNothingBeginsInARunThatHasEnded disables an item whose owner is late: its run ends
// without it, and stays so when the item is enabled again.
func TestNothingBeginsInARunThatHasEnded(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, _ := oneNode(b, 2)
		if err := b.Link(t.Context(), "j", "k"); err != nil {
			t.Fatal(err)
		}
		other := b.register("b", "j")
		g := b.assign(l, "j", map[string]string{"a": "0", "b": "1"}).Generation
		enable := func(on bool) {
			_ = must(b, func(ctx context.Context) (bool, error) { return b.SetItemState(ctx, "j", 1, on, "test") })
		}
		enable(false)
		run := b.begin(l.Lease, "j", g, at(2*time.Second))
		b.complete(l.Lease, "j", run.Fence, "0")
		if got := b.closeRuns(l, CloseRequest{Job: "j"}); len(got.Ended) != 1 {
			t.Errorf("CloseRuns = %+v, want a run that has ended", got)
		}
		enable(true)
		for range 2 {
			if got := b.begin(other, "j", g, at(2*time.Second)); got.Code == CodeOK || got.Held.String() != "1" {
				t.Errorf("Begin = %+v, want item 1 refused", got)
			}
		}
		if got := b.begin(other, "j", g, at(3*time.Second)); got.Items.String() != "1" {
			t.Errorf("Begin of the next instant = %+v, want item 1", got)
		}
	})
}

// TestDependenciesComeAndGo removes and changes jobs at both ends.
func TestDependenciesComeAndGo(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, _ := pair(b)
		down := func() string { return b.hash("j", "j")["ds"] }
		if down() != "k" {
			t.Errorf("what depends on j: %q, want k", down())
		}
		_ = must(b, func(ctx context.Context) (int, error) { return b.RemoveJobs(ctx, "j") })
		b.put(definition("j", 1))
		if down() != "k" {
			t.Errorf("what depends on j when it is back: %q, want k", down())
		}
		now := b.closeRuns(l, CloseRequest{Job: "j"}).At
		a := Arrival{Job: "k", From: "j", Run: triggerID(1), Outcome: RunSucceeded, AsOf: now}
		k := definition("k", 2)
		k.Overwrite, k.Config = true, []byte(`{"v":2}`)
		b.put(k)
		if _, err := b.Arrive(t.Context(), a); !errors.Is(err, ErrNoDependency) {
			t.Errorf("Arrive at a job that depends on nothing = %v, want %v", err, ErrNoDependency)
		}
		_ = must(b, func(ctx context.Context) (int, error) { return b.RemoveJobs(ctx, "k") })
		if _, err := b.Arrive(t.Context(), a); !errors.Is(err, ErrUnknownJob) {
			t.Errorf("Arrive at a job that is not there = %v, want %v", err, ErrUnknownJob)
		}
		b.closeRuns(l, CloseRequest{Job: "j", Leavers: []string{"k"}})
		if _, is := b.hash("j", "j")["ds"]; is {
			t.Errorf("what depends on j: %q, want nothing", down())
		}
	})
}

// TestEndedRunsAreForgotten holds that those of which all have heard do not live for ever.
func TestEndedRunsAreForgotten(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := pair(b)
		for i := range 3 {
			run := b.begin(l.Lease, "j", g, at(time.Duration(2+i)*time.Second))
			_ = must(b, func(ctx context.Context) (CompleteReply, error) {
				return b.Complete(ctx, CompleteRequest{Lease: l.Lease, Job: "j", Fence: run.Fence, Items: run.Items, Outcome: OutcomeFailure})
			})
			ended := b.closeRuns(l, CloseRequest{Job: "j"}).Ended
			if len(ended) != 1 || ended[0].Outcome != RunFailed {
				t.Fatalf("CloseRuns = %+v, want a run that failed", ended)
			}
			b.closeRuns(l, CloseRequest{Job: "j", Told: []string{ended[0].Field}})
			if got := must(b, b.RunsUnderWay); len(got) > 0 {
				t.Errorf("RunsUnderWay = %v, want none", got)
			}
		}
		if got := b.runsOf("j"); len(got) != 3 || got[2].Stage != RunTold || got[2].Outcome != RunFailed {
			t.Errorf("JobRuns(j) = %+v, want three that failed", got)
		}
		for range 13 { // longer than an hour
			b.pass(5 * time.Minute)
		}
		b.closeRuns(b.lead("z"), CloseRequest{Job: "j"})
		if got := b.hash("d", "j"); !cmp.Equal(got, map[string]string{"down": "k"}) {
			t.Errorf("after an hour there is %v, want what depends on the job alone", got)
		}
	})
}

func TestForeignRunsAreErrors(t *testing.T) {
	t.Parallel()
	b := setup(t, onEmbedded)
	pair(b)
	for field, value := range map[string]string{
		"soon": "O|1|||", triggerID(1): "O|1||", triggerID(2): "Q|1|||", triggerID(3): "O|x|||", triggerID(4): "E|1|X||", triggerID(5): "W|1||a b@S|",
	} {
		if err := b.client.HSet(t.Context(), b.keys.dependents("j"), field, value).Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := b.JobRuns(t.Context(), "j"); err == nil {
			t.Errorf("JobRuns with %s: %s = %+v, want an error", field, value, got)
		}
		if err := b.client.HDel(t.Context(), b.keys.dependents("j"), field).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for name, list := range map[string][]Dependency{
		"a job on itself": {{"m", OnSuccess}}, "a job twice": {{"j", OnSuccess}, {"j", OnFailure}},
		"a condition": {{"j", 'X'}}, "a name": {{"j|", OnSuccess}}, "many": make([]Dependency, MaxDependencies+1),
	} {
		d := definition("m", 1)
		d.DependsOn = list
		if _, err := b.PutJobs(t.Context(), []JobDefinition{d}); err == nil {
			t.Errorf("PutJobs with %s = nil, want an error", name)
		}
	}
}

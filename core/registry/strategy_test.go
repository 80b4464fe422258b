package registry

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBrokenStrategiesAreCaught takes out of the scripts what jobs that broadcast
// or are assigned after every run need.
func TestBrokenStrategiesAreCaught(t *testing.T) {
	t.Parallel()
	const most = 20
	for _, tt := range []struct {
		how How
		breakage
	}{
		{HowBroadcast, breakage{1, "decided by the item and not by the node", "commit", "kept[i] = upto[who] or upto[''] or NOW", "kept[i] = floor[i] or NOW"}},
		{HowBroadcast, breakage{1, "missed by the item and not by the node", "commit", "num(missed[who])", "num(NOW)"}},
		{HowBroadcast, breakage{1, "busy by the item and not by the node", "begin", "(how == 'B' and 1 or MAXMARKS)", "MAXMARKS"}},
		{HowBroadcast, breakage{1, "a new node owes the past", "commit", "upto[''] or NOW", "upto[''] or 0"}},
		{HowBroadcast, breakage{4, "items of the definition", "state", "s[7] == 'B'", "false"}},
		{HowBroadcast, breakage{1, "wait for a trigger by the item and not by the node", "commit", "if waiting then end_waits", "if false then end_waits"}},
		{HowEveryRun, breakage{1, "the end of a run not told", "complete", "if s[2] == 'E' then", "if false then"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.mustNotice(t, most, func(t testing.TB, seed uint64, edit func(name, source string) string) {
				t.Helper()
				r := newRandomRun(t, onEmbedded, seed, edit)
				r.how = tt.how
				r.run(*steps)
			})
		})
	}
}

func TestLoads(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		b.register("a")
		b.register("b")
		l := b.lead("z")
		for _, name := range []string{"j", "k", "l"} {
			b.put(JobDefinition{Name: name, Config: []byte("{}"), Items: 4, Monitored: true})
		}
		states := must(b, func(ctx context.Context) ([]JobState, error) { return b.Jobs(ctx, "j", "k") })
		var plans []Plan
		for i, owners := range []map[string]Items{
			{"a": NewItems(0, 2, 3), "b": NewItems(1)},
			{"a": NewItems(0)}, // and the others are nobody's
		} {
			plans = append(plans, Plan{
				Job: states[i].Definition.Name, ExpectGeneration: states[i].Generation, ExpectVersion: states[i].Version, Items: 4, Owners: owners,
			})
		}
		must(b, func(ctx context.Context) ([]CommitResult, error) { return b.CommitAssignments(ctx, l, plans) })
		got := must(b, b.Loads)
		if diff := cmp.Diff(map[string]int{"a": 4, "b": 1}, got); diff != "" {
			t.Errorf("Loads (-want +got):\n%s", diff)
		}
	})
}

// TestAnInstanceOwesATriggerOnce lets instances of a job that broadcasts give back
// what they were to run for a trigger, and swap their items before others do.
func TestAnInstanceOwesATriggerOnce(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		leases := map[string]Lease{}
		for _, id := range []string{"a", "b", "c", "d"} {
			leases[id] = b.register(id)
		}
		l := b.lead("z")
		b.put(definition("j", 1))
		g := b.spreadOut(l, "a", "b", "c", "d")
		b.trigger(1, "")
		// What is given back is not run, so its turn comes again.
		first := b.beginOneOff(leases["d"], g, "o1")
		wantBegin(t, first, CodeOK, "3", "")
		b.endOneOff(leases["d"], first, "3", OutcomeReturned)
		second := b.beginOneOff(leases["d"], g, "o2")
		wantBegin(t, second, CodeOK, "3", "")
		b.endOneOff(leases["d"], second, "3", OutcomeSuccess)
		// The next of item 0 has run, that of item 1 has not, that of item 2 returns what
		// is another's.
		third := b.beginOneOff(leases["c"], g, "o3")
		wantBegin(t, third, CodeOK, "2", "")
		g = b.spreadOut(l, "d", "a", "b", "c")
		b.endOneOff(leases["c"], third, "2", OutcomeReturned)
		for id, want := range map[string]string{"a": "1", "b": "", "c": "", "d": ""} {
			code := CodeNone
			if want != "" {
				code = CodeOK
			}
			wantBegin(t, b.beginOneOff(leases[id], g, "o4"), code, want, "")
		}
		s := must(b, func(ctx context.Context) (TriggerState, error) { return b.TriggerState(ctx, "j", triggerID(1)) })
		if got := fmt.Sprintf("left %s, lost %s, cancelled %s, succeeded %s", s.Left, s.Lost, s.Cancelled, s.Succeeded); got != "left 1, lost 0, cancelled 2, succeeded 3" {
			t.Errorf("TriggerState: %s, want left 1, lost 0, cancelled 2, succeeded 3", got)
		}
	})
}

// spreadOut gives each of the instances its index of a job that broadcasts.
func (b *bench) spreadOut(l Leadership, ids ...string) int64 {
	b.t.Helper()
	s := b.job("j")
	p := Plan{Job: "j", ExpectGeneration: s.Generation, ExpectVersion: s.Version, Items: len(ids), How: HowBroadcast, Owners: map[string]Items{}}
	for i, id := range ids {
		p.Owners[id] = NewItems(i)
	}
	r := must(b, func(ctx context.Context) ([]CommitResult, error) { return b.CommitAssignments(ctx, l, []Plan{p}) })
	return r[0].Generation
}

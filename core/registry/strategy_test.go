package registry

import (
	"context"
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

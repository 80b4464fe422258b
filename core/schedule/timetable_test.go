package schedule

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTimetableAgainstAPlainList adds, removes and takes at random and compares
// with a list that is searched.
func TestTimetableAgainstAPlainList(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	table := newTimetable()
	var list []*entry
	earliest := func() int64 {
		return slices.MinFunc(list, func(a, b *entry) int { return int(a.at - b.at) }).at
	}
	for step := range 20_000 {
		switch what := random.IntN(10); {
		case what < 5 || len(list) == 0:
			e := &entry{at: random.Int64N(40)}
			wantFirst := len(list) == 0 || e.at < earliest()
			list = append(list, e)
			if got := table.add(e); got != wantFirst {
				t.Fatalf("step %d: add(%d) = %v, want %v", step, e.at, got, wantFirst)
			}
		case what < 9:
			i := random.IntN(len(list))
			table.remove(list[i])
			table.remove(list[i]) // is not there any more
			list = slices.Delete(list, i, i+1)
		default:
			first := table.first()
			table.take(first)
			for _, e := range first.entries {
				table.remove(e) // was taken
			}
			want := slices.DeleteFunc(slices.Clone(list), func(e *entry) bool { return e.at != first.at })
			for _, e := range want {
				if !slices.Contains(first.entries, e) {
					t.Fatalf("step %d: an entry of %d is not among those taken", step, e.at)
				}
			}
			if len(want) != len(first.entries) {
				t.Fatalf("step %d: took %d entries of %d, want %d", step, len(first.entries), first.at, len(want))
			}
			list = slices.DeleteFunc(list, func(e *entry) bool { return e.at == first.at })
			table.recycle(first)
		}
		switch first := table.first(); {
		case len(list) == 0 && first != nil:
			t.Fatalf("step %d: first() = %d of an empty timetable", step, first.at)
		case len(list) > 0 && (first == nil || first.at != earliest()):
			t.Fatalf("step %d: first() = %v, want %d", step, first, earliest())
		}
	}
}

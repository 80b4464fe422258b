package spitest

import (
	"slices"
	"testing"
)

// What is listed as different is a call of a table, has a reason, and is listed
// once.
func TestDifferencesAreOfTheTables(t *testing.T) {
	t.Parallel()
	calls := []string{"too large request"}
	for _, d := range common() {
		calls = append(calls, d.name)
	}
	for _, b := range batches() {
		calls = append(calls, b.name)
	}
	for _, b := range refusedBatches() {
		calls = append(calls, b.name)
	}
	slices.Sort(calls)
	if twice := len(calls) - len(slices.Compact(slices.Clone(calls))); twice > 0 {
		t.Errorf("%d calls of the tables have the name of another: %q", twice, calls)
	}
	seen := map[string]bool{}
	for _, d := range differences() {
		if !slices.Contains(calls, d.deed) {
			t.Errorf("no table has the call %q, in which %s differs", d.deed, d.kind)
		}
		if d.why == "" || !slices.Contains([]string{builtIn, process, module}, d.kind) {
			t.Errorf("the difference of %q in the call %q has the reason %q, want a host and a reason", d.kind, d.deed, d.why)
		}
		if key := d.kind + " " + d.deed; seen[key] {
			t.Errorf("the difference of %s is listed twice", key)
		} else {
			seen[key] = true
		}
	}
}

// The short list names calls that there are.
func TestSomeIsPartOfCommon(t *testing.T) {
	t.Parallel()
	if got, want := len(some()), 23; got != want {
		t.Errorf("some() has %d calls, want %d", got, want)
	}
}

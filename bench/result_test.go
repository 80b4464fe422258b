package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	t.Parallel()
	got := table([]result{
		{"first", "a row", "one", []value{known("p50", "µs", 12.34), known("lost", "", 0)}},
		{"first", "a row", "another", []value{{Name: "p50", Unit: "µs", Unknown: true}, known("lost", "", 100000)}},
		{"second", "b", "one", []value{known("pairs/s", "", 0.1234)}},
	})
	want := `
FIRST             p50 µs    lost
a row   one         12.3       0
a row   another        -  100000

SECOND           pairs/s
b       one        0.123
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table() differs (-want +got):\n%s", diff)
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	for n, want := range map[float64]string{
		0: "0", 7: "7", 0.0123: "0.012", 1.239: "1.24", 12.39: "12.4", 123.9: "124", 100000: "100000", -1.5: "-1.50",
	} {
		if got := format(n); got != want {
			t.Errorf("format(%v) = %q, want %q", n, got, want)
		}
	}
}

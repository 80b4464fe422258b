package registry

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func (b *bench) items(job string) []ItemState {
	b.t.Helper()
	return must(b, func(ctx context.Context) ([]ItemState, error) { return b.Items(ctx, job) })
}

func TestStatesOfItems(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l, g := oneNode(b, 5)
		b.register("b")
		run := b.begin(l.Lease, "j", g, at(2*time.Second))
		b.complete(l.Lease, "j", run.Fence, "0-1")
		b.begin(l.Lease, "j", g, at(3*time.Second)) // 2-4 missed it
		if _, err := b.SetItemState(t.Context(), "j", 1, false, "test"); err != nil {
			t.Fatal(err)
		}
		d := definition("j", 4)
		d.Overwrite = true
		b.put(d)
		b.assign(l, "j", map[string]string{"a": "0", "b": "1-2"})
		if err := b.client.HSet(t.Context(), b.keys.failovers("j"), "3", "1|N|1|x|1").Err(); err != nil {
			t.Fatal(err)
		}
		two, three := FormatRunID(at(2*time.Second)), FormatRunID(at(3*time.Second))
		running := []RunningItem{{"a", two, KindNormal}}
		want := []ItemState{
			{Item: 0, Owner: "a", Running: []RunningItem{{"a", three, KindNormal}}},
			{Item: 1, Owner: "b", Running: []RunningItem{{"a", three, KindNormal}}, Disabled: true},
			{Item: 2, Owner: "b", Running: running, Missed: at(3 * time.Second)},
			{Item: 3, Running: running, Missed: at(3 * time.Second), Failover: true},
			{Item: 4, Running: running},
		}
		if diff := cmp.Diff(want, b.items("j")); diff != "" {
			t.Errorf("Items (-want +got):\n%s", diff)
		}
		if _, err := b.Items(t.Context(), "unknown"); !errors.Is(err, ErrUnknownJob) {
			t.Errorf("Items of an unknown job = %v, want %v", err, ErrUnknownJob)
		}
	})
}

func TestItemsOfForeignContentsAreErrors(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		for name, c := range map[string]struct{ letter, field, value string }{
			"mark":          {"r", "a", "x"},
			"kind":          {"r", "a", "1|1|1|NN|1|q|0"},
			"fence":         {"r", "a", "-1|1|1|N|1|q|0"},
			"items":         {"r", "a", "1|1|1|N|1|q|0-99999"},
			"owner":         {"a", "a", "0-1"},
			"missed":        {"m", "0", "soon"},
			"missed item":   {"m", "x", "1"},
			"failover":      {"f", "10000", "1"},
			"disabled item": {"j", "dn", "7-1"},
			"many items":    {"j", "n", "10001"},
		} {
			b := setup(t, on)
			b.put(definition("j", 2))
			if err := b.client.HSet(t.Context(), b.keys.prefix+c.letter+":j", c.field, c.value).Err(); err != nil {
				t.Fatal(err)
			}
			if got, err := b.Items(t.Context(), "j"); err == nil {
				t.Errorf("Items with foreign %s = %v, want an error", name, got)
			}
		}
	})
}

func TestRunsOfMarks(t *testing.T) {
	t.Parallel()
	marks, err := parseMarks("7|5|1|N|1772366400000|q|2;8|5|1|O|0199-x|q|3;9|5|0|F|0199-x|q|4")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"20260301T120000.000Z", "0199-x", "0199-x"} {
		if got := marks[i].run(); got != want {
			t.Errorf("run of mark %d = %q, want %q", i, got, want)
		}
	}
}

func FuzzParseMarks(f *testing.F) {
	for _, text := range []string{"", "7|5|1|N|1772366400000|q|2;8|5|1|O|id|q|3", "1|2|3|N|4|5|0-9999", "|||||||", ";"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		marks, err := parseMarks(text)
		if err == nil && (len(marks) == 0 || len(marks) > maxMarks) {
			t.Errorf("parseMarks(%q) = %d marks", text, len(marks))
		}
		for _, m := range marks {
			if m.run() == "" && m.trigger != "" {
				t.Errorf("parseMarks(%q): mark %+v has no run", text, m)
			}
		}
	})
}

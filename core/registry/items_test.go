package registry

import (
	"slices"
	"testing"
	"time"
)

func TestParseItems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, want string
		n          int
	}{
		{"", "", 0},
		{"0", "0", 1},
		{"0-3,9", "0-3,9", 5},
		{"0,1,2", "0-2", 3},
		{"3-3", "3", 1},
		{"0-9999", "0-9999", MaxItems},
	} {
		got, err := ParseItems(c.text)
		if err != nil || got.String() != c.want || got.Len() != c.n {
			t.Errorf("ParseItems(%q) = %q of %d, %v, want %q of %d", c.text, got, got.Len(), err, c.want, c.n)
		}
	}
	for _, text := range []string{
		",", "0,", "-1", "1-", "2-1", "1,1", "3,2", "0-3,3", "10000", "0-10000", "01", "+1", "a", "1 ", "0x1", "1--2",
		"99999999999999999999",
	} {
		if got, err := ParseItems(text); err == nil {
			t.Errorf("ParseItems(%q) = %q, want an error", text, got)
		}
	}
}

func TestItems(t *testing.T) {
	t.Parallel()
	s := NewItems(9, 2, 0, 1, 2)
	if got, want := s.String(), "0-2,9"; got != want {
		t.Errorf("NewItems().String() = %q, want %q", got, want)
	}
	if got, want := s.Slice(), []int{0, 1, 2, 9}; !slices.Equal(got, want) {
		t.Errorf("Slice() = %v, want %v", got, want)
	}
	for item := -1; item < 12; item++ {
		if got, want := s.Contains(item), slices.Contains(s.Slice(), item); got != want {
			t.Errorf("Contains(%d) = %v, want %v", item, got, want)
		}
	}
	if !AllItems(3).Equal(NewItems(0, 1, 2)) || AllItems(3).Equal(s) || !AllItems(0).Equal(Items{}) {
		t.Error("Equal does not compare the items")
	}
	for item := range s.All() {
		if item > 1 {
			break // a loop may end early
		}
	}
}

func TestItemsOutOfRangePanic(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(){
		"negative": func() { NewItems(-1) },
		"too big":  func() { NewItems(MaxItems) },
		"too many": func() { AllItems(MaxItems + 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic, want one", name)
				}
			}()
			f()
		}()
	}
}

func FuzzParseItems(f *testing.F) {
	for _, text := range []string{"", "0", "0-3,9", "0-9999", "1,2,3", "5-4", "10000", "0-3,3-4", "-"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseItems(text)
		if err != nil {
			if s.Len() != 0 {
				t.Errorf("ParseItems(%q) = %q with %v, want nothing", text, s, err)
			}
			return
		}
		list := s.Slice()
		if len(list) != s.Len() || !slices.IsSorted(list) {
			t.Errorf("ParseItems(%q) = %v of %d, want them sorted", text, list, s.Len())
		}
		again, err := ParseItems(s.String())
		if err != nil || !again.Equal(s) || !NewItems(list...).Equal(s) {
			t.Errorf("ParseItems(%q) = %q, which reads as %q, %v", text, s, again, err)
		}
	})
}

func TestRunID(t *testing.T) {
	t.Parallel()
	instant := time.Date(2026, 3, 1, 13, 4, 5, 67_000_000, time.FixedZone("east", 3600))
	id := FormatRunID(instant)
	if want := "20260301T120405.067Z"; id != want {
		t.Errorf("FormatRunID(%v) = %q, want %q", instant, id, want)
	}
	if got, err := ParseRunID(id); err != nil || !got.Equal(instant) {
		t.Errorf("ParseRunID(%q) = %v, %v, want %v", id, got, err, instant)
	}
	if got, err := ParseRunID("0198a7b2-7e1c-7abc-8def-0123456789ab"); err == nil {
		t.Errorf("ParseRunID of a trigger = %v, want an error", got)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{"10.0.0.1@-@42": "10.0.0.1", "node-1": "node-1", "a@-@b@-@c": "a"} {
		if got := ServerName(id); got != want {
			t.Errorf("ServerName(%q) = %q, want %q", id, got, want)
		}
	}
	for _, id := range []string{"", "a|b", "a;b", "a,b", "a b", "a\n", "\xff", "@-@1", string(make([]byte, 201))} {
		if checkInstance(id) == nil {
			t.Errorf("checkInstance(%q) = nil, want an error", id)
		}
	}
	for _, id := range []string{"10.0.0.1@-@42", "fe80::1@-@7", "节点-1"} {
		if err := checkInstance(id); err != nil {
			t.Errorf("checkInstance(%q) = %v, want nil", id, err)
		}
	}
	for name, want := range map[string]bool{"a.B_9-": true, "": false, "a/b": false, "é": false, string(make([]byte, 101)): false} {
		if got := checkName(name) == nil; got != want {
			t.Errorf("checkName(%q) ok = %v, want %v", name, got, want)
		}
	}
}

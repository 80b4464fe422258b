package registry

import (
	"fmt"
	"iter"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// MaxItems is the largest number of sharding items of a job.
const MaxItems = 10_000

// maxItemsText bounds what ParseItems reads: every other item, with commas.
const maxItemsText = 64 << 10

// Items is a set of sharding items. The zero value is the empty set. A value is
// never changed, so copies may be shared between goroutines.
type Items struct {
	spans []span // ascending, not touching
	n     int
}

type span struct{ lo, hi int }

// NewItems is the set of the given items. It panics if one is negative or not
// below MaxItems.
func NewItems(items ...int) Items {
	list := slices.Clone(items)
	slices.Sort(list)
	var s Items
	for _, i := range list {
		if i < 0 || i >= MaxItems {
			panic(fmt.Sprintf("registry: item %d is not in 0-%d", i, MaxItems-1))
		}
		if len(s.spans) == 0 || i > s.spans[len(s.spans)-1].hi {
			s.add(i, i)
		}
	}
	return s
}

// AllItems is the set of the items of a job with n of them: 0 to n-1. It panics
// if n is negative or above MaxItems.
func AllItems(n int) Items {
	if n < 0 || n > MaxItems {
		panic(fmt.Sprintf("registry: %d items, want 0-%d", n, MaxItems))
	}
	var s Items
	if n > 0 {
		s.add(0, n-1)
	}
	return s
}

// ParseItems reads what String writes: ascending items and ranges joined by
// commas, "0-3,9"; the empty text is the empty set.
func ParseItems(text string) (Items, error) {
	var s Items
	if text == "" {
		return s, nil
	}
	if len(text) > maxItemsText {
		return Items{}, fmt.Errorf("items of %d bytes are longer than %d", len(text), maxItemsText)
	}
	next := 0
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		lo, err := parseItem(first)
		if err != nil {
			return Items{}, err
		}
		hi := lo
		if isRange {
			if hi, err = parseItem(last); err != nil {
				return Items{}, err
			}
		}
		if lo < next || hi < lo {
			return Items{}, fmt.Errorf("items at %q are not ascending", part)
		}
		s.add(lo, hi)
		next = hi + 1
	}
	return s, nil
}

func parseItem(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n >= MaxItems || (len(text) > 1 && text[0] == '0') {
		return 0, fmt.Errorf("item %q is not a number in 0-%d", clip(text), MaxItems-1)
	}
	return int(n), nil
}

// add appends lo to hi, which lie above all items of s.
func (s *Items) add(lo, hi int) {
	s.n += hi - lo + 1
	if last := len(s.spans) - 1; last >= 0 && s.spans[last].hi+1 == lo {
		s.spans[last].hi = hi
		return
	}
	s.spans = append(s.spans, span{lo, hi})
}

// Len is the number of items.
func (s Items) Len() int { return s.n }

// Contains reports whether item is in the set.
func (s Items) Contains(item int) bool {
	i := sort.Search(len(s.spans), func(i int) bool { return s.spans[i].hi >= item })
	return i < len(s.spans) && s.spans[i].lo <= item
}

// All yields the items in ascending order.
func (s Items) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, r := range s.spans {
			for i := r.lo; i <= r.hi; i++ {
				if !yield(i) {
					return
				}
			}
		}
	}
}

// Slice is the items in ascending order, nil if there are none.
func (s Items) Slice() []int {
	if s.n == 0 {
		return nil
	}
	return slices.AppendSeq(make([]int, 0, s.n), s.All())
}

// Equal reports whether both sets have the same items.
func (s Items) Equal(o Items) bool { return slices.Equal(s.spans, o.spans) }

// String writes the items as ascending ranges, "0-3,9".
func (s Items) String() string {
	var b strings.Builder
	for i, r := range s.spans {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(r.lo))
		if r.hi > r.lo {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(r.hi))
		}
	}
	return b.String()
}

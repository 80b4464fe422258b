package registry

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxNumber is the largest number that Lua and a sorted set hold exactly.
const maxNumber = 1 << 53

// reply reads what a script or a key holds, strictly and in order: what Redis
// sends is not trusted. The first fault is kept; later reads give zero values.
type reply struct {
	source string
	within *reply // what this one is a value of
	values []any
	at     int
	code   Code
	err    error
}

// refusal reads the leading code and turns refusals of the call into errors.
func (r *reply) refusal() error {
	r.code = r.answer()
	if r.err != nil {
		return r.err
	}
	switch r.code {
	case codeLost:
		return ErrLeaseLost
	case codeQuarantined:
		return ErrQuarantined
	case codeNotLeader:
		return ErrNotLeader
	}
	return nil
}

func (r *reply) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("reading value %d of %s: %s", r.at, r.place(), fmt.Sprintf(format, args...))
	}
}

// place names what is read, which is a list that within is at, if there is that.
func (r *reply) place() string {
	if r.within == nil {
		return r.source
	}
	return fmt.Sprintf("value %d of %s", r.within.at, r.within.place())
}

// next is the next value; ok is false when there is none or a fault was met.
func (r *reply) next() (any, bool) {
	if r.err != nil {
		return nil, false
	}
	r.at++
	if r.at > len(r.values) {
		r.fail("there are only %d", len(r.values))
		return nil, false
	}
	return r.values[r.at-1], true
}

// more reports whether unread values are left.
func (r *reply) more() bool { return r.err == nil && r.at < len(r.values) }

// end is the first fault; values left over are one.
func (r *reply) end() error {
	if r.more() {
		r.fail("%d values too many", len(r.values)-r.at)
	}
	return r.err
}

func (r *reply) text() string {
	v, ok := r.next()
	if !ok {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		r.fail("%T instead of text", v)
	}
	return s
}

// number reads a number in 0 to 2^53, as text or integer.
func (r *reply) number() int64 {
	v, ok := r.next()
	if !ok {
		return 0
	}
	n := int64(-1)
	switch v := v.(type) {
	case int64:
		n = v
	case string:
		n = parseNumber(v)
	}
	if n < 0 || n > maxNumber {
		r.fail("%s instead of a number", describe(v))
		return 0
	}
	return n
}

func parseNumber(text string) int64 {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n > maxNumber {
		return -1
	}
	return int64(n)
}

func (r *reply) answer() Code {
	v, ok := r.next()
	if !ok {
		return CodeNone
	}
	n, ok := v.(int64)
	if !ok || n > math.MaxInt8 || n < math.MinInt8 {
		r.fail("%s instead of a code", describe(v))
		return CodeNone
	}
	return Code(n)
}

func (r *reply) flag() bool {
	switch n := r.number(); n {
	case 0, 1:
		return n == 1
	default:
		r.fail("%d instead of 0 or 1", n)
		return false
	}
}

// instant reads milliseconds since 1970; zero is the zero time.
func (r *reply) instant() time.Time { return instantOf(r.number()) }

func instantOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func (r *reply) items() Items {
	text := r.text()
	if r.err != nil {
		return Items{}
	}
	s, err := ParseItems(text)
	if err != nil {
		r.fail("%v", err)
	}
	return s
}

func (r *reply) groups() []ItemsAt {
	text := r.text()
	if r.err != nil {
		return nil
	}
	g, err := parseGroups(text)
	if err != nil {
		r.fail("%v", err)
	}
	return g
}

func (r *reply) orphans() []Orphan {
	text := r.text()
	if r.err != nil {
		return nil
	}
	o, err := parseOrphans(text)
	if err != nil {
		r.fail("%v", err)
	}
	return o
}

// list hands the next value, itself a list, to read, which must read all of it.
func (r *reply) list(read func(*reply)) {
	v, ok := r.next()
	if !ok {
		return
	}
	values, ok := v.([]any)
	if !ok {
		r.fail("%s instead of a list", describe(v))
		return
	}
	one := &reply{within: r, values: values}
	read(one)
	r.err = one.end()
}

// parseGroups reads "0-3@1795…;9@1796…": items and an instant in milliseconds.
func parseGroups(text string) ([]ItemsAt, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > 2*maxItemsText+MaxItems*20 {
		return nil, fmt.Errorf("groups of items of %d bytes", len(text))
	}
	var groups []ItemsAt
	total := 0
	for part := range strings.SplitSeq(text, ";") {
		list, at, _ := strings.Cut(part, "@")
		items, err := ParseItems(list)
		if err != nil {
			return nil, err
		}
		ms := parseNumber(at)
		if ms < 0 {
			return nil, fmt.Errorf("instant %q is not a number", clip(at))
		}
		if total += items.Len(); items.Len() == 0 || total > MaxItems {
			return nil, fmt.Errorf("group %q brings the items to %d", clip(part), total)
		}
		groups = append(groups, ItemsAt{Items: items, At: instantOf(ms)})
	}
	return groups, nil
}

// parseOrphans reads "0-3|node;9|node": items and the instance that died.
func parseOrphans(text string) ([]Orphan, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxItemsText+MaxItems*(maxInstance+2) {
		return nil, fmt.Errorf("orphans of %d bytes", len(text))
	}
	var orphans []Orphan
	total := 0
	for part := range strings.SplitSeq(text, ";") {
		list, former, _ := strings.Cut(part, "|")
		items, err := ParseItems(list)
		if err != nil {
			return nil, err
		}
		if err := checkInstance(former); err != nil {
			return nil, err
		}
		if total += items.Len(); items.Len() == 0 || total > MaxItems {
			return nil, fmt.Errorf("orphans %q bring the items to %d", clip(part), total)
		}
		orphans = append(orphans, Orphan{Former: former, Items: items})
	}
	return orphans, nil
}

func describe(v any) string {
	if s, ok := v.(string); ok {
		return strconv.Quote(clip(s))
	}
	if n, ok := v.(int64); ok {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%T", v)
}

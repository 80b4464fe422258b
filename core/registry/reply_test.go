package registry

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReplyReadsStrictly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value any
		read  func(*reply)
	}{
		"nothing":             {nil, func(r *reply) { r.text() }},
		"number as text":      {int64(1), func(r *reply) { r.text() }},
		"negative number":     {"-1", func(r *reply) { r.number() }},
		"number too large":    {"9007199254740993", func(r *reply) { r.number() }},
		"signed number":       {"+1", func(r *reply) { r.number() }},
		"number with a point": {"1.0", func(r *reply) { r.number() }},
		"text as number":      {"x", func(r *reply) { r.number() }},
		"text as code":        {"1", func(r *reply) { r.answer() }},
		"code too large":      {int64(1000), func(r *reply) { r.answer() }},
		"flag of two":         {"2", func(r *reply) { r.flag() }},
		"items":               {"3-1", func(r *reply) { r.items() }},
		"group without time":  {"3", func(r *reply) { r.groups() }},
		"group without items": {"@3", func(r *reply) { r.groups() }},
		"orphans of nobody":   {"3", func(r *reply) { r.orphans() }},
		"orphans without":     {"|a", func(r *reply) { r.orphans() }},
		"text as list":        {"x", func(r *reply) { r.list(func(*reply) {}) }},
		"list too long":       {[]any{"x"}, func(r *reply) { r.list(func(*reply) {}) }},
		"unread value":        {"x", func(*reply) {}},
	} {
		r := &reply{source: "script test", values: []any{c.value}}
		c.read(r)
		if err := r.end(); err == nil || !strings.Contains(err.Error(), "script test") {
			t.Errorf("%s: end() = %v, want an error naming the script", name, err)
		}
	}
	r := &reply{source: "script test"}
	if r.number(); r.end() == nil {
		t.Error("reading past the end = nil, want an error")
	}
}

func FuzzParseGroups(f *testing.F) {
	for _, text := range []string{"", "0-3@7", "0-3@7;9@8", "0-9999@1;0@2", "@", "0@-1", ";"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		groups, err := parseGroups(text)
		if err != nil {
			return
		}
		total := 0
		var parts []string
		for _, g := range groups {
			total += g.Items.Len()
			at := "0"
			if !g.At.IsZero() {
				at = millis(g.At)
			}
			parts = append(parts, g.Items.String()+"@"+at)
		}
		again, err := parseGroups(strings.Join(parts, ";"))
		if diff := cmp.Diff(groups, again); err != nil || diff != "" || total > MaxItems {
			t.Errorf("parseGroups(%q) of %d items, written and read (-first +second), %v:\n%s", text, total, err, diff)
		}
		if got := union(groups); got.Len() > total {
			t.Errorf("union of %q = %d items, want at most %d", text, got.Len(), total)
		}
	})
}

func FuzzParseOrphans(f *testing.F) {
	for _, text := range []string{"", "0-3|a", "0-3|a@-@1;9|b", "|a", "0|", "0-3|a;0-9|b,c"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		orphans, err := parseOrphans(text)
		if err != nil {
			return
		}
		var parts []string
		for _, o := range orphans {
			parts = append(parts, o.Items.String()+"|"+o.Former)
		}
		again, err := parseOrphans(strings.Join(parts, ";"))
		if diff := cmp.Diff(orphans, again); err != nil || diff != "" {
			t.Errorf("parseOrphans(%q), written and read (-first +second), %v:\n%s", text, err, diff)
		}
	})
}

// FuzzReply reads arbitrary values as replies of begin: it must not panic, and
// what it accepts is consistent.
func FuzzReply(f *testing.F) {
	f.Add(int64(1), "1795248000000123", "0-3", "", "4@1795248000000", "1795248001000")
	f.Add(int64(0), "0", "", "2", "", "1795248001000")
	f.Add(int64(-2), "17", "", "", "", "")
	f.Add(int64(7), "x", "9-", "-", "@", "")
	f.Fuzz(func(t *testing.T, code int64, fence, items, held, coalesced, instant string) {
		full := &reply{source: "script begin", values: []any{code, fence, items, held, coalesced, instant}}
		b := readBegin(full, KindNormal)
		if err := full.end(); err == nil && (b.Code == CodeOK) != (b.Items.Len() > 0) {
			t.Errorf("readBegin = %s with items %q", b.Code, b.Items)
		}
		short := &reply{source: "script begin", values: []any{code, fence}}
		readBegin(short, KindOneOff)
		if _, err := parseDead(fence + ":" + items); err != nil && parseNumber(items) >= 0 && checkInstance(fence) == nil {
			t.Errorf("parseDead(%q) = %v", fence+":"+items, err)
		}
	})
}

// FuzzClaim reads arbitrary values as replies of claim: none may panic, and what is
// accepted is consistent.
func FuzzClaim(f *testing.F) {
	f.Add(int64(1), "1795248000000123", "0-3", "", "1-2|node;3|b", "1", "cGFnZSA3")
	f.Add(int64(1), "7", "9", "018f0000-0000-7000-8000-000000000001", "", "9", "")
	f.Add(int64(0), "1", "", "", "", "", "=")
	f.Add(int64(3), "x", "9-", "-", "|", "2", "A")
	f.Fuzz(func(t *testing.T, code int64, fence, items, id, former, saved, data string) {
		r := &reply{source: "script claim", values: []any{code, fence, items, "1795248000000", id, "1", data, former, int64(1), saved, data}}
		c := readClaim(r)
		if r.end() != nil || c.Code != CodeOK {
			return
		}
		if c.Items.Len() == 0 || c.Fence <= 0 || c.Trigger != "" && checkTrigger(c.Trigger) != nil {
			t.Errorf("readClaim = %+v", c)
		}
		for item, data := range c.Checkpoints {
			if !c.Items.Contains(item) || len(data) > MaxCheckpoint {
				t.Errorf("readClaim = %+v with %d bytes for item %d", c, len(data), item)
			}
		}
	})
}

// FuzzSessionReplies reads arbitrary values as replies of the scripts that keep
// sessions and assignments: none may panic, and what is accepted is consistent.
func FuzzSessionReplies(f *testing.F) {
	f.Add("1795248000000", "1795248000000123", "0", "inc", int64(1), "7", "0")
	f.Add("1795248000000", "1", "1795248000000", "", int64(0), "0", "1795248000000")
	f.Add("a:7", "0-3", "x", "mark-count", int64(2), "1", "")
	f.Add("16", "0", ":", "a:", int64(-2), "a:x", "0-")
	f.Fuzz(func(t *testing.T, a, b, c, d string, n int64, e, g string) {
		renewal := &reply{source: "script renew", values: []any{a, b, c, d, n, e, g}}
		if got := readRenewal(renewal); renewal.end() == nil && got.Leader && got.Term == 0 {
			t.Errorf("readRenewal = %+v, which leads in no term", got)
		}
		reaped := &reply{source: "script reap", values: []any{n, a, d, e}}
		if got := readReaped(reaped); reaped.end() == nil && (len(got.Dead) != 2 || checkInstance(got.Dead[0].Instance) != nil) {
			t.Errorf("readReaped = %+v of two sessions", got)
		}
		repair := &reply{source: "script reconcile", values: []any{a, d, n}}
		if got := readRepair(repair); repair.end() == nil && got.Count <= 0 {
			t.Errorf("readRepair = %+v", got)
		}
		commit := &reply{source: "script commit", values: []any{n, a, b, c}}
		if got := readCommit(commit, "j"); commit.end() == nil && got.Dropped.Len() > MaxItems {
			t.Errorf("readCommit = %+v", got)
		}
	})
}

// FuzzTrigger reads arbitrary text as a stored trigger and as its answer: none may
// panic, and what is accepted is consistent.
func FuzzTrigger(f *testing.F) {
	f.Add("1795248000000|0|Q|ops|0-3|4@running@;5@queued@018f0000-0000-7000-8000-000000000001|3|0-1@S;2@F|1|a|b\nc")
	f.Add("1795248000000|1795248000001|R|ops|0||||0|")
	f.Add("x|0|Q|ops|0-3|4@running|3|0@X|2|")
	f.Add("|||||||||")
	f.Fuzz(func(t *testing.T, text string) {
		state, err := parseTrigger(text)
		if err == nil && state.Accepted.Len() > MaxItems {
			t.Errorf("parseTrigger(%q) accepts %d items", text, state.Accepted.Len())
		}
		r := &reply{source: "script trigger", code: CodeOK, values: []any{"1", "0", text, int64(1)}}
		if got, err := readTriggerReply(r, TriggerRequest{}); err == nil && r.end() == nil {
			for _, refusal := range got.Refused {
				if refusal.Trigger != "" && checkTrigger(refusal.Trigger) != nil {
					t.Errorf("readTriggerReply(%q) refuses for %q", text, refusal.Trigger)
				}
			}
		}
		lost := &reply{source: "script drain", values: []any{text}}
		for _, run := range lost.lostRuns() {
			if run.Items.Len() > MaxItems {
				t.Errorf("lostRuns(%q) has %d items", text, run.Items.Len())
			}
		}
	})
}

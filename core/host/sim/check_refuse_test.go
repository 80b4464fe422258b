package sim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// calmHistory is of a job of one item that fires every ten seconds on one node, at 10
// and 20 seconds, under the tokens 1 and 2.
func calmHistory() *history {
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	h := &history{
		begin: begin, periods: map[string]time.Duration{"job": 10 * time.Second}, loose: map[string]bool{}, pauses: map[string][]span{},
		concluded: 40 * time.Second, up: []string{"a"},
		state: map[string]jobState{"job": {total: 1, owned: map[string]string{"a": "0@0"}}},
		leases: []lease{
			{at: time.Second, until: 26 * time.Second, node: "a", epoch: "7"},
			{at: 20 * time.Second, until: 45 * time.Second, node: "a", epoch: "7"},
		},
		spreads: []spread{{at: 2 * time.Second, job: "job", gen: "1", total: 1, owned: map[string]string{"a": "0@0"}}},
	}
	for i := range 2 {
		at := time.Duration(i+1) * 10 * time.Second
		fence := int64(i + 1)
		h.grants = append(h.grants, grant{
			at: at, node: "a", epoch: "7", job: "job", kind: "N", gen: "1", code: registry.CodeOK, fence: fence,
			instant: begin.Add(at).UnixMilli(), items: registry.NewItems(0), hasEpoch: "7", lease: time.Second, hasGen: "1",
		})
		h.runs = append(h.runs, &run{
			place: place{"job", 0}, node: "a", id: registry.FormatRunID(begin.Add(at)), source: spi.SourceNormal, attempt: 1, token: fence,
			from: at, to: at + 5*time.Second,
		})
		h.effects = append(h.effects, &effect{
			place: place{"job", 0}, node: "a", run: registry.FormatRunID(begin.Add(at)) + ".1", token: fence,
			sent: at + time.Second, at: at + 2*time.Second, back: at + 3*time.Second, accept: true,
		})
	}
	return h
}

func TestACalmHistoryIsAccepted(t *testing.T) {
	t.Parallel()
	for _, v := range check(calmHistory()) {
		t.Error(v)
	}
}

// TestEveryInvariantRefusesAHistory does one thing to a history that must not happen.
func TestEveryInvariantRefusesAHistory(t *testing.T) {
	t.Parallel()
	refuse(t, calmHistory, []refusal{
		{"a run that goes on over the next", "I1 ", func(h *history) { h.runs[0].to = 21 * time.Second }},
		{"a run after a pause within the lease", "I1 ", func(h *history) {
			h.runs[0].to = 21 * time.Second
			h.pauses["a"] = []span{{11 * time.Second, 12 * time.Second}}
		}},
		{"an old token is accepted", "I2 what", func(h *history) { h.effects[1].token = 0 }},
		{"another run writes with the same token", "I2 what", func(h *history) { h.effects[1].token = 1 }},
		{"a write that was refused for no reason", "I2 the resource", func(h *history) { h.effects[1].accept = false }},
		{"a token that does not rise", "I3 ", func(h *history) { h.grants[1].fence = 1 }},
		{"a run without its begin", "I3 ", func(h *history) { h.grants = h.grants[1:] }},
		{"a run of an item that was not given", "I3 ", func(h *history) { h.grants[0].items = registry.NewItems(1) }},
		{"an instant without verdict", "I4 ", func(h *history) {
			h.grants, h.runs, h.effects = h.grants[1:], h.runs[1:], h.effects[1:]
		}},
		{"an instant that starts twice", "I4 ", func(h *history) {
			h.runs[1].id = h.runs[0].id
			h.missed = append(h.missed, missed{"a", 0, execution.ItemMisfired{Job: "job", From: h.begin.Add(20 * time.Second), To: h.begin.Add(20 * time.Second)}})
		}},
		{"a trigger that starts twice", "I4 ", func(h *history) {
			for _, r := range h.runs {
				r.id = "0000-1"
			}
		}},
		{"an item of a dead node that nobody takes over", "I5 ", func(h *history) {
			h.orphans = []orphan{{30 * time.Second, place{"job", 0}, 9, h.runs[1].id}}
		}},
		{"an item that two take over", "I5 ", func(h *history) {
			h.orphans = []orphan{{21 * time.Second, place{"job", 0}, 9, h.runs[1].id}}
			for i := range 2 {
				g := h.grants[1]
				g.kind, g.at, g.fence = "F", time.Duration(30+i)*time.Second, int64(10+i)
				h.grants = append(h.grants, g)
			}
		}},
		{"an item that has ended waits for a failover", "I5 ", func(h *history) {
			h.ends = []end{{26 * time.Second, "a", "job", 2, registry.NewItems(0), "S"}}
			h.orphans = []orphan{{30 * time.Second, place{"job", 0}, 2, h.runs[1].id}}
		}},
		{"an item that nobody has", "I6 ", func(h *history) { h.spreads[0].owned = nil }},
		{"an item that two have", "I6 ", func(h *history) { h.spreads[0].owned["b"] = "0@0" }},
		{"an item that is none", "I6 ", func(h *history) { h.spreads[0].owned["b"] = "1@0" }},
		{"a begin under an old session", "I7 ", func(h *history) { h.grants[1].hasEpoch = "8" }},
		{"a begin after the lease", "I7 ", func(h *history) { h.grants[1].lease = -1 }},
		{"a begin under an old generation", "I7 ", func(h *history) { h.grants[1].hasGen = "2" }},
		{"an item of a dead node in the end", "I8 ", func(h *history) { h.up = []string{"b"} }},
		{"a mark of a dead node in the end", "I8 ", func(h *history) {
			s := h.state["job"]
			s.marks = map[string]string{"b": "1|7|1|N|1|r|0"}
			h.state["job"] = s
		}},
		{"an item that waits for a failover in the end", "I8 ", func(h *history) {
			s := h.state["job"]
			s.failed = map[string]string{"0": "1|N|1|b|7"}
			h.state["job"] = s
		}},
		{"a repair of what nothing has broken", "I8 ", func(h *history) { h.repairs = []string{"mark-count"} }},
		{"an item that runs no more", "I8 ", func(h *history) { h.concluded = 2 * time.Minute }},
		{"a run that goes on after its lease", "I9 nothing", func(h *history) { h.runs[1].to = 46 * time.Second }},
		{"a run after a pause beyond the lease", "I9 nothing", func(h *history) {
			h.runs[1].to = 53 * time.Second
			h.pauses["a"] = []span{{22 * time.Second, 50 * time.Second}}
		}},
		{"an eviction within a lease", "I9 no session", func(h *history) { h.evicted = []evicted{{44 * time.Second, "a", "7"}} }},
		{"a begin in a quarantine", "I10 ", func(h *history) { h.switches = []change{{8 * time.Second, 9 * time.Second}} }},
		{"an assignment in a quarantine", "I10 ", func(h *history) { h.switches = []change{{time.Second, time.Second}} }},
	})
}

// refusal is something that must not happen, done to a history.
type refusal struct {
	name string
	want string // the begin of the invariant's name
	do   func(h *history)
}

// refuse does each to a history of its own, which must then be refused.
func refuse(t *testing.T, tell func() *history, tests []refusal) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := tell()
			tt.do(h)
			violations := check(h)
			if !slices.ContainsFunc(violations, func(v violation) bool { return strings.HasPrefix(v.invariant, tt.want) }) {
				t.Errorf("check() = %v, want a violation of %s", violations, tt.want)
			}
		})
	}
}

// TestWhatTheServerHasForgottenMayStartAgain takes the begin of a run away, which its
// node can mark again as long as it renews its lease.
func TestWhatTheServerHasForgottenMayStartAgain(t *testing.T) {
	t.Parallel()
	const s = time.Second
	tests := []struct {
		name  string
		ends  time.Duration
		pause span
		want  bool
	}{
		{"the run ends soon", 15 * s, span{}, true},
		{"the run goes on", 30 * s, span{}, false},
		{"the run has no end", 0, span{}, false},
		{"its node stands still for a while", 30 * s, span{12 * s, 14 * s}, false},
		{"its node stands still beyond its lease", 30 * s, span{12 * s, 26 * s}, true},
		{"its node stands still when it should have marked it", 30 * s, span{18 * s, 26 * s}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := calmHistory()
			h.switches = []change{{9 * s, 11 * s}}
			h.leases = h.leases[:1]
			h.pauses["a"] = []span{tt.pause}
			first := h.runs[0]
			first.to = tt.ends
			second := *first
			second.from = 20 * s
			if got := h.mayDouble(first, &second); got != tt.want {
				t.Errorf("mayDouble() = %v, want %v", got, tt.want)
			}
		})
	}
}

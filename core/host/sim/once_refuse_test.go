package sim_test

import (
	"slices"
	"testing"
	"time"
)

// heardHistory is that of calmHistory, with a listener that is called once for each run.
func heardHistory() *history {
	h := calmHistory()
	h.witnessed, h.concluded = "job", 40*time.Second
	h.leases[1].until = 110 * time.Second
	for _, r := range h.runs {
		h.heard = append(h.heard,
			&heard{"a", r.id, false, r.from - 100*time.Millisecond, r.from}, &heard{"a", r.id, true, r.to, r.to + 100*time.Millisecond})
	}
	return h
}

func TestAHeardHistoryIsAccepted(t *testing.T) {
	t.Parallel()
	for _, v := range check(heardHistory()) {
		t.Error(v)
	}
}

func TestInvariantsOfTheListenerRefuseAHistory(t *testing.T) {
	t.Parallel()
	refuse(t, heardHistory, []refusal{
		{"a call before a run, twice", "I14 ", func(h *history) {
			again := *h.heard[0]
			again.node, again.from = "b", again.from+time.Second
			h.heard = append(h.heard, &again)
		}},
		{"a call after a run, twice", "I14 ", func(h *history) { h.heard = append(h.heard, new(*h.heard[1])) }},
		{"an item that begins before the call has ended", "I15 ", func(h *history) { h.heard[0].to += time.Second }},
		{"an item that runs when the listener is told of the end", "I15 ", func(h *history) { h.heard[1].from -= time.Second }},
		{"a run without a call before it", "I16 ", func(h *history) { h.heard = slices.Delete(h.heard, 0, 1) }},
		{"a run without a call after it", "I16 ", func(h *history) { h.heard = slices.Delete(h.heard, 1, 2) }},
	})
}

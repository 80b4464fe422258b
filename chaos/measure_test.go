//go:build unix

package chaos_test

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// measure is what a round has to show.
func measure(h *history) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "\n  "+format, args...) }
	kinds := map[kind]int{}
	for _, i := range h.ills {
		kinds[i.kind]++
	}
	counts := make([]string, 0, len(kinds))
	for k, n := range kinds {
		counts = append(counts, fmt.Sprintf("%d %s", n, k))
	}
	slices.Sort(counts)
	line("faults: %d (%s)", len(h.ills), strings.Join(counts, ", "))
	lost := 0
	for _, at := range h.losses {
		lost += len(at)
	}
	line("sessions lost: %d, nodes: %d", lost, len(h.nodes))
	refused := 0
	for _, s := range h.effects {
		if !s.accepted {
			refused++
		}
	}
	line("executions: %d; effects: %d, of them refused: %d", len(h.executions), len(h.effects), refused)
	for _, spec := range h.specs {
		var v verdict
		for _, instants := range h.ledger(spec) {
			for _, one := range instants {
				v.started, v.missed, v.lost, v.failedOver = v.started+one.started, v.missed+one.missed, v.lost+one.lost, v.failedOver+one.failedOver
			}
		}
		line("%s: %d started, %d missed, %d lost, %d failed over, %d without a verdict, which died with a node or are not monitored",
			spec.name, v.started, v.missed, v.lost, v.failedOver, len(h.undecided(spec)))
	}
	line("overlaps: %d, of items without marks: %d; run twice: %d", len(overlaps(h)), len(h.overlapsOf(false)), len(twice(h)))
	line("from kill -9 to the taker's start: %s", spread(h.failovers()))
	line("from SIGTERM to the adoption of an item by another: %s", spread(h.handovers()))
	if *calm {
		line("from kill -9 to the first start of an item by its new owner: %s", spread(h.moves(func(p *process) time.Time { return p.killed })))
		line("from SIGTERM to the first start of an item by its new owner: %s", spread(h.moves(func(p *process) time.Time { return p.left })))
		line("from a registration to the node's first start: %s", spread(h.arrivals()))
	}
	return b.String()
}

// failovers are the times from a kill to the begin of the taker's execution.
func (h *history) failovers() (all []time.Duration) {
	for _, executions := range h.byRun() {
		for i := 1; i < len(executions); i++ {
			if before := executions[i-1]; before.cause == "" && !before.node.killed.IsZero() {
				all = append(all, executions[i].from.Sub(before.node.killed))
			}
		}
	}
	return all
}

// handovers are the times from the signal to stop, for each of the node's items, to
// the first later adoption of the item by another node.
func (h *history) handovers() (all []time.Duration) {
	for _, p := range h.nodes {
		if p.left.IsZero() || p.left.After(h.quiet) {
			continue
		}
		for _, spec := range h.specs {
			var owned []int
			for _, r := range h.records {
				if r.node == p && r.Msg == "items assigned" && r.Job == spec.name && r.Time.Before(p.left) {
					owned = itemsOf(r.Items)
				}
			}
			for _, item := range owned {
				for _, r := range h.records {
					if r.node != p && r.Msg == "items assigned" && r.Job == spec.name && r.Time.After(p.left) && slices.Contains(itemsOf(r.Items), item) {
						all = append(all, r.Time.Sub(p.left))
						break
					}
				}
			}
		}
	}
	return all
}

// moves are, for each item of the brisk job whose node something was done to at a time,
// how long after it another node first started the item.
func (h *history) moves(since func(*process) time.Time) (all []time.Duration) {
	for at, executions := range h.byPlace() {
		if at.job != brisk {
			continue
		}
		for i := 1; i < len(executions); i++ {
			before, e := executions[i-1], executions[i]
			if when := since(before.node); e.node != before.node && !when.IsZero() && when.Before(e.from) && when.Before(h.quiet) {
				all = append(all, e.from.Sub(when))
			}
		}
	}
	return all
}

// arrivals are, for each node that joined those of the beginning, the times from its
// registration to its first start.
func (h *history) arrivals() (all []time.Duration) {
	for _, p := range h.nodes[min(spare, len(h.nodes)):] {
		registered := slices.IndexFunc(h.records, func(r record) bool { return r.node == p && r.Msg == "session registered" })
		first := slices.IndexFunc(h.executions, func(e *execution) bool { return e.node == p && e.job == brisk })
		if registered >= 0 && first >= 0 {
			all = append(all, h.executions[first].from.Sub(h.records[registered].Time))
		}
	}
	return all
}

// spread is what there is to say of some times.
func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	slices.Sort(all)
	at := func(percent int) time.Duration { return all[(len(all)-1)*percent/100].Round(time.Millisecond) }
	return fmt.Sprintf("%d, p50 %v, p99 %v, longest %v", len(all), at(50), at(99), at(100))
}

//go:build unix

package chaos_test

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// check returns all that a history violates, at most some of each kind.
func check(h *history) []string {
	var all []string
	for _, rule := range []struct {
		name  string
		check func(*history) []string
	}{
		{"the resource accepts no older token", tokens},
		{"executions of an item do not overlap", overlaps},
		{"tokens rise with the executions", begins},
		{"nothing is run twice but what was cut short", twice},
		{"what was cut short is run again", unended},
		{"every instant has a verdict", verdicts},
		{"what follows a run begins after its end", early},
		{"what follows a run begins or is skipped", unfollowed},
		{"what follows a run begins if that has ended as it demands", astray},
	} {
		found := rule.check(h)
		const most = 8
		for _, text := range found[:min(len(found), most)] {
			all = append(all, rule.name+": "+text)
		}
		if over := len(found) - most; over > 0 {
			all = append(all, fmt.Sprintf("%s: and %d more", rule.name, over))
		}
	}
	return all
}

// tokens finds accepted effects of an item with lower tokens than one before, and
// refused ones that are not.
func tokens(h *history) (wrong []string) {
	last := map[place]seen{}
	for _, s := range h.effects {
		at := place{s.Job, s.Item}
		if before := last[at]; s.accepted != (s.Fence >= before.Fence) {
			wrong = append(wrong, fmt.Sprintf("%s: %+v after %+v", at, s, before))
		}
		if s.accepted {
			last[at] = s
		}
	}
	return wrong
}

// overlaps finds items of jobs with marks that ran in two places at once.
func overlaps(h *history) []string { return h.overlapsOf(true) }

// overlapsOf finds items that ran in two places at once. Without marks nobody knows
// that an item still runs where it was before it moved.
func (h *history) overlapsOf(isMonitored bool) (wrong []string) {
	for at, executions := range h.byPlace() {
		if h.spec(at.job).monitored != isMonitored {
			continue
		}
		var last *execution
		for _, e := range executions {
			if last != nil && h.actsUntil(last).After(e.from) {
				wrong = append(wrong, fmt.Sprintf("%s while %s", e, last))
			}
			if last == nil || h.actsUntil(e).After(h.actsUntil(last)) {
				last = e
			}
		}
	}
	return wrong
}

// begins finds executions whose token is not higher than that of the one before.
// Without marks it is that of the assignment, and a node that was away makes up under
// an old one for what came due before the item moved.
func begins(h *history) (wrong []string) {
	for at, executions := range h.byPlace() {
		for i := 1; i < len(executions) && h.spec(at.job).monitored; i++ {
			if before, e := executions[i-1], executions[i]; e.fence <= before.fence {
				wrong = append(wrong, fmt.Sprintf("%s after %s", e, before))
			}
		}
	}
	return wrong
}

// Within reportTime a node surely reports the end of an item, unless something is
// in its way, or was: a call that waits for its time-out holds up those after it for
// stuckTime.
const (
	reportTime = 2 * time.Second
	stuckTime  = 6 * time.Second
)

// isHampered says that a node may have been unable to reach Redis in a span.
func (h *history) isHampered(p *process, s span) bool {
	for _, i := range h.ills {
		isTold := i.slot == noSlot || strings.HasPrefix(p.name, fmt.Sprintf("%d-", i.slot))
		if isTold && i.kind != kill && i.kind != roll && i.kind != join && s.overlaps(span{i.from, i.to.Add(stuckTime)}) {
			return true
		}
	}
	return false
}

// isForgotten says that Redis has lost what it was told in a part of a span, and the
// marks of what ran then.
func (h *history) isForgotten(s span) bool {
	return slices.ContainsFunc(h.ills, func(i ill) bool {
		return i.kind == promote && s.overlaps(span{i.from, i.to.Add(2 * *sessionTimeout)})
	})
}

// twice finds runs of an item that were begun again without need: after an end that
// Redis knew, or without failover.
func twice(h *history) (wrong []string) {
	by := h.byRun()
	for _, r := range sortedRuns(by) {
		executions := by[r]
		spec := h.spec(r.job)
		for i := 1; i < len(executions); i++ {
			before, e := executions[i-1], executions[i]
			if h.isForgotten(span{before.from, e.from}) {
				continue
			}
			if !spec.failover {
				// What an unmonitored job started after its node's last renewal nobody knows.
				if spec.monitored || h.sessionEnd(before.node, before.from).IsZero() {
					wrong = append(wrong, fmt.Sprintf("%s after %s", e, before))
				}
				continue
			}
			// A node that is cut off finds out later than the others, or not at all if
			// it stops meanwhile.
			end, isHampered := h.sessionEnd(before.node, before.from), h.isHampered(before.node, span{before.from, e.from})
			if end.IsZero() && isHampered {
				end = before.node.left
			}
			switch {
			case e.source != "FAILOVER", end.IsZero(), end.After(e.from) && !isHampered:
				wrong = append(wrong, fmt.Sprintf("%s after %s, whose session ended at %s", e, before, clock(end)))
			case !before.isCut() && end.Sub(before.to) > reportTime && !h.isHampered(before.node, span{before.to, end}):
				wrong = append(wrong, fmt.Sprintf("%s after %s, which was reported before the session ended at %s", e, before, clock(end)))
			}
		}
	}
	return wrong
}

// unfinished are executions with failover that were cut short and have not been run
// again.
func unfinished(h *history) (cut []*execution) {
	by := h.byRun()
	for _, r := range sortedRuns(by) {
		executions := by[r]
		if last := executions[len(executions)-1]; h.spec(r.job).failover && last.isCut() && !h.isForgotten(span{last.from, last.to}) {
			cut = append(cut, last)
		}
	}
	return cut
}

func unended(h *history) (wrong []string) {
	for _, e := range unfinished(h) {
		wrong = append(wrong, e.String())
	}
	return wrong
}

// verdict is what the logs say of an instant of an item.
type verdict struct{ started, missed, lost, failedOver int }

// ledger is what became of the instants of a job's items.
func (h *history) ledger(spec jobSpec) map[int]map[time.Time]*verdict {
	l := make(map[int]map[time.Time]*verdict)
	at := func(item int, instant time.Time) *verdict {
		if l[item] == nil {
			l[item] = make(map[time.Time]*verdict)
		}
		if l[item][instant.UTC()] == nil {
			l[item][instant.UTC()] = &verdict{}
		}
		return l[item][instant.UTC()]
	}
	for _, r := range h.records {
		if r.Job != spec.name {
			continue
		}
		switch r.Msg {
		case "item started":
			at(r.Item, instantOf(r.Run)).started++
		case "item lost":
			at(r.Item, instantOf(r.Run)).lost++
		case "item coalesced", "item skipped":
			at(r.Item, instantOf(r.Run)).missed++
		case "item failed over":
			at(r.Item, instantOf(r.Run)).failedOver++
		case "item misfired":
			from, errFrom := time.Parse(time.RFC3339Nano, r.From)
			to, errTo := time.Parse(time.RFC3339Nano, r.To)
			if errFrom != nil || errTo != nil {
				continue
			}
			for instant := from; !instant.After(to); instant = instant.Add(spec.every) {
				at(r.Item, instant).missed++
			}
		}
	}
	return l
}

// firstAssigned is when each item of a job was first somebody's.
func (h *history) firstAssigned(job string) map[int]time.Time {
	first := map[int]time.Time{}
	for _, r := range h.records {
		if r.Msg != "items assigned" || r.Job != job {
			continue
		}
		for _, item := range itemsOf(r.Items) {
			if at, known := first[item]; !known || r.Time.Before(at) {
				first[item] = r.Time
			}
		}
	}
	return first
}

// undecided are the instants of a job, up to the last fault, of which no log says
// what became of them.
func (h *history) undecided(spec jobSpec) (all []moment) {
	l := h.ledger(spec)
	first := h.firstAssigned(spec.name)
	for item := range spec.items {
		began, known := first[item]
		if !known || spec.every == 0 {
			continue
		}
		for at := began.UTC().Truncate(spec.every).Add(spec.every); at.Before(h.quiet); at = at.Add(spec.every) {
			if l[item][at] == nil {
				all = append(all, moment{place{spec.name, item}, at})
			}
		}
	}
	return all
}

// moment is an instant of an item.
type moment struct {
	place
	at time.Time
}

// verdicts finds instants of which no log says what became of them, but for those
// that a node took with it. Without marks nobody knows what a dead node had to do
// since its last renewal.
func verdicts(h *history) (wrong []string) {
	for _, spec := range h.specs {
		if !spec.monitored {
			continue
		}
		for _, m := range h.undecided(spec) {
			if !h.isTaken(m) && !h.isForgotten(span{m.at, m.at.Add(time.Second)}) {
				wrong = append(wrong, fmt.Sprintf("%s at %s", m.place, clock(m.at)))
			}
		}
	}
	return wrong
}

// isTaken says that a node which was killed may have known what became of an
// instant, and not yet logged it.
func (h *history) isTaken(m moment) bool {
	return slices.ContainsFunc(h.nodes, func(p *process) bool {
		return !p.killed.IsZero() && m.at.Before(p.killed) && p.killed.Sub(m.at) < unloggedTime
	})
}

// unloggedTime is how long after an instant a node may be killed before it has
// logged what it knows of it.
const unloggedTime = 500 * time.Millisecond

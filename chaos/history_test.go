//go:build unix

package chaos_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// place is an item of a job.
type place struct {
	job  string
	item int
}

func (p place) String() string { return fmt.Sprintf("%s/%d", p.job, p.item) }

// execution is one run of the code of an item.
type execution struct {
	place
	node   *process
	run    string
	source string
	fence  int64
	from   time.Time
	// to is when it ended, with its node if need be; zero while it runs.
	to time.Time
	// cause is how it ended, "" when it had no end of its own.
	cause cause
}

func (e *execution) String() string {
	if e == nil {
		return "nothing"
	}
	end := "runs"
	switch {
	case e.cause != "":
		end = "to " + clock(e.to) + " (" + string(e.cause) + ")"
	case !e.to.IsZero():
		end = "to " + clock(e.to) + " (killed)"
	}
	return fmt.Sprintf("%s run %s (%s) on %s with token %d from %s %s", e.place, e.run, e.source, e.node.name, e.fence, clock(e.from), end)
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// isCut says that it had no chance to end: its node was killed, or has lost it.
func (e *execution) isCut() bool {
	return e.cause == leaseLost || e.cause == "" && !e.to.IsZero()
}

// history is what happened in a round.
type history struct {
	specs      []jobSpec
	ills       []ill
	records    []record
	executions []*execution // by their begin
	effects    []seen
	// losses are when nodes found that their session was lost.
	losses map[*process][]time.Time
	nodes  []*process
	quiet  time.Time // since when no fault happens
}

// history gathers what the fleet has said.
func (f *fleet) history() *history {
	f.t.Helper()
	records, notes := f.book.all()
	h := &history{specs: f.specs, ills: f.ills, records: records, effects: f.resource.all(), nodes: f.all, quiet: f.quiet}
	type key struct {
		node  *process
		place place
		run   string
		fence int64
	}
	open := map[key]*execution{}
	for _, n := range notes {
		k := key{n.node, place{n.Job, n.Item}, n.Run, n.Fence}
		if !n.IsEnd {
			e := &execution{place: k.place, node: n.node, run: n.Run, source: n.Source, fence: n.Fence, from: n.At, to: n.node.killed}
			open[k] = e
			h.executions = append(h.executions, e)
			continue
		}
		e := open[k]
		if e == nil {
			f.t.Errorf("%s of %s ends on %s without a begin", k.place, k.run, n.node.name)
			continue
		}
		e.to, e.cause = n.At, n.Cause
		delete(open, k)
	}
	slices.SortStableFunc(h.executions, func(a, b *execution) int { return a.from.Compare(b.from) })
	h.losses = make(map[*process][]time.Time)
	for _, r := range records {
		if r.Msg == "session lost" {
			h.losses[r.node] = append(h.losses[r.node], r.Time)
		}
	}
	return h
}

// spec is the definition of a job.
func (h *history) spec(job string) jobSpec {
	i := slices.IndexFunc(h.specs, func(s jobSpec) bool { return s.name == job })
	return h.specs[i]
}

// byPlace groups the executions by item, in their order.
func (h *history) byPlace() map[place][]*execution {
	by := map[place][]*execution{}
	for _, e := range h.executions {
		by[e.place] = append(by[e.place], e)
	}
	return by
}

// run is a run of an item.
type run struct {
	place
	id string
}

// byRun groups the executions by run, in their order.
func (h *history) byRun() map[run][]*execution {
	by := map[run][]*execution{}
	for _, e := range h.executions {
		by[run{e.place, e.run}] = append(by[run{e.place, e.run}], e)
	}
	return by
}

// sortedRuns are the keys of byRun in a firm order.
func sortedRuns(by map[run][]*execution) []run {
	all := make([]run, 0, len(by))
	for r := range by {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b run) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.job, b.job), cmp.Compare(a.item, b.item))
	})
	return all
}

// sessionEnd is when a node's session ended at the earliest after a time, by its
// death or because it had to find it lost; zero if it did not.
func (h *history) sessionEnd(p *process, after time.Time) time.Time {
	end := p.killed
	if end.Before(after) {
		end = time.Time{}
	}
	for _, at := range h.losses[p] {
		if !at.Before(after) && (end.IsZero() || at.Before(end)) {
			end = at
		}
	}
	return end
}

// actsUntil is how long an execution does what counts. What is under way on a node
// that is stopped until its session is lost comes to the resource after that; only
// the token stops it.
func (h *history) actsUntil(e *execution) time.Time {
	to := e.to
	if to.IsZero() {
		to = time.Now()
	}
	for _, p := range e.node.pauses {
		hasLost := slices.ContainsFunc(h.losses[e.node], func(at time.Time) bool {
			return at.After(p.from) && at.Before(p.to.Add(*sessionTimeout))
		})
		if hasLost && p.from.After(e.from) && p.from.Before(to) {
			to = p.from
		}
	}
	return to
}

// runLayout is how records and notes write the instant of a run.
const runLayout = "20060102T150405.000Z"

// instantOf is the instant of a run; the zero time if it has none.
func instantOf(id string) time.Time {
	at, err := time.Parse(runLayout, id)
	if err != nil {
		return time.Time{}
	}
	return at
}

// itemsOf are the items that ranges such as "0-2,5" name.
func itemsOf(ranges string) (items []int) {
	for part := range strings.SplitSeq(ranges, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		from, err := strconv.Atoi(low)
		if err != nil {
			continue
		}
		to, err := strconv.Atoi(high)
		if err != nil {
			continue
		}
		for item := from; item <= to; item++ {
			items = append(items, item)
		}
	}
	return items
}

//go:build unix

package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// moment is an instant of an item.
type moment struct {
	item int
	at   time.Time
}

// verdicts are what all nodes together have logged of a moment.
type verdicts struct {
	started  []record
	finished []record
	missed   []record // item misfired records that have it
	lost     []record
}

func (v *verdicts) String() string {
	if v == nil {
		return "nothing"
	}
	var parts []string
	for _, r := range slices.Concat(v.started, v.finished, v.missed, v.lost) {
		part := r.Msg + " on " + r.node.name
		if detail := r.Source + r.Reason; detail != "" {
			part += " (" + detail + ")"
		}
		parts = append(parts, part+" at "+r.Time.UTC().Format("05.000"))
	}
	return strings.Join(parts, ", ")
}

// ledger is what became of the instants of a job.
type ledger map[moment]*verdicts

// ledger collects the verdicts of a job from the logs of all nodes.
func (f *fleet) ledger(job jobFile) ledger {
	f.t.Helper()
	records, _ := f.book.all()
	l := make(ledger)
	at := func(item int, instant time.Time) *verdicts {
		key := moment{item, instant.UTC()}
		if l[key] == nil {
			l[key] = &verdicts{}
		}
		return l[key]
	}
	for _, r := range records {
		if r.Job != job.name {
			continue
		}
		switch r.Msg {
		case "item started":
			v := at(r.Item, instantOf(f.t, r.Run))
			v.started = append(v.started, r)
		case "item finished":
			v := at(r.Item, instantOf(f.t, r.Run))
			v.finished = append(v.finished, r)
		case "item lost":
			v := at(r.Item, instantOf(f.t, r.Run))
			v.lost = append(v.lost, r)
		case "item misfired":
			from, to := timeOf(f.t, r.From), timeOf(f.t, r.To)
			if want := int(to.Sub(from)/job.every) + 1; r.Count != want {
				f.t.Errorf("item misfired of %s/%d from %s to %s has count %d, want %d", r.Job, r.Item, r.From, r.To, r.Count, want)
			}
			for instant := from; !instant.After(to); instant = instant.Add(job.every) {
				v := at(r.Item, instant)
				v.missed = append(v.missed, r)
			}
		}
	}
	return l
}

// span is a stretch of time, both ends included.
type span struct{ from, to time.Time }

func (s span) contains(at time.Time) bool { return !at.Before(s.from) && !at.After(s.to) }

// exceptions are the moments at which a fleet may do otherwise.
type exceptions struct {
	// missed moments may be in the record of a gap and not be caught up. Before
	// an item's first start all may: a new namespace waits for earlier holders.
	missed func(moment) bool
	// doubtful moments may have been started or recorded by one node and recorded
	// by another: the node that knew is dead.
	doubtful func(moment) bool
	// unknown moments may have no verdict.
	unknown func(moment) bool
}

func is(exception func(moment) bool, m moment) bool { return exception != nil && exception(m) }

// within is an exception for all items in a stretch of time.
func within(spans ...span) func(moment) bool {
	return func(m moment) bool {
		return slices.ContainsFunc(spans, func(s span) bool { return s.contains(m.at) })
	}
}

// maxComplaints bounds what a check says about one job.
const maxComplaints = 12

// check fails unless no moment of the job was started twice, and every instant
// of each of its items, from the item's first assignment up to the given end,
// has one verdict: it was started, or it is in one record of a gap if it may be.
// Nodes leave at the end: what falls due later may be missed.
func (f *fleet) check(job jobFile, to time.Time, except exceptions) {
	f.t.Helper()
	l := f.ledger(job)
	var complaints []string
	complain := func(m moment, want string) {
		complaints = append(complaints, fmt.Sprintf("%s item %d at %s: %s, want %s", job.name, m.item, m.at.Format("15:04:05.000"), l[m], want))
	}
	started, missed := 0, 0
	begun := make(map[int]bool)
	for _, m := range slices.SortedFunc(maps.Keys(l), compareMoments) {
		v := l[m]
		started, missed = started+len(v.started), missed+len(v.missed)
		if len(v.started) > 1 {
			complain(m, "it started once")
		}
		isCatchUp := len(v.started) == 1 && v.started[0].Source == "MISFIRE"
		begun[m.item] = begun[m.item] || len(v.started) > 0
		switch {
		case len(v.missed) > 1 && !is(except.doubtful, m):
			complain(m, "it in one record of a gap")
		case len(v.missed) > 0 && begun[m.item] && !isCatchUp && !is(except.missed, m) && !m.at.After(to):
			complain(m, "it not missed")
		}
		if len(v.started) > 0 && len(v.missed) > 0 && !isCatchUp && !is(except.doubtful, m) {
			complain(m, "it either started or missed")
		}
	}
	for item, first := range f.firstAssigned(job) {
		for at := first.Truncate(job.every).Add(job.every).UTC(); !at.After(to); at = at.Add(job.every) {
			m := moment{item, at}
			v := l[m]
			isDecided := v != nil && len(v.started)+len(v.missed)+len(v.lost) > 0
			if !isDecided && !is(except.unknown, m) {
				complain(m, "a verdict")
			}
		}
	}
	if started == 0 {
		f.t.Errorf("%s never started, want it checked with firings", job.name)
	}
	if n := len(complaints); n > 0 {
		f.t.Errorf("%d wrong moments of %s:\n%s", n, job.name, strings.Join(complaints[:min(n, maxComplaints)], "\n"))
	}
	f.t.Logf("%s: %d moments, %d started, %d missed", job.name, len(l), started, missed)
}

func compareMoments(a, b moment) int {
	if c := a.at.Compare(b.at); c != 0 {
		return c
	}
	return a.item - b.item
}

// firstAssigned is when each item of a job was first somebody's.
func (f *fleet) firstAssigned(job jobFile) map[int]time.Time {
	f.t.Helper()
	records, _ := f.book.all()
	first := make(map[int]time.Time)
	for _, r := range records {
		if r.Msg != "items assigned" || r.Job != job.name {
			continue
		}
		for _, item := range itemsOf(f.t, r.Items) {
			if at, known := first[item]; !known || r.Time.Before(at) {
				first[item] = r.Time
			}
		}
	}
	return first
}

// checkNoOverlap fails if an item of the job ran in two places at once. An
// execution whose node was killed ends with it.
func (f *fleet) checkNoOverlap(job jobFile) {
	f.t.Helper()
	type execution struct {
		run      record
		from, to time.Time
	}
	byItem := make(map[int][]execution)
	for m, v := range f.ledger(job) {
		for _, s := range v.started {
			e := execution{run: s, from: s.Time, to: s.Time}
			for _, r := range v.finished {
				if r.node == s.node {
					e.to = r.Time
				}
			}
			byItem[m.item] = append(byItem[m.item], e)
		}
	}
	for item, all := range byItem {
		slices.SortFunc(all, func(a, b execution) int { return a.from.Compare(b.from) })
		for i := 1; i < len(all); i++ {
			if before, now := all[i-1], all[i]; now.from.Before(before.to) {
				f.t.Errorf("%s item %d started on %s at %s for %s while it ran on %s until %s for %s, want one after the other", job.name, item,
					now.run.node.name, now.from.Format("15:04:05.000"), now.run.Run, before.run.node.name, before.to.Format("15:04:05.000"), before.run.Run)
			}
		}
	}
}

// runLayout is how records write the instant of a run.
const runLayout = "20060102T150405.000Z"

func instantOf(t *testing.T, run string) time.Time {
	t.Helper()
	at, err := time.Parse(runLayout, run)
	if err != nil {
		t.Fatalf("run %q of a record: %v", run, err)
	}
	return at
}

func timeOf(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatalf("time %q of a record: %v", text, err)
	}
	return at.UTC()
}

// itemsOf are the items that ranges such as "0-2,5" name.
func itemsOf(t *testing.T, ranges string) []int {
	t.Helper()
	var items []int
	if ranges == "" {
		return nil
	}
	for part := range strings.SplitSeq(ranges, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		from, err := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err != nil || err2 != nil {
			t.Fatalf("items %q of a record are no ranges", ranges)
		}
		for item := from; item <= to; item++ {
			items = append(items, item)
		}
	}
	return items
}

// shares are who owns the items of a job under its latest assignment, as far as
// the nodes have adopted it.
func shares(t *testing.T, records []record, job string) (owned map[*process][]int, at time.Time) {
	t.Helper()
	var latest string
	for _, r := range records {
		if r.Msg != "items assigned" || r.Job != job {
			continue
		}
		switch isNewer := len(r.Generation) > len(latest) || len(r.Generation) == len(latest) && r.Generation > latest; {
		case isNewer:
			latest, owned, at = r.Generation, make(map[*process][]int), time.Time{}
		case r.Generation != latest:
			continue
		}
		owned[r.node] = itemsOf(t, r.Items)
		if r.Time.After(at) {
			at = r.Time
		}
	}
	return owned, at
}

// awaitShares waits until the nodes, and they alone, own all items of the job,
// each some. It returns when the last of them adopted its share.
func (f *fleet) awaitShares(job jobFile, nodes ...*process) time.Time {
	f.t.Helper()
	names := make([]string, len(nodes))
	for i, p := range nodes {
		names[i] = p.name
	}
	var when time.Time
	f.until(fmt.Sprintf("the %d items of %s shared by %s", job.items, job.name, strings.Join(names, ", ")), func(records []record) bool {
		owned, at := shares(f.t, records, job.name)
		all := make(map[int]bool)
		for _, p := range nodes {
			if len(owned[p]) == 0 {
				return false
			}
			for _, item := range owned[p] {
				all[item] = true
			}
		}
		when = at
		return len(all) == job.items
	})
	return when
}

// itemsNow are the items of the job that a node owns.
func (p *process) itemsNow(job jobFile) []int {
	p.fleet.t.Helper()
	records, _ := p.fleet.book.all()
	owned, _ := shares(p.fleet.t, records, job.name)
	return owned[p]
}

// awaitRunning waits until the node starts an item of the job after the given
// time, and returns its record.
func (p *process) awaitRunning(job jobFile, since time.Time) record {
	p.fleet.t.Helper()
	return p.awaitSince(since, "item started of "+job.name, func(r record) bool { return r.Msg == "item started" && r.Job == job.name })
}

// awaitAllRun waits until every item of the job was started for an instant after
// the given time.
func (f *fleet) awaitAllRun(job jobFile, since time.Time) {
	f.t.Helper()
	f.until(fmt.Sprintf("all %d items of %s running after %s", job.items, job.name, since.Format("15:04:05.000")), func(records []record) bool {
		run := make(map[int]bool)
		for _, r := range records {
			if r.Msg == "item started" && r.Job == job.name && instantOf(f.t, r.Run).After(since) {
				run[r.Item] = true
			}
		}
		return len(run) == job.items
	})
}

// count counts the records that match.
func (f *fleet) count(match func(record) bool) int {
	records, _ := f.book.all()
	n := 0
	for _, r := range records {
		if match(r) {
			n++
		}
	}
	return n
}

package sim_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// violation is something that must not happen, and did.
type violation struct {
	invariant string
	at        time.Duration
	text      string
}

func (v violation) String() string {
	return fmt.Sprintf("%s at %.4f: %s", v.invariant, v.at.Seconds(), v.text)
}

// invariant is a check of histories. Its name is what it says.
type invariant struct {
	name  string
	check func(*history) []violation
}

// invariants are those of section 8 of the coordination contract, from I11 on what jobs
// promise that run after others, and from I14 on what listeners that are called once for
// a run are promised.
func invariants() []invariant {
	return []invariant{
		{"I1 runs of an item do not overlap", overlaps},
		{"I2 what a resource accepts has rising tokens", tokens},
		{"I2 the resource of an item is linearizable", linear},
		{"I3 tokens rise with the begins", begins},
		{"I4 every instant has a verdict, and none two starts", verdicts},
		{"I5 what a dead node ran is taken over once, if it has not ended", failovers},
		{"I6 an assignment has every item once", assignments},
		{"I7 nothing begins under an old session or generation", guards},
		{"I8 all is well in the end", rest},
		{"I9 nothing runs on after its lease", leases},
		{"I9 no session is evicted before its lease is over", evictions},
		{"I10 nothing begins in a quarantine", quarantines},
		{"I11 what follows a run begins after its end", order},
		{"I12 what follows a run starts or is skipped, once", followed},
		{"I13 what follows a run starts if that has ended as it demands", conditions},
		{"I14 the listener of a run is called once", calledTwice},
		{"I15 the items of a run are between the calls of its listener", calledInTime},
		{"I16 the listener of a run is called unless somebody was lost", called},
	}
}

// check returns all that a history violates, in order.
func check(h *history) []violation {
	var all []violation
	for _, i := range invariants() {
		for _, v := range i.check(h) {
			v.invariant = i.name
			all = append(all, v)
		}
	}
	slices.SortStableFunc(all, func(a, b violation) int { return cmp.Compare(a.at, b.at) })
	return all
}

// runsOf groups the runs by item, in their order.
func (h *history) runsOf() map[place][]*run {
	by := map[place][]*run{}
	for _, r := range h.runs {
		by[r.place] = append(by[r.place], r)
	}
	for _, list := range by {
		slices.SortStableFunc(list, func(a, b *run) int { return cmp.Compare(a.from, b.from) })
	}
	return by
}

// leaseEnd is when the lease ends that a node had at a time, as it was renewed last;
// false if it had none.
func (h *history) leaseEnd(node string, at time.Duration) (time.Duration, bool) {
	epoch := ""
	var until time.Duration
	for _, l := range h.leases {
		switch {
		case l.node != node:
		case l.at <= at:
			epoch, until = l.epoch, l.until
		case l.epoch == epoch:
			until = max(until, l.until)
		}
	}
	return until, epoch != ""
}

// actsUntil is how long a run does what counts: its end, or the pause in which its
// lease ended. What is under way at a pause comes to the resource after it; only the
// token can stop that.
func (h *history) actsUntil(r *run) time.Duration {
	to := r.to
	if to == 0 {
		to = h.concluded
	}
	until, ok := h.leaseEnd(r.node, r.from)
	for _, p := range h.pauses[r.node] {
		if ok && p.from >= r.from && p.from < to && p.to > until-margin {
			to = p.from
		}
	}
	return to
}

func overlaps(h *history) (all []violation) {
	for p, runs := range h.runsOf() {
		var last *run
		for _, r := range runs {
			// A job that is not monitored has no marks: what moves while it runs longer
			// than the hand-over overlaps. The tokens of the two tell them apart.
			isMoved := last != nil && h.loose[p.job] && last.node != r.node && last.token != r.token
			if last != nil && !isMoved && h.actsUntil(last) > r.from {
				all = append(all, violation{at: r.from, text: fmt.Sprintf("%s begins %s of %s while %s still runs %s from %.4f to %.4f",
					r.node, p, r.id, last.node, last.id, last.from.Seconds(), h.actsUntil(last).Seconds())})
			}
			if last == nil || h.actsUntil(r) > h.actsUntil(last) {
				last = r
			}
		}
	}
	return all
}

func tokens(h *history) (all []violation) {
	last := map[place]*effect{}
	for _, e := range h.effects {
		if !e.accept {
			continue
		}
		l := last[e.place]
		last[e.place] = e
		if l == nil || l.token < e.token || h.loose[e.job] && l.token == e.token {
			continue
		}
		if l.token > e.token || l.node != e.node || strings.Split(l.run, ".")[0] != strings.Split(e.run, ".")[0] {
			all = append(all, violation{at: e.at, text: fmt.Sprintf("%s accepts token %d of %s on %s after %d of %s on %s",
				e.place, e.token, e.run, e.node, l.token, l.run, l.node)})
		}
	}
	return all
}

func begins(h *history) (all []violation) {
	last := map[string]int64{}
	granted := map[token]grant{}
	for _, g := range h.grants {
		if g.code != registry.CodeOK || g.repeated {
			continue
		}
		if g.fence <= last[g.job] {
			all = append(all, violation{at: g.at, text: fmt.Sprintf("fence %d of %s after %d", g.fence, g.job, last[g.job])})
		}
		last[g.job] = g.fence
		granted[token{g.job, g.fence}] = g
	}
	for _, r := range h.runs {
		if h.loose[r.job] { // its token is the generation
			continue
		}
		g, ok := granted[token{r.job, r.token}]
		if !ok || g.node != r.node || g.name() != r.id || !g.items.Contains(r.item) {
			all = append(all, violation{at: r.from, text: fmt.Sprintf("%s runs %s of %s under token %d, which was given to %s for %s of %s",
				r.node, r.place, r.id, r.token, g.node, g.items, g.name())})
		}
	}
	return all
}

func failovers(h *history) (all []violation) {
	for _, o := range h.orphans {
		for _, e := range h.ends {
			if e.job == o.job && e.fence == o.fence && e.items.Contains(o.item) && e.at < o.at && !h.lostBetween(e.at, o.at) {
				all = append(all, violation{at: o.at, text: fmt.Sprintf("%s of %s waits for a failover and has ended at %.4f", o.place, o.run, e.at.Seconds())})
			}
		}
		claims, next := 0, h.concluded
		for _, other := range h.orphans {
			if other.place == o.place && other.at > o.at {
				next = min(next, other.at)
			}
		}
		for _, g := range h.grants {
			if g.kind == "F" && !g.repeated && g.job == o.job && g.items.Contains(o.item) && g.name() == o.run && g.at >= o.at && g.at <= next {
				claims++
			}
		}
		isUnsettled := slices.ContainsFunc(h.unsettled, func(u unsettled) bool { return u.job == o.job && u.to > o.at })
		// Nobody takes an item over that the job has no more.
		isGone := slices.ContainsFunc(h.spreads, func(s spread) bool { return s.job == o.job && s.at > o.at && s.at <= next && s.total <= o.item })
		if h.lostBetween(o.at, next) || (isUnsettled || isGone) && claims == 0 || claims == 1 {
			continue
		}
		all = append(all, violation{at: o.at, text: fmt.Sprintf("%s of %s, which ran under %d on a dead node, was taken over %d times", o.place, o.run, o.fence, claims)})
	}
	return all
}

func assignments(h *history) (all []violation) {
	for _, s := range h.spreads {
		count := make([]int, s.total)
		for node, value := range s.owned {
			for _, item := range ownedItems(value) {
				if item >= s.total {
					all = append(all, violation{at: s.at, text: fmt.Sprintf("%s has no item %d, and generation %s gives it to %s", s.job, item, s.gen, node)})
					continue
				}
				count[item]++
			}
		}
		for item, n := range count {
			if n != 1 {
				all = append(all, violation{at: s.at, text: fmt.Sprintf("generation %s has %s/%d %d times", s.gen, s.job, item, n)})
			}
		}
	}
	return all
}

func guards(h *history) (all []violation) {
	for _, g := range h.grants {
		if g.code != registry.CodeOK {
			continue
		}
		if g.epoch != g.hasEpoch || g.lease < 0 || !g.repeated && g.gen != g.hasGen {
			all = append(all, violation{at: g.at, text: fmt.Sprintf("%s begins %s of %s under epoch %s and generation %s while it has %s, for another %v, and %s",
				g.node, g.job, g.name(), g.epoch, g.gen, g.hasEpoch, g.lease, g.hasGen)})
		}
	}
	return all
}

func rest(h *history) (all []violation) {
	add := func(format string, args ...any) {
		all = append(all, violation{at: h.concluded, text: fmt.Sprintf(format, args...)})
	}
	for name, s := range h.state {
		owners := map[int]string{}
		for node, value := range s.owned {
			for _, item := range ownedItems(value) {
				owners[item] = node
			}
		}
		for item := range s.total {
			if !slices.Contains(h.up, owners[item]) {
				add("%s/%d is owned by %q, who is none of %v", name, item, owners[item], h.up)
			}
		}
		for item := range s.total {
			if _, isDue := h.periods[name]; isDue && !s.disabled && !h.runsLate(place{name, item}) {
				add("%s/%d has not run since %v before then", name, item, liveliness)
			}
		}
		for node := range s.marks {
			if !slices.Contains(h.up, node) {
				add("%s has marks of %s: %v", name, node, s.marks)
			}
		}
		// Nobody takes over what is disabled, as when the server has lost the enabling.
		if len(s.failed) > 0 && !s.disabled {
			add("items of %s wait for a failover: %v", name, s.failed)
		}
	}
	if len(h.switches) == 0 && len(h.repairs) > 0 {
		add("repairs although nothing was lost: %v", h.repairs)
	}
	return all
}

// liveliness is in what time every item runs in the end: the longest run of a slow one
// and some instants.
const liveliness = 30 * time.Second

// runsLate reports whether an item has run in the end, or runs still.
func (h *history) runsLate(p place) bool {
	return slices.ContainsFunc(h.runs, func(r *run) bool {
		return r.place == p && (r.from > h.concluded-liveliness || r.to == 0 || r.to > h.concluded-liveliness)
	})
}

func leases(h *history) (all []violation) {
	for _, r := range h.runs {
		until, ok := h.leaseEnd(r.node, r.from)
		for _, p := range h.pauses[r.node] {
			// It notices when the next timer comes, as those here do not come at once
			// after a pause, and has the margin then.
			if p.from < until && p.to > until-margin {
				until = max(until, p.to+renewPause+margin)
			}
		}
		to := r.to
		if to == 0 {
			to = h.concluded
		}
		if !ok || to > until {
			all = append(all, violation{at: to, text: fmt.Sprintf("%s runs %s of %s until then under a lease that ended at %.4f", r.node, r.place, r.id, until.Seconds())})
		}
	}
	return all
}

func evictions(h *history) (all []violation) {
	until := map[string]time.Duration{}
	for _, l := range h.leases {
		until[l.node+l.epoch] = l.until
	}
	for _, e := range h.evicted {
		if end, ok := until[e.node+e.epoch]; ok && e.at < end && !h.lostBetween(0, e.at) {
			all = append(all, violation{at: e.at, text: fmt.Sprintf("%s is evicted, and its lease ends at %.4f", e.node, end.Seconds())})
		}
	}
	return all
}

func quarantines(h *history) (all []violation) {
	for _, s := range h.switches {
		for _, g := range h.grants {
			if g.code == registry.CodeOK && g.at > s.at && g.at < s.at+ttl {
				all = append(all, violation{at: g.at, text: fmt.Sprintf("%s begins %s of %s although the server lost data at %.4f", g.node, g.job, g.name(), s.at.Seconds())})
			}
		}
		for _, a := range h.spreads {
			if a.at > s.at && a.at < s.at+ttl {
				all = append(all, violation{at: a.at, text: fmt.Sprintf("%s is assigned although the server lost data at %.4f", a.job, s.at.Seconds())})
			}
		}
	}
	return all
}

// verdicts looks for instants without verdict and for those that ran twice.
func verdicts(h *history) (all []violation) {
	type fire struct {
		place
		at      time.Duration
		trigger string
	}
	since := func(t time.Time) time.Duration { return t.Sub(h.begin) }
	seen := map[fire]bool{}
	started := map[fire]*run{}
	for _, r := range h.runs {
		at, timed := instantOf(r.id)
		f := fire{place: r.place, trigger: r.id}
		if timed {
			f = fire{place: r.place, at: since(at)}
		}
		seen[f] = true
		if r.attempt > 1 || r.source == spi.SourceFailover {
			continue
		}
		if before := started[f]; before != nil && !h.mayDouble(before, r) {
			all = append(all, violation{at: r.from, text: fmt.Sprintf("%s starts %s of %s on %s, which %s has started at %.4f",
				r.source, r.place, r.id, r.node, before.node, before.from.Seconds())})
		}
		started[f] = r
	}
	for _, m := range h.missed {
		at := m.From
		if at.Before(h.begin) {
			at = h.begin // whoever knows no floor says so of decades
		}
		for ; !at.After(m.To); at = at.Add(h.periods[m.Job]) {
			seen[fire{place: place{m.Job, m.Item}, at: since(at)}] = true
		}
	}
	for _, l := range h.lost {
		if at, timed := instantOf(l.run); timed {
			for item := range l.items.All() {
				seen[fire{place: place{l.job, item}, at: since(at)}] = true
			}
		}
	}
	for _, g := range h.grants {
		if g.kind != "N" {
			continue
		}
		at := since(time.UnixMilli(g.instant))
		for _, items := range []registry.Items{g.items, g.held} {
			for item := range items.All() {
				seen[fire{place: place{g.job, item}, at: at}] = true
			}
		}
	}
	last := h.onServer(h.concluded)
	for _, name := range slices.Sorted(maps.Keys(h.periods)) {
		period := h.periods[name]
		for at := h.onServer(h.firstSpread(name, 0)).Truncate(period) + period; at < last-2*period; at += period {
			for item := range h.totalAt(name, at) {
				if !seen[fire{place: place{name, item}, at: at}] && (h.isPlotted || !h.excused(name, at)) {
					all = append(all, violation{at: at, text: fmt.Sprintf("%s/%d has no verdict", name, item)})
				}
			}
		}
	}
	return all
}

// mayDouble reports whether both runs of one instant may have started: the server has
// forgotten the first, which had ended, or its node stood still beyond its lease, when
// that could have marked it again, or its clock was set between two of a job without
// marks. What of a job without marks was
// decided after that is known to nobody but its owners until all have the assignment of
// the new data.
func (h *history) mayDouble(first, second *run) bool {
	isForgotten := slices.ContainsFunc(h.switches, func(c change) bool {
		return first.from >= c.since && first.from <= c.at && h.actsUntil(first) <= c.at+ttl
	})
	isSetBack := slices.ContainsFunc(h.clock, func(c clockChange) bool { return c.at >= first.from-ttl && c.at <= second.from })
	return isForgotten || h.loose[first.job] && (isSetBack || h.lostBetween(first.from-4*ttl, second.from))
}

// lostBetween reports whether the server lost data between two times.
func (h *history) lostBetween(from, to time.Duration) bool {
	return slices.ContainsFunc(h.switches, func(c change) bool { return c.at >= from && c.since <= to })
}

// excused reports whether an instant of the server's clock may have no verdict: the
// server has lost what it knew of it, or its clock was set; the job was disabled or got
// other items; or it is not monitored and its owner may have died around it: what
// nobody has asked the registry for, only the node itself can tell.
func (h *history) excused(job string, at time.Duration) bool {
	isNear := func(from, to, reach time.Duration) bool {
		return at > h.onServer(from)-reach && at < h.onServer(to)+reach
	}
	const around = 3 * ttl
	return slices.ContainsFunc(h.switches, func(c change) bool { return isNear(c.since, h.firstSpread(job, c.at), around) }) ||
		slices.ContainsFunc(h.clock, func(c clockChange) bool { return isNear(c.at, c.at, around) }) ||
		slices.ContainsFunc(h.unsettled, func(u unsettled) bool {
			// What was not decided yet when a job is disabled is forgotten with its enabling.
			return (u.job == "" || u.job == job) && isNear(u.from-around, u.to, 2*h.periods[job])
		}) ||
		h.loose[job] && slices.ContainsFunc(h.faults, func(f fault) bool { return isNear(f.at, f.at, around) })
}

// totalAt is how many items a job has when the server's clock shows a time.
func (h *history) totalAt(job string, at time.Duration) int {
	total := 0
	for _, s := range h.spreads {
		if s.job == job && h.onServer(s.at) <= at {
			total = s.total
		}
	}
	return total
}

// firstSpread is when a job gets its first assignment after a time.
func (h *history) firstSpread(job string, after time.Duration) time.Duration {
	for _, s := range h.spreads {
		if s.job == job && s.at > after {
			return s.at
		}
	}
	return h.concluded
}

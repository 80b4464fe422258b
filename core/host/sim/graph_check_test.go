package sim_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
)

// eachRun calls do with the runs of all jobs of the graph, in a firm order.
func (h *history) eachRun(do func(by map[string]map[string]*jobRun, r *jobRun)) {
	by := h.jobRuns()
	for _, name := range slices.Sorted(maps.Keys(h.after)) {
		for _, id := range slices.Sorted(maps.Keys(by[name])) {
			do(by, by[name][id])
		}
	}
}

// order finds runs that began before those that they follow had ended.
func order(h *history) (all []violation) {
	h.eachRun(func(by map[string]map[string]*jobRun, r *jobRun) {
		if !r.hasBegun() {
			return
		}
		begun := r.begins[0].at
		for _, d := range h.after[r.job] {
			up := by[d.Job][r.id]
			if !up.hasBegun() || h.lostBetween(up.since(), begun) {
				continue
			}
			for _, text := range h.unendedAt(up, begun) {
				all = append(all, violation{at: begun, text: fmt.Sprintf("%s begins in %s, and %s", r.job, r.id, text)})
			}
		}
	})
	return all
}

// unendedAt says what of a run has not ended at a time, but for what begins again
// because the registry has lost its first begin.
func (h *history) unendedAt(of *jobRun, at time.Duration) (all []string) {
	for _, g := range of.begins {
		if g.at > at && h.lostBetween(at, g.at) {
			continue
		}
		if g.at > at {
			all = append(all, fmt.Sprintf("items %s of %s begin after it, at %.4f", g.items, of.job, g.at.Seconds()))
			continue
		}
		for item := range g.items.All() {
			if outcome, ended := h.ending(g, item); outcome == "" || ended > at {
				all = append(all, fmt.Sprintf("%s/%d, which began at %.4f, has not ended for the registry", of.job, item, g.at.Seconds()))
			}
		}
	}
	for _, r := range h.runs {
		if r.job == of.job && r.id == of.id && h.actsUntil(r) > at && (r.from <= at || !h.lostBetween(at, r.from)) {
			all = append(all, fmt.Sprintf("%s still runs %s", r.node, r.place))
		}
	}
	return all
}

// settling is in what time a run without faults leads to all that it is to.
const settling = 15 * time.Second

// followed finds runs that have led to nothing in a job which runs after theirs, and
// such that have begun and were skipped.
func followed(h *history) (all []violation) {
	after := map[string][]string{}
	for name, list := range h.after {
		for _, d := range list {
			after[d.Job] = append(after[d.Job], name)
		}
	}
	h.eachRun(func(by map[string]map[string]*jobRun, r *jobRun) {
		since := r.since()
		if r.skipped != nil {
			since = min(since, r.skipped.at)
		}
		if h.lostBetween(since, h.concluded) {
			return // what the registry has forgotten it may tell again, or never
		}
		for _, name := range after[r.job] {
			if next := by[name][r.id]; since < h.concluded-settling && (next == nil || next.ended == nil) {
				all = append(all, violation{at: since, text: fmt.Sprintf("%s has neither run nor been skipped in %s after %s", name, r.id, r.job)})
			}
		}
		if r.hasBegun() && r.skipped != nil {
			all = append(all, violation{at: since, text: fmt.Sprintf("%s has run in %s and was skipped", r.job, r.id)})
		}
	})
	return all
}

// conditions finds runs that have begun although one before them did not end as their
// job demands, and such that were skipped for no reason.
func conditions(h *history) (all []violation) {
	h.eachRun(func(by map[string]map[string]*jobRun, r *jobRun) {
		isMet, isAlone, first := true, true, r.since()
		for _, d := range h.after[r.job] {
			up := by[d.Job][r.id]
			if up != nil {
				isAlone, first = false, min(first, up.since())
			}
			isMet = isMet && (d.On == job.OnAlways || up.hasBegun() && h.hasFailed(up) == (d.On == job.OnFailure))
		}
		// Items that somebody takes away from a job while they wait are lost to their run.
		mayBeOther := h.isUnsettled(first)
		if !isAlone && r.hasBegun() && !isMet && !mayBeOther && !h.lostBetween(first, r.begins[0].at) {
			all = append(all, violation{at: r.begins[0].at, text: fmt.Sprintf("%s begins in %s although what is before it has not ended so", r.job, r.id)})
		}
		if r.skipped == nil || h.lostBetween(first, r.skipped.at) {
			return
		}
		switch reason := registry.SkipReason(r.skipped.reason); {
		case reason == registry.SkippedUpstream && (!isMet || mayBeOther),
			reason == registry.SkippedItemsBusy && (mayBeOther || isBusy(by[r.job], r)),
			reason == registry.SkippedJobDisabled && mayBeOther:
		default:
			all = append(all, violation{at: r.skipped.at, text: fmt.Sprintf("%s is skipped in %s: %s", r.job, r.id, reason)})
		}
	})
	return all
}

// isBusy reports whether items of the job still waited for another run when one was
// skipped.
func isBusy(of map[string]*jobRun, r *jobRun) bool {
	for _, other := range of {
		if other != r && other.hasBegun() && other.begins[len(other.begins)-1].at > r.skipped.at {
			return true
		}
	}
	return false
}

// hasFailed reports whether an item of a run has not succeeded in the end.
func (h *history) hasFailed(r *jobRun) bool {
	return slices.ContainsFunc(r.begins, func(g grant) bool {
		return slices.ContainsFunc(g.items.Slice(), func(item int) bool {
			outcome, _ := h.ending(g, item)
			return outcome == "F" || outcome == "C" || outcome == "L"
		})
	})
}

// isUnsettled reports whether somebody may have disabled a job of the graph, or a part
// of it, or given it other items, around a time.
func (h *history) isUnsettled(at time.Duration) bool {
	return slices.ContainsFunc(h.unsettled, func(u unsettled) bool {
		_, isOne := h.after[u.job]
		return (u.job == "" || isOne) && u.from < at+settling && u.to > at-settling
	})
}

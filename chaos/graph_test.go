//go:build unix

package chaos_test

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// dependency is a job after whose runs another one runs.
type dependency struct{ job, on string }

// graphSpecs are jobs that run after one another: two after the first, if all its items
// have succeeded or if one has failed, and one after both.
func graphSpecs() []jobSpec {
	spec := func(name string, items int, after ...dependency) jobSpec {
		return jobSpec{
			name: name, items: items, after: after, monitored: true, failover: true,
			shortest: 10 * time.Millisecond, longest: 600 * time.Millisecond, fails: 0.25,
		}
	}
	source := spec("source", 2)
	source.every = time.Second
	return []jobSpec{
		source,
		spec("left", 2, dependency{"source", "SUCCESS"}),
		spec("right", 1, dependency{"source", "FAILURE"}),
		spec("join", 2, dependency{"left", "ALWAYS"}, dependency{"right", "ALWAYS"}),
	}
}

// jobRun is a run of a job of all its items.
type jobRun struct {
	executions []*execution
	// skipped is when a log said that it does not take place, zero if none did.
	skipped time.Time
}

// since is when it began or, if it did not, was skipped.
func (r *jobRun) since() time.Time {
	if len(r.executions) > 0 {
		return r.executions[0].from
	}
	return r.skipped
}

// jobRuns are the runs that began or were skipped, by job and id.
func (h *history) jobRuns() map[string]map[string]*jobRun {
	by := map[string]map[string]*jobRun{}
	of := func(job, id string) *jobRun {
		if by[job] == nil {
			by[job] = map[string]*jobRun{}
		}
		if by[job][id] == nil {
			by[job][id] = &jobRun{}
		}
		return by[job][id]
	}
	for _, e := range h.executions {
		r := of(e.job, e.run)
		r.executions = append(r.executions, e)
	}
	for _, rec := range h.records {
		if rec.Msg != "run skipped" {
			continue
		}
		if r := of(rec.Job, rec.Run); r.skipped.IsZero() || rec.Time.Before(r.skipped) {
			r.skipped = rec.Time
		}
	}
	return by
}

// followers calls do for each job that runs after another one and each run of that, in
// a firm order, with its own run of that id, nil if there is none.
func (h *history) followers(do func(spec jobSpec, on dependency, id string, before, r *jobRun)) {
	by := h.jobRuns()
	for _, spec := range h.specs {
		for _, d := range spec.after {
			for _, id := range slices.Sorted(maps.Keys(by[d.job])) {
				do(spec, d, id, by[d.job][id], by[spec.name][id])
			}
		}
	}
}

// early finds runs that began before all that they follow had ended.
func early(h *history) (wrong []string) {
	h.followers(func(_ jobSpec, _ dependency, _ string, before, r *jobRun) {
		if r == nil || len(r.executions) == 0 {
			return
		}
		first := r.executions[0]
		for _, e := range before.executions {
			until := first.from
			if e.from.After(until) {
				until = e.from
			}
			if h.actsUntil(e).After(first.from) && !h.isForgotten(span{before.since(), until}) {
				wrong = append(wrong, fmt.Sprintf("%s before the end of %s", first, e))
			}
		}
	})
	return wrong
}

// unfollowed are the runs which, so far, have led to nothing in a job that runs after
// theirs, of those that began before all faults were over.
func unfollowed(h *history) (missing []string) {
	h.followers(func(spec jobSpec, _ dependency, id string, before, r *jobRun) {
		since := before.since()
		if r == nil && since.Before(h.quiet) && !h.isForgotten(span{since, h.quiet}) {
			missing = append(missing, fmt.Sprintf("%s in run %s", spec.name, id))
		}
	})
	return missing
}

// astray finds runs that began although those before them had not ended as they demand,
// and such that were skipped and began.
func astray(h *history) (wrong []string) {
	h.followers(func(spec jobSpec, on dependency, id string, before, r *jobRun) {
		if r == nil || len(r.executions) == 0 {
			return
		}
		first := r.executions[0]
		isForgotten := h.isForgotten(span{before.since(), first.from})
		if !r.skipped.IsZero() && !isForgotten && !h.isForgotten(span{before.since(), r.skipped}) {
			wrong = append(wrong, fmt.Sprintf("%s, which was skipped at %s", first, clock(r.skipped)))
		}
		isMet := on.on == "ALWAYS" || len(before.executions) > 0 && before.hasFailed() == (on.on == "FAILURE")
		if !isMet && !isForgotten {
			wrong = append(wrong, fmt.Sprintf("%s, although %s has not ended with %s in run %s", first, on.job, on.on, id))
		}
	})
	return wrong
}

// hasFailed reports whether the last execution of an item has not succeeded.
func (r *jobRun) hasFailed() bool {
	last := map[int]*execution{}
	for _, e := range r.executions {
		last[e.item] = e
	}
	for _, e := range last {
		if e.cause != success {
			return true
		}
	}
	return false
}

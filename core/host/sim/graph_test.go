package sim_test

import (
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
)

// The jobs of a graph: left and right run after source, join after both.
const (
	source = "source"
	left   = "left"
	right  = "right"
	join   = "join"
)

// graph are those jobs in an order in which none is before what it runs after.
func graph() []string { return []string{source, left, right, join} }

// defineGraph adds jobs that run after one another. Their shape has random numbers of
// its own, so that what happens to a life is what it was without them.
func (l *life) defineGraph() {
	random := rand.New(rand.NewPCG(l.seed, math.MaxUint64))
	conditions := [][]string{{job.OnSuccess, job.OnFailure}, {job.OnSuccess, job.OnAlways}, {job.OnFailure, job.OnAlways}}[random.IntN(3)]
	after := map[string][]job.Dependency{
		left:  {{Job: source, On: conditions[0]}},
		right: {{Job: source, On: conditions[1]}},
		join:  {{Job: left, On: job.OnAlways}, {Job: right, On: []string{job.OnAlways, job.OnSuccess}[random.IntN(2)]}},
	}
	for _, name := range graph() {
		c := job.Defaults(name)
		c.Type, c.ShardingTotalCount, c.DependsOn = jobType, 1+random.IntN(2), after[name]
		c.Failover = random.IntN(2) == 0
		l.behaviour[name] = behaviour{steps: 2, step: time.Duration(1+random.IntN(20)) * 100 * time.Millisecond, stubborn: 900 * time.Millisecond, fails: 0.25}
		l.jobs = append(l.jobs, c)
		l.history.after[name] = c.DependsOn
	}
	first := &l.jobs[len(l.jobs)-len(graph())]
	first.Cron, first.TimeZone = "0/6 * * * * ?", "UTC"
	l.history.periods[source] = 6 * time.Second
}

// notedRun is a run of a job of the graph as the registry has it at a time.
type notedRun struct {
	at      time.Duration
	job, id string
	// outcome is S, F or K: it was skipped, for the reason; or empty.
	outcome, reason string
}

// noteRuns notes the runs that the registry has: its data are about to be replaced,
// or the life to end.
func (l *life) noteRuns() {
	h := &l.history
	for name := range h.after {
		for field, value := range hashOf(l.server.redis, "ej:{sim.0}:d:"+name) {
			if parts := strings.Split(value, "|"); len(parts) == 5 {
				h.add(func() { h.graph = append(h.graph, notedRun{l.elapsed(), name, runOf(field), parts[2], parts[4]}) })
			}
		}
	}
}

// watchArrival notes that a run was skipped when the one before it had ended.
func (l *life) watchArrival(c call) {
	if isOK(c.reply) && text(c.reply[1]) == "K" {
		l.history.graph = append(l.history.graph, notedRun{c.at, c.args[0], c.args[1], "K", text(c.reply[2])})
	}
}

// jobRun is a run of a job of the graph.
type jobRun struct {
	job, id string
	begins  []grant // in their order, without repetitions
	// skipped and ended are what was noted first of its skipping and of its end, nil
	// if there was none.
	skipped, ended *notedRun
}

func (r *jobRun) hasBegun() bool { return r != nil && len(r.begins) > 0 }

// since is when it began or, if it did not, when it was skipped.
func (r *jobRun) since() time.Duration {
	if len(r.begins) > 0 {
		return r.begins[0].at
	}
	return r.skipped.at
}

// jobRuns are the runs of the jobs of the graph, that have begun or were skipped, by
// job and id.
func (h *history) jobRuns() map[string]map[string]*jobRun {
	by := map[string]map[string]*jobRun{}
	of := func(job, id string) *jobRun {
		if by[job] == nil {
			by[job] = map[string]*jobRun{}
		}
		if by[job][id] == nil {
			by[job][id] = &jobRun{job: job, id: id}
		}
		return by[job][id]
	}
	for _, g := range h.grants {
		if _, isOne := h.after[g.job]; isOne && g.fence != 0 && !g.repeated {
			r := of(g.job, g.name())
			r.begins = append(r.begins, g)
		}
	}
	for _, n := range h.graph {
		r := of(n.job, n.id)
		if n.outcome == "K" && r.skipped == nil {
			r.skipped = &n
		}
		if n.outcome != "" && r.ended == nil {
			r.ended = &n
		}
	}
	for _, runs := range by {
		// What waits or is queued is neither.
		maps.DeleteFunc(runs, func(_ string, r *jobRun) bool { return !r.hasBegun() && r.skipped == nil })
	}
	return by
}

// ending is how an item that was given out under a token has ended: S, F, C, L if it
// was lost, O if it waits for failover, B if it was given back, and when; "" if it has not.
func (h *history) ending(g grant, item int) (outcome string, at time.Duration) {
	for _, e := range h.ends {
		if e.job == g.job && e.fence == g.fence && e.items.Contains(item) {
			return e.outcome, e.at
		}
	}
	for _, o := range h.orphans {
		if o.place == (place{g.job, item}) && o.fence == g.fence {
			return "O", o.at
		}
	}
	for _, l := range h.lost {
		if l.job == g.job && l.run == g.name() && l.items.Contains(item) && l.at >= g.at {
			return "L", l.at
		}
	}
	return "", 0
}

package sim_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Jobs of some lives: the listener of one is called once for each run, and the other
// one catches up all that it has missed, up to a limit.
const (
	once    = "once"
	backlog = "backlog"
)

// defineOnce adds a job with a listener that is called once for a run, and one that
// catches up all fires.
func (l *life) defineOnce() {
	l.history.witnessed = once
	c := job.Defaults(once)
	c.Type, c.Every, c.ShardingTotalCount, c.ListenerTypes, c.Failover = jobType, 4*time.Second, 3, []string{listenerType}, l.seed%4 == 0
	l.jobs = append(l.jobs, c)
	c = job.Defaults(backlog)
	c.Type, c.Every, c.ShardingTotalCount, c.MisfirePolicy, c.MisfireLimit = jobType, 3*time.Second, 2, job.MisfireAll, 3
	l.jobs = append(l.jobs, c)
	for _, c := range l.jobs[len(l.jobs)-2:] {
		l.behaviour[c.Name] = behaviour{steps: 2, step: 300 * time.Millisecond, stubborn: 900 * time.Millisecond, fails: 0.1}
		l.history.periods[c.Name] = c.Every
	}
}

const listenerType = "WITNESS"

// heard is a call of the listener.
type heard struct {
	node     string
	run      string
	isAfter  bool
	from, to time.Duration // to is zero if the node died in it
}

func (c *heard) String() string {
	when := "before"
	if c.isAfter {
		when = "after"
	}
	return fmt.Sprintf("%s calls the listener %s run %s from %.4f to %.4f", c.node, when, c.run, c.from.Seconds(), c.to.Seconds())
}

// listener is the listener of a node.
func (n *node) listener() spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind: spi.KindJobListener, Type: listenerType, Description: "notes its calls", Capabilities: []string{spi.CapabilityDistributeOnce},
		},
		JobListener: func(context.Context, props.Values) (spi.JobListener, error) { return witness{n}, nil },
	}
}

type witness struct{ node *node }

var _ spi.JobListener = witness{}

func (w witness) BeforeJob(_ context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	return w.hear(req.Run.RunID, false)
}

func (w witness) AfterJob(_ context.Context, req spi.JobListenerRequest) (spi.JobListenerResponse, error) {
	return w.hear(req.Run.RunID, true)
}

func (w witness) hear(run string, isAfter bool) (none spi.JobListenerResponse, err error) {
	n := w.node
	n.gate()
	if n.dead.Load() {
		return none, errCode
	}
	l := n.life
	c := &heard{node: n.id, run: run, isAfter: isAfter, from: l.elapsed()}
	l.history.add(func() { l.history.heard = append(l.history.heard, c) })
	random := rand.New(rand.NewPCG(l.seed, uint64(c.from)))
	time.Sleep(time.Duration(random.Int64N(int64(100 * time.Millisecond))))
	n.gate()
	l.history.add(func() {
		if !n.dead.Load() {
			c.to = l.elapsed()
		}
	})
	return none, nil
}

// first are the first calls of the listener by run, before and after it.
func (h *history) first() map[string][2]*heard {
	calls := map[string][2]*heard{}
	for _, c := range h.heard {
		list := calls[c.run]
		if at := c.moment(); list[at] == nil {
			list[at] = c
		}
		calls[c.run] = list
	}
	return calls
}

// moment is the index of a call in what first returns.
func (c *heard) moment() int {
	if c.isAfter {
		return 1
	}
	return 0
}

// calledTwice finds calls that were made again, although the server had not forgotten
// the first.
func calledTwice(h *history) (all []violation) {
	calls := h.first()
	for _, c := range h.heard {
		if before := calls[c.run][c.moment()]; before != c && !h.lostBetween(before.from, c.from) {
			all = append(all, violation{at: c.from, text: fmt.Sprintf("%s, and %s", c, before)})
		}
	}
	return all
}

// calledInTime finds items of a run that begin before the end of the call before it, or
// that run after the begin of the call after it. An item that was held is made up for by
// a run of its own, which has no such calls, whoever takes that over. Whoever stood still
// may have been given up, and calls all the same when it goes on.
func calledInTime(h *history) (all []violation) {
	calls := h.first()
	for _, r := range h.runs {
		before, after := calls[r.id][0], calls[r.id][1]
		if r.job != h.witnessed || !h.isPart(r) {
			continue
		}
		if before != nil && before.to > r.from && r.source == spi.SourceNormal &&
			!h.lostBetween(min(before.from, r.from)-ttl, max(before.from, r.from)) && !h.stoodStill(before, r) {
			all = append(all, violation{at: r.from, text: fmt.Sprintf("%s begins %s, and %s", r.node, r.place, before)})
		}
		if after != nil && h.actsUntil(r) > after.from && !h.lostBetween(min(r.from, after.from), max(r.from, after.from)) {
			all = append(all, violation{at: r.from, text: fmt.Sprintf("%s runs %s from %.4f to %.4f, and %s",
				r.node, r.place, r.from.Seconds(), h.actsUntil(r).Seconds(), after)})
		}
	}
	return all
}

// isPart reports whether an item was begun in the run of its instant itself, or taken
// over from there.
func (h *history) isPart(r *run) bool {
	if r.source != spi.SourceNormal && r.source != spi.SourceFailover {
		return false
	}
	return slices.ContainsFunc(h.grants, func(g grant) bool {
		return g.job == r.job && g.kind == "N" && g.name() == r.id && g.items.Contains(r.item)
	})
}

// stoodStill reports whether a node that calls the listener was paused until the end of
// the call and after the begin of a run.
func (h *history) stoodStill(c *heard, r *run) bool {
	return slices.ContainsFunc(h.pauses[c.node], func(p span) bool { return p.from <= c.to && p.to >= min(c.from, r.from) })
}

// called finds runs without a call although nobody who had a part in them was lost.
func called(h *history) (all []violation) {
	calls, parts := h.first(), map[string][]grant{}
	for _, g := range h.grants {
		if g.job == h.witnessed && g.kind == "N" && g.fence != 0 && !g.repeated {
			parts[g.name()] = append(parts[g.name()], g)
		}
	}
	for id, list := range parts {
		begun := list[0].at
		if begun > h.concluded-settling || h.lostBetween(begun, h.concluded) || h.isDisturbed(h.witnessed, begun) ||
			slices.ContainsFunc(list, func(g grant) bool { return !h.holds(g) }) {
			continue
		}
		for at, when := range []string{"before", "after"} {
			if calls[id][at] == nil {
				all = append(all, violation{at: begun, text: fmt.Sprintf("the listener is not called %s run %s", when, id)})
			}
		}
	}
	return all
}

// holds reports whether the session under which items began was there for all that
// became of them.
func (h *history) holds(g grant) bool {
	until, _ := h.leaseEnd(g.node, g.at)
	return until > min(g.at+60*time.Second, h.concluded) && slices.Contains(h.up, g.node)
}

// isDisturbed reports whether somebody may have disabled a job, a part of it or a node,
// or given it other items, around a time.
func (h *history) isDisturbed(job string, at time.Duration) bool {
	return slices.ContainsFunc(h.unsettled, func(u unsettled) bool {
		return (u.job == "" || u.job == job) && u.from < at+settling && u.to > at-settling
	})
}

package sim_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/elasticjob-go/elasticjob/core/host"
)

// strike is something that may happen to a fleet.
type strike struct {
	weight int
	do     func(l *life, n *node)
}

// strikes are the faults, and what operators do meanwhile. The node is one that is
// well.
func strikes() []strike {
	return []strike{
		{4, (*life).kill},
		{2, (*life).depart},
		{2, (*life).join},
		{4, (*life).freeze},
		{3, (*life).slowDown},
		{3, (*life).cutOff},
		{4, (*life).stall},
		{3, (*life).breakConnections},
		{2, (*life).setNodeClock},
		{2, (*life).setServerClock},
		{1, (*life).failCommands},
		{1, (*life).emptyServer},
		{1, (*life).promote},
		{3, (*life).disable},
		{2, (*life).resize},
		{3, (*life).trigger},
	}
}

// strike lets something happen.
func (l *life) strike() {
	n := l.pick(l.healthy())
	if n == nil {
		return
	}
	all, sum := strikes(), 0
	for _, s := range all {
		sum += s.weight
	}
	at := l.random.IntN(sum)
	for _, s := range all {
		if at -= s.weight; at < 0 {
			s.do(l, n)
			return
		}
	}
}

func (l *life) kill(n *node) {
	if len(l.up()) < 2 {
		return
	}
	l.fault(n, "kill", "")
	n.kill()
	again := n.id
	if l.chance(0.5) {
		again = l.newID()
	}
	l.later(l.upTo(2*ttl), func() { l.start(again) })
}

func (l *life) newID() string { return fmt.Sprintf("node-%d", len(l.nodes)) }

func (l *life) depart(n *node) {
	if len(l.up()) < 3 {
		return
	}
	l.fault(n, "stop", "")
	n.leave()
}

func (l *life) join(*node) {
	if len(l.up()) < 4 {
		l.start(l.newID())
	}
}

// freeze is SIGSTOP and SIGCONT.
func (l *life) freeze(n *node) {
	d := l.upTo(ttl)
	if l.chance(0.6) {
		d = ttl - margin + l.upTo(2*ttl)
	}
	l.fault(n, "pause", "for %v", d)
	n.pause()
	l.later(d, func() {
		if n.halted.Load() && !n.dead.Load() {
			n.resume()
		}
	})
}

func (l *life) slowDown(n *node) {
	d := l.upTo(300 * time.Millisecond)
	if l.chance(0.2) {
		d *= 5
	}
	l.fault(n, "slow", "by %v", d)
	n.link.change(func() { n.link.slow = d })
	l.later(l.upTo(2*ttl), func() { n.link.change(func() { n.link.slow = 0 }) })
}

// cutOff resets the connections and refuses new ones.
func (l *life) cutOff(n *node) {
	d := l.upTo(2 * ttl)
	l.fault(n, "cut", "for %v", d)
	n.link.change(func() { n.link.isDown = true })
	n.link.reset()
	l.later(d, func() {
		if !n.dead.Load() {
			n.link.change(func() { n.link.isDown = false })
		}
	})
}

// stall lets nothing through in one direction or both, without a word.
func (l *life) stall(n *node) {
	d, which := l.upTo(2*ttl), l.random.IntN(3)
	l.fault(n, "stall", "in directions %d for %v", which, d)
	n.link.change(func() { n.link.stalled = [2]bool{which != toNode, which != toServer} })
	l.later(d, func() { n.link.change(func() { n.link.stalled = [2]bool{} }) })
}

// breakConnections loses requests or answers, with the connection that they are on.
func (l *life) breakConnections(n *node) {
	d, which := l.upTo(ttl), l.random.IntN(2)
	l.fault(n, "break", "in direction %d for %v", which, d)
	n.link.change(func() { n.link.cuts[which] = 0.3 })
	l.later(d, func() { n.link.change(func() { n.link.cuts[which] = 0 }) })
}

func (l *life) setNodeClock(n *node) {
	d := l.upTo(2*time.Hour) - time.Hour
	if l.chance(0.6) {
		d = l.upTo(6*time.Second) - 3*time.Second
	}
	l.fault(n, "node clock", "set by %v", d)
	n.skew.Add(int64(d))
}

// setServerClock sets the clock forward by less than the grace, as the contract
// assumes, and at most once in a lease; or back by more.
func (l *life) setServerClock(*node) {
	d := -l.upTo(5 * time.Second)
	if l.chance(0.6) && (l.jumped == 0 || l.elapsed() > l.jumped+2*ttl) {
		d, l.jumped = l.upTo(grace*9/10), l.elapsed()
	}
	l.fault(nil, "server clock", "set by %v", d)
	ahead := l.server.offset.Add(int64(d))
	l.history.add(func() { l.history.clock = append(l.history.clock, clockChange{l.elapsed(), time.Duration(ahead)}) })
}

// failCommands is a server that answers everything with an error.
func (l *life) failCommands(*node) {
	d, what := l.upTo(ttl), []string{"LOADING Redis is loading the dataset in memory", "READONLY You can't write against a read only replica."}[l.random.IntN(2)]
	if l.isReplaced {
		return
	}
	l.fault(nil, "errors", "for %v: %s", d, what)
	l.server.refuse(what)
	l.later(d, func() { l.server.refuse("") })
}

// emptyServer restarts the server without data.
func (l *life) emptyServer(*node) {
	if l.isReplaced || l.elapsed() > stormy-2*ttl {
		return
	}
	l.replaceServer("empty restart", l.elapsed(), nil)
}

// promote puts a replica in the server's place that has not got its last writes.
func (l *life) promote(*node) {
	if l.isReplaced || l.elapsed() > stormy-2*ttl {
		return
	}
	l.isReplaced = true
	since, data := l.elapsed(), l.server.snapshot()
	l.later(l.upTo(lag), func() {
		l.isReplaced = false
		l.replaceServer("lost writes", since, data)
	})
}

func (l *life) replaceServer(what string, since time.Duration, data map[string]stored) {
	l.isReplaced = true
	down := l.upTo(2 * time.Second)
	l.fault(nil, what, "without what was written since %.4f, down for %v", since.Seconds(), down)
	l.server.refuse("LOADING Redis is loading the dataset in memory")
	l.noteRuns()
	l.server.replace(data)
	for _, n := range l.nodes {
		n.link.reset()
	}
	now := l.elapsed()
	l.history.add(func() {
		l.history.switches = append(l.history.switches, change{since, now})
	})
	l.later(down, func() {
		l.server.refuse("")
		l.isReplaced = false
	})
}

// within bounds what an operator asks of a node.
const within = 5 * time.Second

// ask has a node do what an operator wants, and reports whether it did; that it may
// fail is part of the life.
func (l *life) ask(n *node, what string, do func(ctx context.Context) error) bool {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	select {
	case <-n.started:
	default:
		return false
	}
	err := do(ctx)
	l.history.note(l.elapsed(), "%s is asked to %s: %v", n.id, what, err)
	return err == nil
}

// disable disables a job, an item or a node for a while.
func (l *life) disable(n *node) {
	c := l.jobs[l.random.IntN(len(l.jobs))]
	target, job := host.Target{Job: c.Name}, c.Name
	switch l.random.IntN(3) {
	case 0:
		target.Item = new(l.random.IntN(c.ShardingTotalCount))
	case 1:
		target, job = host.Target{Job: c.Name, Instance: n.id}, ""
	}
	set := func(n *node, on bool) bool {
		return l.ask(n, fmt.Sprintf("enable=%v %+v", on, target), func(ctx context.Context) error {
			_, err := n.SetEnabled(ctx, target, on, "operator")
			return err
		})
	}
	from := l.elapsed()
	set(n, false)
	until := min(l.upTo(2*ttl), stormy-l.elapsed())
	var again func()
	again = func() {
		if n := l.pick(l.healthy()); n == nil || !set(n, true) {
			l.later(time.Second, again)
			return
		}
		l.history.add(func() {
			l.history.unsettled = append(l.history.unsettled, unsettled{span{from, l.elapsed()}, job})
		})
	}
	l.later(max(until, 0), again)
}

// resize gives a job another number of items.
func (l *life) resize(n *node) {
	c := l.jobs[l.random.IntN(len(l.jobs))]
	c.ShardingTotalCount = 1 + l.random.IntN(5)
	from := l.elapsed()
	l.ask(n, fmt.Sprintf("give %s %d items", c.Name, c.ShardingTotalCount), func(ctx context.Context) error {
		info, err := n.Job(ctx, c.Name)
		if err != nil {
			return err
		}
		_, err = n.UpdateJob(ctx, c, info.Version)
		return err
	})
	l.history.add(func() {
		l.history.unsettled = append(l.history.unsettled, unsettled{span{from, l.elapsed() + ttl}, c.Name})
	})
}

func (l *life) trigger(n *node) {
	c := l.jobs[l.random.IntN(len(l.jobs))]
	// The id is drawn here, so that a life is repeatable.
	id := fmt.Sprintf("%08x-0000-7000-8000-%012x", rand.New(l.source()).Uint32(), l.random.Uint64()>>16)
	l.ask(n, fmt.Sprintf("trigger %s as %s", c.Name, id), func(ctx context.Context) error {
		_, err := n.Trigger(ctx, host.Trigger{Job: c.Name, ID: id})
		return err
	})
}

func (l *life) source() rand.Source { return rand.NewPCG(l.seed, l.random.Uint64()) }

// heal ends all faults.
func (l *life) heal() {
	l.keepOne()
	l.history.healed = l.elapsed()
	l.server.refuse("")
	for _, n := range l.nodes {
		if n.halted.Load() && !n.dead.Load() {
			n.resume()
		}
		if n.dead.Load() {
			continue
		}
		n.link.change(func() {
			n.link.slow, n.link.isDown, n.link.stalled, n.link.cuts = 0, false, [2]bool{}, [2]float64{}
		})
	}
}

// keepOne starts a node when none is left, as the starts of the last ones may have
// failed: whoever looks after them would.
func (l *life) keepOne() {
	if len(l.up()) == 0 {
		l.start(l.newID())
	}
	if l.elapsed() < stormy+ttl {
		l.later(time.Second, l.keepOne)
	}
}

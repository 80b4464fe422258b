package sim_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
)

// Times of all lives.
const (
	// ttl is the session timeout. A renewal is due every third of it.
	ttl = 6 * time.Second
	// grace is what the registry adds to it, margin what nodes take off.
	grace  = time.Second
	margin = time.Second
	// renewPause is between two tries to renew.
	renewPause = 500 * time.Millisecond
	// lag is what a replica may be behind.
	lag = 2 * time.Second
	// stormy is how long there are faults, calm how long there are none afterwards,
	// so that everything can be as it should: a lease, the wait of a leader that sees
	// a mass die, another lease and a quarantine.
	stormy = 75 * time.Second
	calm   = 40 * time.Second
)

// behaviour is what the code of a job is like.
type behaviour struct {
	steps    int           // at most
	step     time.Duration // of each, at most
	stubborn time.Duration // goes on so long after it was cancelled, at most
	fails    float64
}

// life is a fleet from its begin to its end.
type life struct {
	t         *testing.T
	seed      uint64
	begin     time.Time
	random    *rand.Rand
	server    *server
	jobs      []job.Config
	behaviour map[string]behaviour
	nodes     []*node
	streams   uint64 // of random numbers, one for each link
	agenda    []errand
	done      sync.WaitGroup
	history   history
	// slowClock, if not nil, is how a node's lease clock differs from its clock.
	slowClock func(time.Duration) time.Duration
	// plot is what happens, nil for what chance has in store.
	plot func(*life)

	resource    map[place]int64 // the highest token by item; under the history's lock
	fences      map[token]bool  // that the registry has given out; likewise
	generations map[string]string
	off         map[string]time.Duration // what is disabled, and since when
	jumped      time.Duration            // when the server's clock was set forward last
	isReplaced  bool                     // the server is about to be another one
}

// errand is something that is to be done at a time.
type errand struct {
	at time.Duration
	do func()
}

// setting is what a life may differ in from others.
type setting struct {
	edit      edit
	slowClock func(time.Duration) time.Duration
	plot      func(*life)
}

// live runs the life of a seed and returns its history.
func live(t *testing.T, lib library, seed uint64, s setting) *history {
	t.Helper()
	l := &life{
		t: t, seed: seed, slowClock: s.slowClock, plot: s.plot, resource: map[place]int64{}, fences: map[token]bool{}, generations: map[string]string{},
		off: map[string]time.Duration{}, random: rand.New(rand.NewPCG(seed, 0)),
	}
	synctest.Test(t, func(t *testing.T) {
		l.t, l.begin = t, time.Now()
		l.history.isPlotted = l.plot != nil
		l.history.begin, l.history.pauses = l.begin, map[string][]span{}
		l.history.periods, l.history.loose = map[string]time.Duration{}, map[string]bool{}
		l.history.after = map[string][]job.Dependency{}
		l.server = newServer(t, lib, s.edit, l.watch)
		l.define()
		l.run()
		l.server.redis.Close()
	})
	return &l.history
}

func (l *life) elapsed() time.Duration { return time.Since(l.begin) }

// define makes the jobs of the life.
func (l *life) define() {
	l.behaviour = map[string]behaviour{
		"quick": {steps: 2, step: 50 * time.Millisecond, stubborn: 900 * time.Millisecond, fails: 0.1},
		"slow":  {steps: 8, step: 2500 * time.Millisecond, stubborn: 900 * time.Millisecond, fails: 0.1},
		"loose": {steps: 2, step: 50 * time.Millisecond, stubborn: 900 * time.Millisecond, fails: 0.1},
	}
	add := func(name string, every time.Duration, items int) *job.Config {
		c := job.Defaults(name)
		c.Type, c.Every, c.ShardingTotalCount = jobType, every, items
		l.jobs = append(l.jobs, c)
		return &l.jobs[len(l.jobs)-1]
	}
	add("quick", 3*time.Second, 3)
	add("slow", 4*time.Second, 3)
	l.jobs[1].Failover = l.seed%2 == 0
	add("loose", 3*time.Second, 3).MonitorExecution = false
	for _, c := range l.jobs {
		l.history.periods[c.Name], l.history.loose[c.Name] = c.Every, !c.MonitorExecution
	}
	switch l.seed % 6 {
	case 0:
		l.defineGraph()
	case 2:
		l.defineOnce()
	}
}

// run is the life itself.
func (l *life) run() {
	for i := range 2 + l.random.IntN(2) {
		l.start(fmt.Sprintf("node-%d", i))
	}
	time.Sleep(ttl + grace + 2*time.Second)
	if l.plot != nil {
		l.plot(l)
	}
	for l.plot == nil && l.elapsed() < stormy {
		l.wait(l.elapsed() + l.upTo(5*time.Second))
		l.strike()
	}
	l.heal()
	l.wait(stormy + calm)
	l.conclude()
	for _, n := range l.up() {
		n.leave()
		time.Sleep(500 * time.Millisecond)
	}
	l.done.Wait()
}

// up are the nodes that live and are not about to stop.
func (l *life) up() []*node {
	return slices.DeleteFunc(slices.Clone(l.nodes), func(n *node) bool { return n.dead.Load() || n.leaves })
}

// healthy are those of them that do not stand still.
func (l *life) healthy() []*node {
	return slices.DeleteFunc(l.up(), func(n *node) bool { return n.halted.Load() })
}

func (l *life) pick(nodes []*node) *node {
	if len(nodes) == 0 {
		return nil
	}
	return nodes[l.random.IntN(len(nodes))]
}

func (l *life) chance(p float64) bool { return l.random.Float64() < p }

// upTo draws a time.
func (l *life) upTo(most time.Duration) time.Duration {
	return time.Duration(l.random.Int64N(int64(most)))
}

// later puts something on the agenda.
func (l *life) later(after time.Duration, do func()) {
	l.agenda = append(l.agenda, errand{l.elapsed() + after, do})
}

// wait does what is on the agenda until a time.
func (l *life) wait(until time.Duration) {
	for {
		next, at := -1, until
		for i, e := range l.agenda {
			if e.at <= at {
				next, at = i, e.at
			}
		}
		time.Sleep(at - l.elapsed())
		if next < 0 {
			return
		}
		do := l.agenda[next].do
		l.agenda = slices.Delete(l.agenda, next, next+1)
		do()
	}
}

func (l *life) fault(node *node, kind, format string, args ...any) {
	name := ""
	if node != nil {
		name = node.id
	}
	l.history.add(func() {
		l.history.faults = append(l.history.faults, fault{l.elapsed(), kind, fmt.Sprintf(format, args...), name})
	})
}

// conclude notes what the registry has in the end.
func (l *life) conclude() {
	h := &l.history
	h.concluded = l.elapsed()
	l.noteRuns()
	h.state = map[string]jobState{}
	redis := l.server.redis
	for _, c := range l.jobs {
		key := func(letter string) string { return "ej:{sim.0}:" + letter + ":" + c.Name }
		h.state[c.Name] = jobState{
			disabled: redis.HGet(key("j"), "st") == "D" || len(hashOf(redis, key("st"))) > 0,
			total:    int(integer(redis.HGet(key("j"), "n"))), owned: hashOf(redis, key("a")), marks: hashOf(redis, key("r")), failed: hashOf(redis, key("f")),
		}
	}
	for _, n := range l.up() {
		h.up = append(h.up, n.id)
	}
}

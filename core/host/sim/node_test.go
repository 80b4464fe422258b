package sim_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/host"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// node is a node of a life.
type node struct {
	*host.Host
	life *life
	id   string
	link *link

	// giveUp ends a start that is under way, after which started is closed.
	giveUp  context.CancelFunc
	started chan struct{}

	leaves bool // it stops; for the goroutine of the life
	dead   atomic.Bool
	halted atomic.Bool
	// skew is how far its clock is off, in nanoseconds.
	skew atomic.Int64

	mu      sync.Mutex
	stopped time.Duration // when the last pause began, by the clock of the bubble
	resumed chan struct{} // is closed at the end of a pause
}

// creep is how much slower the clocks of a paused node are. They must not stand
// still: a timer that has come but is not due by the clock would be set anew for
// ever.
const creep = 20

// pause is SIGSTOP: the clocks of the node all but stand still, nothing is sent or
// read and job code does not go on. What is not held up are goroutines that wait for
// a timer; they find that it is no later than before, and nobody hears of what they do.
func (n *node) pause() {
	n.mu.Lock()
	n.stopped, n.resumed = n.life.elapsed(), make(chan struct{})
	n.mu.Unlock()
	n.halted.Store(true)
}

// resume is SIGCONT.
func (n *node) resume() {
	n.mu.Lock()
	stopped := n.stopped
	n.halted.Store(false)
	close(n.resumed)
	n.mu.Unlock()
	h := &n.life.history
	h.add(func() { h.pauses[n.id] = append(h.pauses[n.id], span{stopped, n.life.elapsed()}) })
	n.link.change(func() {})
}

// gate holds the code of items up while the node is paused.
func (n *node) gate() {
	for n.halted.Load() {
		n.mu.Lock()
		resumed := n.resumed
		n.mu.Unlock()
		<-resumed
	}
}

// elapsed is the clock that leases run by.
func (n *node) elapsed() time.Duration {
	e := n.life.elapsed()
	if n.halted.Load() {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.stopped + (e-n.stopped)/creep
	}
	return e
}

// now is the clock that somebody sets.
func (n *node) now() time.Time {
	return n.life.begin.Add(n.elapsed() + time.Duration(n.skew.Load()))
}

// start makes a node and starts it; a node whose start fails is told in the story.
func (l *life) start(id string) *node {
	l.t.Helper()
	l.streams++
	n := &node{life: l, id: id, link: newLink(l.seed, l.streams, l.server.connect)}
	n.link.paused = n.halted.Load
	c := config.Defaults()
	c.Jobs = l.jobs
	c.ShutdownGrace = 3 * time.Second
	c.Instance.ID = id
	c.RegCenter = &config.RegCenter{
		Servers: []string{"sim:6379"}, Namespace: "sim", SessionTimeout: ttl, ConnectionTimeout: time.Minute,
		BaseSleepTime: 50 * time.Millisecond, MaxSleepTime: time.Second, MaxRetries: 3,
	}
	plugins := catalog.New()
	if err := plugins.Add(catalog.Source{Provenance: spi.Provenance{Host: "built-in"}}, append(builtin.All(), n.jobType(), n.listener())...); err != nil {
		l.t.Fatal(err)
	}
	elapsed := n.elapsed
	if l.slowClock != nil {
		elapsed = func() time.Duration { return l.slowClock(n.elapsed()) }
	}
	h, problems := host.New(l.t.Context(), host.Config{
		Node: c, Catalog: plugins, Logger: slog.New(storyHandler{n}), LocalZone: func() (string, error) { return "UTC", nil },
		Machine: host.Machine{Dial: n.link.Dial, Now: n.now, Elapsed: elapsed},
	})
	if len(problems) > 0 {
		l.t.Fatalf("New() = %v, want no problem", problems)
	}
	n.Host = h
	n.follow(h.Events())
	l.history.note(l.elapsed(), "%s starts", id)
	l.nodes = append(l.nodes, n)
	ctx, cancel := context.WithCancel(context.Background())
	n.giveUp, n.started = cancel, make(chan struct{})
	l.done.Go(func() {
		defer close(n.started)
		if err := h.Start(ctx); err != nil {
			l.history.note(l.elapsed(), "%s not started: %v", id, err)
			n.dead.Store(true)
		}
	})
	return n
}

// follow writes down what the node says of itself.
func (n *node) follow(events *execution.Events) {
	h := &n.life.history
	events.Misfired.Subscribe(func(e execution.ItemMisfired) {
		if !n.dead.Load() {
			h.add(func() { h.missed = append(h.missed, missed{n.id, n.life.elapsed(), e}) })
		}
	})
	events.Assigned.Subscribe(func(e execution.ItemsAssigned) {
		h.note(n.life.elapsed(), "%s adopts %s/%s, generation %d", n.id, e.Job, e.Items, e.Generation)
	})
}

// kill is kill -9: the connections end, and what the node does from now on does not
// count. Its goroutines end as those of a stop that reaches no registry.
func (n *node) kill() {
	n.dead.Store(true)
	if n.halted.Load() {
		n.resume()
	}
	h := &n.life.history
	now := n.life.elapsed()
	h.add(func() {
		for _, r := range h.runs {
			if r.node == n.id && r.to == 0 {
				r.to, r.died = now, true
			}
		}
	})
	n.life.done.Go(func() {
		n.link.change(func() { n.link.isDown = true })
		n.link.reset()
		n.giveUp()
		<-n.started
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = n.Stop(ctx) // it cannot say farewell
		n.link.close()
	})
}

// leave is SIGTERM.
func (n *node) leave() {
	n.leaves = true
	n.life.done.Go(func() {
		<-n.started
		if err := n.Stop(context.Background()); err != nil {
			n.life.history.note(n.life.elapsed(), "%s stopped: %v", n.id, err)
		}
		n.link.close()
	})
}

// storyHandler puts what the node logs into the story.
type storyHandler struct{ node *node }

func (s storyHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

func (s storyHandler) Handle(_ context.Context, r slog.Record) error {
	if s.node.dead.Load() {
		return nil
	}
	switch r.Message {
	case "item started", "item finished", "item misfired", "items assigned":
		return nil // the history has them
	}
	line := s.node.id + " says " + r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	s.node.life.history.note(s.node.life.elapsed(), "%s", line)
	return nil
}

func (s storyHandler) WithAttrs([]slog.Attr) slog.Handler { return s }
func (s storyHandler) WithGroup(string) slog.Handler      { return s }

// jobType is the code of all jobs of the simulation.
func (n *node) jobType() spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: jobType, Description: "writes to a resource that checks tokens"},
		JobType: func(context.Context, props.Values) (spi.JobType, error) {
			return spi.JobTypeFunc(func(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
				return spi.ExecuteResponse{}, n.execute(ctx, req)
			}), nil
		},
	}
}

const jobType = "SIM"

var errCode = spi.NewError(spi.CodeFailed, "as the seed wants it")

// execute writes to the resource of the item some times and ends. When ctx does, it
// goes on for a while that is within the margin.
func (n *node) execute(ctx context.Context, req spi.ExecuteRequest) error {
	c, h, l := req.Context, &n.life.history, n.life
	if n.halted.Load() {
		// Only a timer can have led here, which comes after a real pause, and then the
		// node notices first whether its lease is over.
		n.gate()
		time.Sleep(renewPause)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	b := l.behaviour[c.JobName]
	r := &run{
		place: place{c.JobName, c.ShardingItem}, node: n.id, id: c.RunID, source: c.ExecutionSource, attempt: c.Attempt,
		token: c.FencingToken, from: l.elapsed(),
	}
	if n.dead.Load() {
		return errCode
	}
	h.add(func() { h.runs = append(h.runs, r) })
	random := l.randomOf(c)
	err := n.work(ctx, r, random, b)
	h.add(func() {
		if r.to == 0 {
			r.to = l.elapsed()
		}
	})
	if err == nil && random.Float64() < b.fails {
		err = errCode
	}
	return err
}

func (n *node) work(ctx context.Context, r *run, random *rand.Rand, b behaviour) error {
	steps := 1 + random.IntN(b.steps)
	for range steps {
		timer := time.NewTimer(time.Duration(random.Int64N(int64(b.step))))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			n.gate()
			time.Sleep(time.Duration(random.Int64N(int64(b.stubborn))))
			n.gate()
			n.write(r, random)
			return ctx.Err()
		}
		n.gate()
		if n.dead.Load() {
			return errCode
		}
		// What was under way when the node stood still is not stopped by a context.
		n.write(r, random)
	}
	return nil
}

// write tries to write to the resource. The write is on its way for a while, and
// the answer may get lost.
func (n *node) write(r *run, random *rand.Rand) {
	if n.dead.Load() {
		return
	}
	l := n.life
	e := &effect{place: r.place, node: n.id, run: fmt.Sprintf("%s.%d", r.id, r.attempt), token: r.token, sent: l.elapsed()}
	time.Sleep(time.Duration(random.Int64N(int64(2 * time.Millisecond))))
	l.history.add(func() {
		e.at = l.elapsed()
		e.accept = l.resource[r.place] <= r.token
		if e.accept {
			l.resource[r.place] = r.token
		}
		l.history.effects = append(l.history.effects, e)
	})
	if random.IntN(8) == 0 {
		return
	}
	time.Sleep(time.Duration(random.Int64N(int64(2 * time.Millisecond))))
	l.history.add(func() { e.back = l.elapsed() })
}

// randomOf is what the code of one attempt draws from.
func (l *life) randomOf(c spi.ShardingContext) *rand.Rand {
	hash := fnv.New64a()
	fmt.Fprintf(hash, "%s|%d|%d|%s", c.JobName, c.ShardingItem, c.Attempt, c.FireTime)
	return rand.New(rand.NewPCG(l.seed, hash.Sum64()))
}

// instantOf is the instant of a run id, false for that of a trigger.
func instantOf(run string) (time.Time, bool) {
	at, err := registry.ParseRunID(run)
	return at, err == nil
}

package execution

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// Bounds of the messages of error handlers.
const (
	// maxTopics is how many kinds of failures of all jobs and handlers are
	// remembered. Each has at most two notices: one to be sent, and the next one.
	maxTopics = 4096
	// maxKinds is how many of those are of one handler of a job. What is beyond
	// counts as one more kind.
	maxKinds = 16
	// maxSingles is how many failures of one handler of a job wait that become a
	// message each.
	maxSingles = 256
	// noticeCalls is how many messages are sent at once. A handler of a job sends
	// one after the other.
	noticeCalls = 64
)

// outlet is a handler of a job.
type outlet struct {
	job     *Job
	handler string
}

// topic is the failures of one kind that one handler is told of. The first one
// becomes a notice at once. Those that follow become the next notice, which waits
// for the end of the window and for the notice before it.
type topic struct {
	outlet  outlet
	kind    string
	window  time.Duration
	sending *notice   // in its line, being sent, or waiting for its next try
	next    *notice   // what happened since
	until   time.Time // when the window ends
	// timer ends the wait for the next try or for the end of the window. Without
	// one, sending is in its line or being sent.
	timer  *time.Timer
	isIdle bool // there is nothing to be sent
}

func (t *topic) stopTimer() {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
}

// outbox sends the messages of error handlers. Failures of a job that are alike
// become one message of a handler within a window, and what may get through later
// is tried again. Each handler of a job has a line of its own. A notice that is
// given up goes to the log with its facts. An outbox is safe for concurrent use.
type outbox struct {
	logger  *slog.Logger
	stopJob func(ctx context.Context, job, handler string)
	pending tracker // notices
	line    *lines[outlet, *topic]

	mu       sync.Mutex
	topics   map[outlet]map[string]*topic
	count    int  // topics
	idle     int  // those that are
	singles  int  // names the topics of single failures
	stopping bool // what waits is tried once more
}

func newOutbox(logger *slog.Logger, stopJob func(ctx context.Context, job, handler string)) *outbox {
	o := &outbox{logger: logger, stopJob: stopJob, topics: make(map[outlet]map[string]*topic)}
	// A topic is in its line once, so there is always room.
	o.line = newLines[outlet](lineBounds{maxTopics, maxTopics, noticeCalls, 1}, o.send)
	return o
}

func (o *outbox) start(ctx context.Context) error { return o.line.start(ctx) }

// Reasons why a notice is not handed on.
const (
	reasonFull     = "too many failures wait"
	reasonStopNode = "the node is stopping"
)

// add takes a failure for a handler and never blocks.
func (o *outbox) add(f failure, handler *Handler) {
	now := f.run.job.executor.now()
	o.mu.Lock()
	evicted, refusal := o.accept(f, handler, now)
	o.mu.Unlock()
	o.giveUp(evicted, reasonFull)
	if refusal != "" {
		refused := &notice{handler: handler.Type}
		refused.add(f, now)
		o.report(refused, refusal)
	}
}

// accept adds a failure to its topic, or says why it does not. It returns notices
// that were given up for it.
func (o *outbox) accept(f failure, handler *Handler, now time.Time) (evicted []*notice, refusal string) {
	at := outlet{f.run.job, handler.Type}
	kind, ok := o.kindFor(at, f, handler.Window)
	if !ok {
		return nil, reasonFull
	}
	t := o.topics[at][kind]
	if t == nil {
		if evicted, ok = o.makeRoom(at); !ok {
			return nil, reasonFull
		}
	}
	f.run.spec.uses.add()
	switch {
	case t != nil && t.next != nil:
		t.next.run.spec.uses.done()
	case !o.pending.add():
		f.run.spec.uses.done()
		return evicted, reasonStopNode
	case t == nil:
		t = &topic{outlet: at, kind: kind, window: handler.Window}
		o.enter(t)
		t.next = &notice{handler: handler.Type}
	default:
		t.next = &notice{handler: handler.Type}
	}
	t.next.add(f, now)
	if t.sending == nil {
		o.advance(t)
	}
	return evicted, ""
}

// kindFor returns the kind as which a failure counts; false if it counts as none.
func (o *outbox) kindFor(at outlet, f failure, window time.Duration) (kind string, ok bool) {
	group := o.topics[at]
	if window == 0 {
		o.singles++
		return strconv.Itoa(o.singles), len(group) < maxSingles
	}
	kind = kindOf(f.err)
	if group[kind] == nil && len(group) >= maxKinds {
		return kindOther, true
	}
	return kind, true
}

// enter adds a topic.
func (o *outbox) enter(t *topic) {
	if o.topics[t.outlet] == nil {
		o.topics[t.outlet] = make(map[string]*topic)
	}
	o.topics[t.outlet][t.kind] = t
	o.count++
}

// remove forgets a topic.
func (o *outbox) remove(t *topic) {
	t.stopTimer()
	group := o.topics[t.outlet]
	delete(group, t.kind)
	if len(group) == 0 {
		delete(o.topics, t.outlet)
	}
	o.count--
	o.rest(t, false)
}

// rest notes whether a topic is idle.
func (o *outbox) rest(t *topic, isIdle bool) {
	if t.isIdle && !isIdle {
		o.idle--
	}
	if !t.isIdle && isIdle {
		o.idle++
	}
	t.isIdle = isIdle
}

// makeRoom reports whether there is room for one more topic of an outlet. When
// there are too many, one that is idle is forgotten; without one, an outlet with
// less than its share takes from one with more, so that a job with few failures
// loses none to jobs with many. What is being sent is never given up.
func (o *outbox) makeRoom(at outlet) (evicted []*notice, ok bool) {
	if o.count < maxTopics {
		return nil, true
	}
	var given *topic
	outlets := len(o.topics)
	if len(o.topics[at]) == 0 {
		outlets++
	}
	share := maxTopics / outlets
	switch {
	case o.idle > 0:
		given = o.anyIdle()
	case len(o.topics[at]) < share:
		given = o.anyBeyond(share)
	}
	if given == nil {
		return nil, false
	}
	o.remove(given)
	return given.notices(), true
}

func (o *outbox) anyIdle() *topic {
	for _, group := range o.topics {
		for _, t := range group {
			if t.isIdle {
				return t
			}
		}
	}
	return nil
}

// anyBeyond returns a topic that waits, of an outlet with more topics than its
// share. It is in no line any more.
func (o *outbox) anyBeyond(share int) *topic {
	for at, group := range o.topics {
		if len(group) <= share {
			continue
		}
		for _, t := range group {
			if t.timer != nil {
				return t
			}
		}
		if t, ok := o.line.takeLast(at); ok {
			return t
		}
	}
	return nil
}

// notices are those of a topic that are not sent.
func (t *topic) notices() (all []*notice) {
	for _, n := range []*notice{t.sending, t.next} {
		if n != nil {
			all = append(all, n)
		}
	}
	return all
}

// advance goes on with a topic of which nothing is being sent: to its next notice
// if it is time for that, or to its end.
func (o *outbox) advance(t *topic) {
	now := time.Now()
	left := t.until.Sub(now)
	isOver := left <= 0 || o.stopping
	switch {
	case isOver && t.next == nil:
		o.remove(t)
		return
	case isOver:
		t.stopTimer()
		t.sending, t.next = t.next, nil
		t.sending.since, t.until = now, now.Add(t.window)
		o.post(t)
	case t.timer == nil:
		o.after(left, t, o.advance)
	}
	o.rest(t, t.sending == nil && t.next == nil)
}

// post puts a topic into its line.
func (o *outbox) post(t *topic) {
	// Where the lines have stopped, the stop of the outbox finds it.
	_, _ = o.line.put(t.outlet, t)
}

// after does something with a topic later, unless its timer is stopped.
func (o *outbox) after(wait time.Duration, t *topic, do func(*topic)) {
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if t.timer == timer {
			t.timer = nil
			do(t)
		}
	})
	t.timer = timer
}

// send tries to send the notice of a topic.
func (o *outbox) send(ctx context.Context, t *topic) {
	o.mu.Lock()
	n := t.sending
	o.mu.Unlock()
	handler, spec := n.currentHandler()
	decision, err := callHandler(ctx, handler, n.run, n.item, spi.HandleErrorRequest{
		Context: n.context, Error: n.err, Props: spec.Values, Count: n.count, First: n.first, Last: n.last, Items: slices.Clone(n.items),
	})
	spec.uses.done()
	if decision == spi.DecisionStop {
		o.stopJob(ctx, n.run.job.name, n.handler)
	}
	n.tries++
	if wait, again := n.nextTry(err, time.Now()); again && o.putOff(t, wait) {
		o.logger.LogAttrs(ctx, slog.LevelWarn, "error handler failed, trying again", append(n.about(),
			slog.String("plugin", n.handler), slog.Any("err", err), slog.Int("attempt", n.tries), slog.Int64("millis", wait.Milliseconds()))...)
		return
	}
	if err != nil {
		o.logger.LogAttrs(ctx, slog.LevelError, "error handler failed", append(n.facts(), slog.Any("err", err))...)
	}
	o.mu.Lock()
	t.sending = nil
	o.advance(t)
	o.mu.Unlock()
	o.forget(n)
}

// putOff has the notice of a topic tried again, unless the node is stopping.
func (o *outbox) putOff(t *topic, wait time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stopping {
		return false
	}
	o.after(wait, t, o.post)
	return true
}

// stop takes no more failures, sends what waits once, as long as ctx lasts, and
// gives up what is left.
func (o *outbox) stop(ctx context.Context) {
	o.pending.close()
	o.hurry()
	_ = o.pending.wait(ctx)
	o.line.stop()
	o.mu.Lock()
	var left []*notice
	for _, group := range o.topics {
		for _, t := range group {
			o.remove(t)
			left = append(left, t.notices()...)
		}
	}
	o.mu.Unlock()
	o.giveUp(left, reasonStopNode)
}

// hurry ends all waits.
func (o *outbox) hurry() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopping = true
	for _, group := range o.topics {
		for _, t := range group {
			isWaiting := t.timer != nil
			t.stopTimer()
			if t.sending == nil {
				o.advance(t)
			} else if isWaiting {
				o.post(t)
			}
		}
	}
}

// giveUp ends notices that nobody is told of.
func (o *outbox) giveUp(notices []*notice, why string) {
	for _, n := range notices {
		o.report(n, why)
		o.forget(n)
	}
}

// report logs a notice that nobody is told of.
func (o *outbox) report(n *notice, why string) {
	notHandedOn(o.logger, append(n.facts(), slog.String("reason", why)))
}

// forget ends what an accepted notice holds.
func (o *outbox) forget(n *notice) {
	n.run.spec.uses.done()
	o.pending.done()
}

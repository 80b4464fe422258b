package execution

import (
	"context"
	"sync"

	"github.com/elasticjob-go/elasticjob/core/service"
)

// lineBounds are the bounds of lines. They make no line with slow work, and no
// few of them, hold up the others.
type lineBounds struct {
	// waiting is how many pieces of work wait in all lines, and waitingOfOne how
	// many of those wait in one.
	waiting, waitingOfOne int
	// calls is how many are under way at once, and callsOfOne how many of those
	// are of one line.
	calls, callsOfOne int
}

// lines is a queue of work in which each owner, such as a job, has a line of its
// own. The lines are served in turn. There are goroutines only while there is
// work. It is safe for concurrent use.
type lines[K comparable, T any] struct {
	bounds lineBounds
	serve  func(ctx context.Context, one T)
	loops  sync.WaitGroup

	mu       sync.Mutex
	lifetime context.Context //nolint:containedctx // of the work; nil before the start
	giveUp   context.CancelFunc
	stopped  bool              // no loop begins any more
	busy     int               // loops
	waiting  int               // pieces of work in all lines
	lines    map[K]*line[K, T] // of the owners with work
	ready    []*line[K, T]     // those whose next piece may be served, in turn
}

// line is the work of one owner.
type line[K comparable, T any] struct {
	owner   K
	waiting []T
	calls   int  // pieces being served
	isReady bool // it is among those that are
}

func newLines[K comparable, T any](bounds lineBounds, serve func(ctx context.Context, one T)) *lines[K, T] {
	return &lines[K, T]{bounds: bounds, serve: serve, lines: make(map[K]*line[K, T])}
}

// put adds work to the line of its owner and never blocks. It returns the work
// for which there is no room, if that is so: this one, or that of another.
func (q *lines[K, T]) put(owner K, one T) (lost T, isLost bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[owner]
	if l == nil {
		l = &line[K, T]{owner: owner}
		q.lines[owner] = l
	}
	from := q.roomFor(l)
	if from == nil {
		q.leave(l)
		return one, true
	}
	l.waiting = append(l.waiting, one)
	q.waiting++
	if from != l {
		lost, isLost = from.dropLast(), true
		q.waiting--
	}
	if q.lineUp(l) {
		q.hire()
	}
	return lost, isLost
}

// roomFor returns the line that makes room for one more piece of work of a line:
// that line itself if there is room, nil if there will be none. When all lines
// together are full, a line with less than its share takes from one with more, so
// that an owner with little work loses none to owners with much.
func (q *lines[K, T]) roomFor(l *line[K, T]) *line[K, T] {
	switch {
	case q.stopped || len(l.waiting) >= q.bounds.waitingOfOne:
		return nil
	case q.waiting < q.bounds.waiting:
		return l
	}
	share := q.bounds.waiting / len(q.lines)
	if len(l.waiting) >= share {
		return nil
	}
	for _, other := range q.lines {
		if len(other.waiting) > share {
			return other
		}
	}
	return nil
}

// takeLast takes the youngest work out of a line, unless it is all that waits
// there.
func (q *lines[K, T]) takeLast(owner K) (one T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[owner]
	if l == nil || len(l.waiting) < 2 {
		return one, false
	}
	q.waiting--
	return l.dropLast(), true
}

// leave drops a line that is over.
func (q *lines[K, T]) leave(l *line[K, T]) {
	if l.calls == 0 && len(l.waiting) == 0 {
		delete(q.lines, l.owner)
	}
}

// dropLast takes the youngest work out of a line.
func (l *line[K, T]) dropLast() T {
	var none T
	last := len(l.waiting) - 1
	one := l.waiting[last]
	l.waiting[last] = none
	l.waiting = l.waiting[:last]
	return one
}

// dropFirst takes the oldest work out of a line.
func (l *line[K, T]) dropFirst() T {
	var none T
	one := l.waiting[0]
	l.waiting[0] = none
	l.waiting = l.waiting[1:]
	return one
}

// lineUp gives a line its turn after all others. It reports false when it has one
// already or may not have one now.
func (q *lines[K, T]) lineUp(l *line[K, T]) bool {
	if l.isReady || len(l.waiting) == 0 || l.calls >= q.bounds.callsOfOne {
		return false
	}
	l.isReady = true
	q.ready = append(q.ready, l)
	return true
}

// hire starts a loop for a line that has got its turn. Without room for one more,
// a loop that is there comes to it.
func (q *lines[K, T]) hire() {
	if q.lifetime == nil || q.stopped || q.busy >= q.bounds.calls {
		return
	}
	q.busy++
	ctx := q.lifetime
	q.loops.Go(func() { q.loop(ctx) })
}

// loop serves until no line has work that may be served.
func (q *lines[K, T]) loop(ctx context.Context) {
	for l, one := q.next(nil); l != nil; l, one = q.next(l) {
		q.serve(ctx, one)
	}
}

// next ends the serving of a line, if there was one, and begins that of the line
// whose turn it is. Without one the loop is over.
func (q *lines[K, T]) next(served *line[K, T]) (l *line[K, T], one T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if served != nil {
		served.calls--
		q.lineUp(served)
		q.leave(served)
	}
	if len(q.ready) == 0 {
		q.busy--
		return nil, one
	}
	l = q.ready[0]
	q.ready[0] = nil
	q.ready = q.ready[1:]
	l.isReady = false
	one = l.dropFirst()
	l.calls++
	q.waiting--
	if q.lineUp(l) {
		q.hire()
	}
	return l, one
}

// start lets work be served.
func (q *lines[K, T]) start(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.stopped:
		return service.ErrStopped
	case q.lifetime != nil:
		return nil
	}
	q.lifetime, q.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	for range q.ready {
		q.hire()
	}
	return nil
}

// stop cancels what is being served, waits for its end, and returns what was
// not.
func (q *lines[K, T]) stop() []T {
	left := q.dropAll()
	q.loops.Wait()
	return left
}

func (q *lines[K, T]) dropAll() (left []T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	if q.giveUp != nil {
		q.giveUp()
	}
	for _, l := range q.lines {
		left = append(left, l.waiting...)
		l.waiting, l.isReady = nil, false
		q.leave(l)
	}
	q.ready, q.waiting = nil, 0
	return left
}

package execution

import (
	"context"
	"sync"
	"sync/atomic"
)

// tracker counts goroutines, or other things under way, so that a stop can
// wait for them. Unlike a sync.WaitGroup it may be waited for while more come,
// with a bound, and it can refuse new ones.
type tracker struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{} // closed when n falls to zero, if anybody waits
}

// add counts one more and reports whether it may begin.
func (t *tracker) add() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.n++
	return true
}

func (t *tracker) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n--
	if t.n == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}

// close refuses what is not under way yet.
func (t *tracker) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}

func (t *tracker) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

// wait returns when nothing is under way, or with the cause when ctx ends.
func (t *tracker) wait(ctx context.Context) error {
	t.mu.Lock()
	if t.n == 0 {
		t.mu.Unlock()
		return nil
	}
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	t.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// usage counts what is under way, as tracker does, but takes no lock until
// somebody waits. It refuses nothing.
type usage struct {
	n       atomic.Int64
	watched atomic.Bool // somebody has waited

	mu   sync.Mutex
	idle chan struct{} // closed when n falls to zero, if anybody waits
}

func (u *usage) add() { u.n.Add(1) }

// done counts one less. Who waits has set watched before it reads the count: one
// of both sees the other.
func (u *usage) done() {
	if u.n.Add(-1) > 0 || !u.watched.Load() {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.idle != nil {
		close(u.idle)
		u.idle = nil
	}
}

// wait returns when nothing is under way, or with the cause when ctx ends.
func (u *usage) wait(ctx context.Context) error {
	u.mu.Lock()
	if u.idle == nil {
		u.idle = make(chan struct{})
	}
	idle := u.idle
	u.watched.Store(true)
	u.mu.Unlock()
	if u.n.Load() == 0 {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

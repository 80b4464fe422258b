//go:build unix

package chaos_test

import (
	"bufio"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy is the way of one node to Redis.
type proxy struct {
	listener net.Listener
	target   string
	all      sync.WaitGroup

	mu      sync.Mutex
	state   kind // "" lets all through
	delay   time.Duration
	changed chan struct{} // closed when state changes
	closed  bool
	conns   map[net.Conn]struct{}
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, changed: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	p.all.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// set makes it refuse, hang, mute or slow by a delay; "" lets all through again.
func (p *proxy) set(state kind, delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state, p.delay = state, delay
	close(p.changed)
	p.changed = make(chan struct{})
	if state == refuse {
		p.endAll()
	}
}

// endAll ends all connections. The caller holds the lock.
func (p *proxy) endAll() {
	for c := range p.conns {
		_ = c.Close() // its other end may have done so
	}
}

func (p *proxy) close() {
	_ = p.listener.Close() // nobody else has
	p.mu.Lock()
	p.closed = true
	close(p.changed)
	p.changed = make(chan struct{})
	p.endAll()
	p.mu.Unlock()
	p.all.Wait()
}

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.all.Go(func() { p.serve(near) })
	}
}

// serve joins a connection with one of its own to the target.
func (p *proxy) serve(near net.Conn) {
	defer func() { _ = near.Close() }()
	if !p.keep(near) {
		return
	}
	defer p.forget(near)
	far, err := (&net.Dialer{Timeout: time.Second}).Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	if !p.keep(far) {
		return
	}
	defer p.forget(far)
	var both sync.WaitGroup
	both.Go(func() { p.pump(far, near, false) })
	both.Go(func() { p.pump(near, far, true) })
	both.Wait()
}

func (p *proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.state == refuse {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// pump hands on what one end sends to the other, until either ends. What was sent
// before the end arrives, as it does on a network.
func (p *proxy) pump(to, from net.Conn, isAnswer bool) {
	defer func() { _ = to.Close() }()
	r := bufio.NewReader(from)
	buffer := make([]byte, 1<<16)
	for {
		n, err := r.Read(buffer)
		if n > 0 && !p.pass(isAnswer) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				_, _ = io.Copy(io.Discard, from)
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits until something may pass; false when nothing will any more.
func (p *proxy) pass(isAnswer bool) bool {
	for {
		p.mu.Lock()
		state, delay, changed, closed := p.state, p.delay, p.changed, p.closed
		p.mu.Unlock()
		switch {
		case closed || state == refuse:
			return false
		case state == hang, state == mute && isAnswer:
			<-changed
		case state == slow:
			<-time.After(delay)
			return true
		default:
			return true
		}
	}
}

package sim_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// link is the way between a node and the server, with all connections that the
// node has. What it does to them is drawn from the seed of the life.
//
// A pause of the node holds up what it reads, also the ends of its waits, and keeps
// what it writes. Nothing here blocks a writer or a dialer: the client library does
// both under locks, and a goroutine that waits for a lock keeps the clock of a
// bubble from going on.
type link struct {
	connect func() (net.Conn, error) // to the server
	paused  func() bool

	mu      sync.Mutex
	random  *rand.Rand
	slow    time.Duration // is added to each way, up to this
	isDown  bool          // connections are reset, new ones refused
	stalled [2]bool       // by direction: bytes wait on the way
	cuts    [2]float64    // by direction: the share of messages with which a connection breaks
	changed chan struct{} // is closed at every change
	conns   map[*conn]bool
	done    sync.WaitGroup
}

// Directions of a link.
const (
	toServer = iota
	toNode
)

func newLink(seed, stream uint64, connect func() (net.Conn, error)) *link {
	return &link{
		connect: connect, paused: func() bool { return false }, random: rand.New(rand.NewPCG(seed, stream)),
		changed: make(chan struct{}), conns: make(map[*conn]bool),
	}
}

// change alters the link and lets all that waits look again.
func (l *link) change(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do()
	close(l.changed)
	l.changed = make(chan struct{})
}

// reset breaks all connections.
func (l *link) reset() {
	l.mu.Lock()
	var all []*conn
	for c := range l.conns {
		all = append(all, c)
	}
	l.mu.Unlock()
	for _, c := range all {
		c.breakOff()
	}
}

// close breaks all connections and waits for what served them.
func (l *link) close() {
	l.change(func() { l.isDown = true })
	l.reset()
	l.done.Wait()
}

// Dial makes a connection to the server. It does not wait.
func (l *link) Dial(context.Context, string, string) (net.Conn, error) {
	l.mu.Lock()
	refused := l.isDown || l.stalled[toServer] || l.stalled[toNode]
	l.mu.Unlock()
	if refused || l.paused() {
		return nil, &net.OpError{Op: "dial", Net: "sim", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	pipe, err := l.connect()
	if err != nil {
		return nil, err
	}
	c := &conn{link: l, pipe: pipe, broken: make(chan struct{}), wrote: make(chan struct{}, 1), came: make(chan struct{}, 1)}
	l.mu.Lock()
	l.conns[c] = true
	l.mu.Unlock()
	l.done.Go(c.send)
	l.done.Go(c.receive)
	return c, nil
}

// delay draws how long a message is on its way.
func (l *link) delay() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := 50*time.Microsecond + time.Duration(l.random.Int64N(int64(500*time.Microsecond)))
	if l.slow > 0 {
		d += time.Duration(l.random.Int64N(int64(l.slow)))
	}
	return d
}

// breaks draws whether a connection breaks with a message.
func (l *link) breaks(direction int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cuts[direction] > 0 && l.random.Float64() < l.cuts[direction]
}

// holds reports whether a direction lets nothing through now, and a channel that
// is closed when that may be over.
func (l *link) holds(direction int) (bool, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stalled[direction] || l.paused(), l.changed
}

// message is a piece of the stream with the time at which it arrives.
type message struct {
	at   time.Time
	data []byte
}

// conn is the node's end of a connection.
type conn struct {
	link *link
	pipe net.Conn // the other end is the server's

	breakOnce sync.Once
	broken    chan struct{}
	wrote     chan struct{} // has a value when there is something to send
	came      chan struct{} // has a value when there is something to read, or the deadline is another

	mu       sync.Mutex
	outbox   []message
	inbox    []message
	deadline time.Time
	last     [2]time.Time // arrival of the last message, by direction
	greeted  bool         // the handshake is over
	closed   bool         // by the node
	ended    bool         // by the server
}

var _ net.Conn = (*conn)(nil)

// arrival is when a message arrives that is sent now: not before those sent earlier.
func (c *conn) arrival(direction int) time.Time {
	at := time.Now()
	if c.greeted {
		at = at.Add(c.link.delay())
	}
	if at.Before(c.last[direction]) {
		at = c.last[direction]
	}
	c.last[direction] = at
	return at
}

// Write takes a copy of b on its way.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return 0, net.ErrClosed
	case c.isBroken():
		return 0, &net.OpError{Op: "write", Net: "sim", Err: os.NewSyscallError("write", syscall.EPIPE)}
	}
	// The library shakes hands under a lock, so that must not take time.
	c.greeted = c.greeted || !isGreeting(b)
	c.outbox = append(c.outbox, message{c.arrival(toServer), append([]byte(nil), b...)})
	signal(c.wrote)
	return len(b), nil
}

// isGreeting reports whether b is of the handshake of the client library.
func isGreeting(b []byte) bool {
	parts := bytes.SplitN(b, []byte("\r\n"), 4)
	return len(parts) == 4 && (bytes.EqualFold(parts[2], []byte("hello")) || bytes.EqualFold(parts[2], []byte("client")))
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// send carries what the node writes to the server.
func (c *conn) send() {
	for {
		c.mu.Lock()
		var next message
		if len(c.outbox) > 0 {
			next = c.outbox[0]
			c.outbox = c.outbox[1:]
		}
		greeted := c.greeted
		c.mu.Unlock()
		if next.data == nil {
			select {
			case <-c.wrote:
				continue
			case <-c.broken:
				return
			}
		}
		if !c.pass(next, toServer, greeted) {
			return
		}
		if greeted && c.link.breaks(toServer) {
			c.breakOff() // before the server has it
			return
		}
		if _, err := c.pipe.Write(next.data); err != nil {
			c.breakOff()
			return
		}
	}
}

// pass waits until a message may arrive, and reports false if the connection
// breaks before.
func (c *conn) pass(m message, direction int, greeted bool) bool {
	timer := time.NewTimer(time.Until(m.at))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.broken:
		return false
	}
	for greeted {
		isHeld, changed := c.link.holds(direction)
		if !isHeld {
			break
		}
		select {
		case <-changed:
		case <-c.broken:
			return false
		}
	}
	return true
}

// receive takes what the server writes.
func (c *conn) receive() {
	buffer := make([]byte, 64<<10)
	for {
		n, err := c.pipe.Read(buffer)
		c.mu.Lock()
		if n > 0 {
			c.inbox = append(c.inbox, message{c.arrival(toNode), append([]byte(nil), buffer[:n]...)})
		}
		c.ended = c.ended || err != nil
		greeted := c.greeted
		c.mu.Unlock()
		signal(c.came)
		if n > 0 && greeted && c.link.breaks(toNode) {
			c.breakOff() // what the server has answered is lost
		}
		if err != nil {
			return
		}
	}
}

// Read waits for what the server has sent, or for the deadline. A node that is
// paused waits for neither.
func (c *conn) Read(b []byte) (int, error) {
	for {
		_, changed := c.link.holds(toNode)
		n, wait, err := c.tryRead(b)
		if n > 0 || err != nil {
			return n, err
		}
		var timer *time.Timer
		var alarm <-chan time.Time
		if wait >= 0 {
			timer = time.NewTimer(wait)
			alarm = timer.C
		}
		broken := c.broken
		if wait == paused {
			broken = nil // it does not notice
		}
		select {
		case <-alarm:
		case <-c.came:
		case <-broken:
		case <-changed:
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// What tryRead returns when no time is known.
const (
	forever time.Duration = -1 - iota
	paused                // nothing counts before the pause is over
)

// tryRead returns what there is, or how long it may take until there is something;
// a negative time is not known.
func (c *conn) tryRead(b []byte) (n int, wait time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	isPaused := c.greeted && c.link.paused()
	isHeld := false
	if c.greeted {
		isHeld, _ = c.link.holds(toNode)
	}
	switch {
	case c.closed:
		return 0, 0, net.ErrClosed
	case isPaused:
		return 0, paused, nil
	case c.isBroken():
		return 0, 0, &net.OpError{Op: "read", Net: "sim", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	wait = forever
	if len(c.inbox) > 0 && !isHeld {
		if wait = c.inbox[0].at.Sub(now); wait <= 0 {
			n = copy(b, c.inbox[0].data)
			if c.inbox[0].data = c.inbox[0].data[n:]; len(c.inbox[0].data) == 0 {
				c.inbox = c.inbox[1:]
			}
			return n, 0, nil
		}
	}
	if len(c.inbox) == 0 && c.ended {
		return 0, 0, io.EOF
	}
	if !c.deadline.IsZero() {
		left := c.deadline.Sub(now)
		if left <= 0 {
			return 0, 0, os.ErrDeadlineExceeded
		}
		if wait < 0 || left < wait {
			wait = left
		}
	}
	return 0, wait, nil
}

func (c *conn) isBroken() bool {
	select {
	case <-c.broken:
		return true
	default:
		return false
	}
}

// breakOff ends the connection for both sides, with what is on its way.
func (c *conn) breakOff() {
	c.breakOnce.Do(func() {
		close(c.broken)
		// Nobody reads any more, so nothing can be lost by the end.
		_ = c.pipe.Close()
		c.link.mu.Lock()
		delete(c.link.conns, c)
		c.link.mu.Unlock()
	})
}

// Close ends the connection.
func (c *conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.breakOff()
	signal(c.came)
	return nil
}

// SetDeadline bounds reads; writes do not wait.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline bounds reads.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.deadline = t
	c.mu.Unlock()
	signal(c.came)
	return nil
}

// SetWriteDeadline does nothing, as writes do not wait.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr and RemoteAddr name the two ends.
func (c *conn) LocalAddr() net.Addr  { return address("node") }
func (c *conn) RemoteAddr() net.Addr { return address("server") }

type address string

func (a address) Network() string { return "sim" }
func (a address) String() string  { return string(a) }

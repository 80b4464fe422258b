package embedded

import (
	"net"
	"sync"
	"time"
)

// conn is the client's end of an in-process connection. A pipe has no buffer:
// a pipeline's writer and the server's writer would each wait for the other to
// read. So Write queues the bytes and a goroutine feeds them to the pipe. The
// queue holds at most what the client writes before it reads: one pipeline.
type conn struct {
	net.Conn
	done sync.WaitGroup

	mu     sync.Mutex
	wake   sync.Cond
	queue  [][]byte
	err    error
	closed bool
}

var _ net.Conn = (*conn)(nil)

func newConn(pipe net.Conn) *conn {
	c := &conn{Conn: pipe}
	c.wake.L = &c.mu
	c.done.Go(c.feed)
	return c
}

// Write queues a copy of b. It never blocks; an earlier failure of the pipe is
// returned by the next Write.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	if c.err != nil {
		return 0, c.err
	}
	c.queue = append(c.queue, append([]byte(nil), b...))
	c.wake.Signal()
	return len(b), nil
}

// SetWriteDeadline does nothing, as Write does not block; a deadline on the
// pipe would cut the goroutine behind it short.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline bounds reads only.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// Close drops what is still queued, closes the pipe and waits for the
// goroutine.
func (c *conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.wake.Signal()
	c.mu.Unlock()
	err := c.Conn.Close()
	c.done.Wait()
	return err
}

func (c *conn) feed() {
	for {
		c.mu.Lock()
		for len(c.queue) == 0 && !c.closed {
			c.wake.Wait()
		}
		if c.closed {
			c.mu.Unlock()
			return
		}
		batch := c.queue
		c.queue = nil
		c.mu.Unlock()
		for _, b := range batch {
			if _, err := c.Conn.Write(b); err != nil {
				c.mu.Lock()
				c.err = err
				c.mu.Unlock()
				return
			}
		}
	}
}

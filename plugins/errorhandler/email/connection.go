package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	maillog "github.com/wneessen/go-mail/log"
)

// connection is the one connection of a session, which the SMTP client leaves
// open when a session fails half-way.
type connection struct {
	tls         *tls.Config
	implicitTLS bool

	mu sync.Mutex

	conn   net.Conn
	closed bool
}

// dial connects, with TLS if that comes first.
func (c *connection) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dial := (&net.Dialer{}).DialContext
	if c.implicitTLS {
		dial = (&tls.Dialer{Config: c.tls}).DialContext
	}
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.conn = conn
	closed := c.closed // while it was dialled
	c.mu.Unlock()
	if closed {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	return conn, nil
}

// close ends the connection and what waits for it. It may be called more than
// once.
func (c *connection) close() {
	c.mu.Lock()
	conn := c.conn
	c.conn, c.closed = nil, true
	c.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
}

// dialogue writes what client and server say to each other to a log. The
// client leaves the login out.
type dialogue struct{ log func(line string) }

var _ maillog.Logger = dialogue{}

// Debugf writes one line.
func (d dialogue) Debugf(l maillog.Log) {
	who := "server: "
	if l.Direction == maillog.DirClientToServer {
		who = "client: "
	}
	d.log(who + strings.TrimRight(fmt.Sprintf(l.Format, l.Messages...), "\r\n"))
}

// Infof writes one line.
func (d dialogue) Infof(l maillog.Log) { d.Debugf(l) }

// Warnf writes one line.
func (d dialogue) Warnf(l maillog.Log) { d.Debugf(l) }

// Errorf writes one line.
func (d dialogue) Errorf(l maillog.Log) { d.Debugf(l) }

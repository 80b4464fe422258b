package hostcall

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// Bounds of connections.
const (
	maxClients      = 64  // kept while nobody uses them
	maxRequests     = 256 // of a client at once
	maxIdle         = 16  // connections of a client
	maxIdlePerHost  = 8
	maxHeader       = 64 << 10
	idleTimeout     = 30 * time.Second
	connectTimeout  = 10 * time.Second
	keepAlivePeriod = 30 * time.Second
)

// clientKey says who may share connections: a connection that one plugin may
// make and the other may not must not be found by the other.
type clientKey struct {
	plugin  string
	trusted bool
	reach   string
}

// client is the connections of one plugin on the same terms.
type client struct {
	transport *http.Transport
	slots     chan struct{}

	// Guarded by the mutex of the host.
	users int
	turn  uint64
}

// acquire returns the client of a plugin and reserves a slot in it. The caller
// calls release once.
func (h *Host) acquire(ctx context.Context, plugin string, trusted bool, r reach) (c *client, release func(), err error) {
	key := clientKey{plugin: plugin, trusted: trusted, reach: r.key}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil, nil, spi.NewError(spi.CodeCancelled, "the node is stopping")
	}
	c = h.clients[key]
	var unused *client
	if c == nil {
		c = h.newClient(plugin, trusted, r)
		unused = h.dropUnused()
		h.clients[key] = c
	}
	h.turn++
	c.turn = h.turn
	c.users++
	h.mu.Unlock()
	if unused != nil {
		unused.transport.CloseIdleConnections()
	}
	leave := func() {
		h.mu.Lock()
		c.users--
		h.mu.Unlock()
	}
	select {
	case c.slots <- struct{}{}:
		return c, func() { <-c.slots; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, nil, ctx.Err()
	}
}

// dropUnused makes room for one more client: it takes the one that has been
// without a user longest out of the table. With none of these the table grows,
// which the number of plugins bounds.
func (h *Host) dropUnused() *client {
	if len(h.clients) < maxClients {
		return nil
	}
	var oldest *client
	var its clientKey
	for key, c := range h.clients {
		if c.users == 0 && (oldest == nil || c.turn < oldest.turn) {
			oldest, its = c, key
		}
	}
	if oldest != nil {
		delete(h.clients, its)
	}
	return oldest
}

func (h *Host) newClient(plugin string, trusted bool, r reach) *client {
	dial := func(ctx context.Context, network, where string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(where)
		if err != nil {
			return nil, err
		}
		dialer := net.Dialer{Timeout: connectTimeout, KeepAlive: keepAlivePeriod, Resolver: h.config.Resolver}
		if !trusted {
			// Called with each address before it is connected to.
			dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
				at, err := netip.ParseAddrPort(address)
				if err != nil {
					return err
				}
				if !r.allows(host, at) {
					return deniedAddress(host, at, h.config.HowToGrant("http", plugin))
				}
				return nil
			}
		}
		return dialer.DialContext(ctx, network, where)
	}
	// A response is read whole, so HTTP/2 would gain little.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &client{
		slots: make(chan struct{}, maxRequests),
		transport: &http.Transport{
			DialContext:            dial,
			TLSClientConfig:        &tls.Config{RootCAs: h.config.RootCAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    connectTimeout,
			MaxIdleConns:           maxIdle,
			MaxIdleConnsPerHost:    maxIdlePerHost,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxHeader,
			Protocols:              &protocols,
		},
	}
}

func deniedAddress(host string, at netip.AddrPort, howToGrant string) error {
	address := at.Addr().Unmap().WithZone("")
	grant := target{address: address, port: int(at.Port()), scheme: "http"}.String()
	return spi.NewError(spi.CodeDenied, fmt.Sprintf("http.request to %s is not granted: %s is not a public address; "+
		"add %s or its network %s", host, address, grant, howToGrant))
}

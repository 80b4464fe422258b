package dial

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// clientName is how CLIENT LIST shows the connections.
	clientName = "elasticjob"
	// Of each server, Commands uses at most this many connections, and for
	// pipelines as many as pipelinePoolSize more: a server runs one command at a
	// time and has some ten thousand connections for all nodes of a fleet.
	commandPoolSize  = 24
	pipelinePoolSize = 4
	// Firings needs four for each partition, as one batch of each kind is under way
	// at a time. It may have more: after so many dials that failed the library tries
	// once a second only, which is long for who waits to end an item.
	firingPoolSize = 64
	// Sessions uses this many: a node renews the sessions of all partitions of a
	// server within milliseconds.
	sessionPoolSize = 4
	// dialTimeout bounds the time until a connection stands.
	dialTimeout = 3 * time.Second
	// replyTimeout bounds the wait for a reply where ctx does not end before.
	replyTimeout = 5 * time.Second
	// keepAlive finds connections whose other end has vanished.
	keepAlive = 15 * time.Second
	// minRedirects is how often a command of a Cluster follows the slot that it is
	// for, also where nothing is retried.
	minRedirects = 3
)

// common are the options of all clients, for every shape.
func (c Config) common() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs:            c.Servers,
		MasterName:       c.MasterName,
		ClientName:       clientName,
		DB:               c.Database,
		Username:         c.Username,
		Password:         c.Password,
		SentinelUsername: c.SentinelUsername,
		SentinelPassword: c.SentinelPassword,
		// The library's own dialer does not heed ctx while it shakes hands.
		Dialer:      c.dial,
		TLSConfig:   c.TLS,
		DialTimeout: dialTimeout,
		// A dial that fails is repeated with the command it is for.
		DialerRetries:         1,
		ReadTimeout:           replyTimeout,
		WriteTimeout:          replyTimeout,
		PoolTimeout:           replyTimeout + time.Second,
		ContextTimeoutEnabled: true,
		// The library's name and version are of no use to anybody there.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

func (c Config) commands() *redis.UniversalOptions {
	o := c.common()
	o.PoolSize = commandPoolSize
	o.PipelinePoolSize = pipelinePoolSize
	o.MaxRetries = c.MaxRetries
	if o.MaxRetries <= 0 {
		o.MaxRetries = -1
	}
	o.MinRetryBackoff = c.MinRetryBackoff
	o.MaxRetryBackoff = c.MaxRetryBackoff
	o.MaxRedirects = max(c.MaxRetries, minRedirects)
	return o
}

// once are the options of a client that tries each command once.
func (c Config) once(poolSize int) *redis.UniversalOptions {
	o := c.common()
	o.PoolSize = poolSize
	o.PipelinePoolSize = -1
	o.MaxRetries = -1
	o.MaxRedirects = minRedirects
	return o
}

// dial connects to one server, in TLS if that is configured.
func (c Config) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return c.dialTo(ctx, network, addr, c.TLS)
}

func (c Config) dialTo(ctx context.Context, network, addr string, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	open := c.Dial
	if open == nil {
		open = (&net.Dialer{KeepAlive: keepAlive}).DialContext
	}
	conn, err := open(ctx, network, addr)
	if err != nil || config == nil {
		return conn, err
	}
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			host = addr
		}
		config = config.Clone()
		config.ServerName = host
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // nothing was said on it
		return nil, &handshakeError{err: err}
	}
	return secure, nil
}

// handshakeError tells a failed handshake from a failed connection.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Errors that callers tell apart.
var (
	// ErrUnreachable says that no server could be used until the time for it was
	// over. It may be another time.
	ErrUnreachable = errors.New("registry center unreachable")
	// ErrUnsuitable says that the servers, or what the configuration says of them,
	// must be changed first.
	ErrUnsuitable = errors.New("registry center unsuitable")
)

// Config says where Redis is and how it is to be talked to.
type Config struct {
	// Servers are addresses, host:port: of one server, of Sentinels if there is a
	// MasterName, or of nodes of a Cluster. One node of a Cluster is enough.
	Servers []string
	// MasterName is what the Sentinels call the master; empty means that there
	// are no Sentinels.
	MasterName string
	// Namespace is that of the registry center. If it is not empty, Open checks
	// whether the user may do there what the registry center does, as far as the
	// server tells.
	Namespace string
	// Username and Password are those of the servers that hold data. An empty
	// Username means the default user, an empty Password that none is sent.
	Username, Password string
	// SentinelUsername and SentinelPassword are those of the Sentinels.
	SentinelUsername, SentinelPassword string
	// Database is the number of the database, 0 on a Cluster.
	Database int
	// TLS is used for all servers, Sentinels too; nil means none. Where it has no
	// ServerName, a certificate must be for the host of the address it is used at.
	TLS *tls.Config
	// Dial makes the connections to servers; nil means that of the system.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// ConnectionTimeout is how long Open tries; zero means that it tries once.
	ConnectionTimeout time.Duration
	// MaxRetries is how often Commands repeats a command that failed for a reason
	// that may pass, with a pause from MinRetryBackoff, doubled each time, to
	// MaxRetryBackoff; zero means never. A pause of zero means that of the client
	// library, 10 milliseconds and one second.
	MinRetryBackoff, MaxRetryBackoff time.Duration
	MaxRetries                       int
	// Waiting, if not nil, is called by Open whenever it has to wait for what may
	// pass, with what it waits for.
	Waiting func(error)
}

// Connection is a Redis that was reached. It is safe for concurrent use.
type Connection struct {
	commands, firings, sessions redis.UniversalClient
	text                        string
	cluster                     bool
	advice                      []string
}

// Open reaches Redis and checks that it can hold a registry center: that it is
// recent enough, evicts nothing and runs scripts. What may pass by itself is
// tried again until the ConnectionTimeout is over, then the error is an
// ErrUnreachable; all else is an ErrUnsuitable at once. When ctx ends, so does
// Open, with the cause of ctx.
func Open(ctx context.Context, c Config) (*Connection, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("connecting to the registry center: %w: %w", ErrUnsuitable, err)
	}
	s, err := wait(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("connecting to the registry center: %w", err)
	}
	return &Connection{
		commands: s.client(c.commands()),
		firings:  s.client(c.once(firingPoolSize)),
		sessions: s.client(c.once(sessionPoolSize)),
		text:     s.String(),
		cluster:  s.kind == kindCluster,
		advice:   s.advice,
	}, nil
}

// check refuses what no server could make right.
func (c Config) check() error {
	if len(c.Servers) == 0 {
		return errors.New("no server is given")
	}
	if c.Database < 0 {
		return fmt.Errorf("there is no database %d: they count from 0", c.Database)
	}
	return nil
}

// wait settles what the servers are, again and again until the time is over.
func wait(ctx context.Context, c Config) (shape, error) {
	limited, cancel := context.WithTimeout(ctx, c.ConnectionTimeout)
	defer cancel()
	begun := time.Now()
	for pause, tries := firstPause, 1; ; pause, tries = min(2*pause, lastPause), tries+1 {
		looking, stop := context.WithTimeout(ctx, attempt(c.ConnectionTimeout-time.Since(begun)))
		s, p := settle(looking, c)
		stop()
		switch {
		case ctx.Err() != nil:
			return shape{}, context.Cause(ctx)
		case p == nil:
			return s, nil
		case !p.passing:
			return shape{}, fmt.Errorf("%w: %s", ErrUnsuitable, p.text)
		}
		if c.Waiting != nil && limited.Err() == nil {
			c.Waiting(errors.New(p.text))
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-limited.Done():
			timer.Stop()
		}
		switch {
		case ctx.Err() != nil:
			return shape{}, context.Cause(ctx)
		case limited.Err() != nil:
			return shape{}, fmt.Errorf("%w: %s (tried %s in %v)",
				ErrUnreachable, p.text, times(tries), time.Since(begun).Round(time.Millisecond))
		}
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// Commands is the client for all but firings and sessions. It is valid until Close.
func (c *Connection) Commands() redis.UniversalClient { return c.commands }

// Firings is the client for the begins and ends of items. It repeats nothing by
// itself: its users do, with pauses that are short beside a firing, and would wait
// for the configured ones. It is valid until Close.
func (c *Connection) Firings() redis.UniversalClient { return c.firings }

// Sessions is the client for registrations, renewals and farewells. It repeats
// nothing by itself, as its users do and know how long. It is valid until Close.
func (c *Connection) Sessions() redis.UniversalClient { return c.sessions }

// Cluster says that Redis is a Cluster.
func (c *Connection) Cluster() bool { return c.cluster }

// Advice is what an operator should change about the servers, although they can
// be used: one sentence each, none if all is well.
func (c *Connection) Advice() []string { return c.advice }

// String is for logs: the shape, the addresses and the database.
func (c *Connection) String() string { return c.text }

// Close closes the clients. Closing twice is harmless.
func (c *Connection) Close() error {
	var problems []error
	for _, client := range []redis.UniversalClient{c.sessions, c.firings, c.commands} {
		if err := client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("disconnecting from the registry center: %w", err)
	}
	return nil
}

// list writes addresses for people.
func list(addrs []string) string { return strings.Join(addrs, ", ") }

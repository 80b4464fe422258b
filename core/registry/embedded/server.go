// Package embedded runs a Redis-compatible server inside this process, for a
// node whose configuration names no registry center.
//
// The server is miniredis, with package script for its scripts; it is reached
// through in-process connections and never opens a port. Nothing is kept on disk:
// its data ends with Close. It suits some five thousand monitored firings a second.
//
// A server may live inside a testing/synctest bubble, where its clock is the
// bubble's.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/elasticjob-go/elasticjob/core/registry/embedded/script"
)

const (
	// poolSize is small: the server runs one command at a time.
	poolSize = 16
	// ioTimeout bounds one command, including its wait behind the others. The
	// server cannot vanish on its own, so only an overloaded machine meets it.
	ioTimeout = 30 * time.Second
)

// Server is an in-process Redis and a client of it. It is safe for concurrent
// use.
type Server struct {
	redis  *miniredis.Miniredis
	client *redis.Client
}

// Open starts a server and connects its client. The caller closes it.
func Open(ctx context.Context) (*Server, error) {
	s := &Server{redis: miniredis.NewMiniRedis()}
	runner, err := script.New(s.redis)
	if err != nil {
		s.redis.Close()
		return nil, fmt.Errorf("opening the embedded registry: %w", err)
	}
	s.redis.Server().SetPreHook(runner.Answer)
	s.client = s.Connect()
	if err := s.client.Ping(ctx).Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("reaching the embedded registry: %w", err), s.Close())
	}
	return s, nil
}

// Connect returns another client of the server, as simulations of several nodes
// need it. The caller closes it.
func (s *Server) Connect() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: "embedded",
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			c, err := s.redis.Dial()
			if err != nil {
				return nil, err
			}
			return newConn(c), nil
		},
		PoolSize:         poolSize,
		PipelinePoolSize: -1, // a second pool would wait on the same lock
		ReadTimeout:      ioTimeout,
		WriteTimeout:     ioTimeout,
		// The connection loses nothing, so a retry could only hide a fault.
		MaxRetries:               -1,
		DialerRetries:            1,
		ContextTimeoutEnabled:    true,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// Client is the server's client. It is valid until Close.
func (s *Server) Client() redis.UniversalClient { return s.client }

// SetTime stops the server's clock at t, as simulations and tests need it. The
// zero time lets it run again.
func (s *Server) SetTime(t time.Time) { s.redis.SetTime(t) }

// Close ends the client and the server, and waits for the connections. All
// data is gone. Closing twice is harmless.
func (s *Server) Close() error {
	err := s.client.Close()
	if errors.Is(err, redis.ErrClosed) {
		err = nil
	}
	s.redis.Close()
	if err != nil {
		return fmt.Errorf("closing the embedded registry's client: %w", err)
	}
	return nil
}

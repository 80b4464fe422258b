package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/config"
)

// scriptCalls are the commands that our nodes send while they fire.
var scriptCalls = []string{"evalsha", "eval"} //nolint:gochecknoglobals // a constant list

// nodes are our nodes of one process, with what they need.
type nodes struct {
	redis   *redisServer
	list    []*elasticjob.Node
	closers []func() error
}

// config returns the configuration of a node without jobs: on the registry
// inside it, or on a Redis that is started.
func (n *nodes) config(ctx context.Context, onRedis bool) (elasticjob.Config, error) {
	c := elasticjob.Defaults()
	dir, err := os.MkdirTemp("", "elasticjob-bench-")
	if err != nil {
		return c, err
	}
	n.closers = append(n.closers, func() error { return os.RemoveAll(dir) })
	c.DataDir = dir
	if !onRedis {
		return c, nil
	}
	if n.redis, err = startRedis(ctx); err != nil {
		return c, err
	}
	n.closers = append(n.closers, n.redis.stop)
	center := config.DefaultRegCenter()
	center.Servers, center.Namespace = []string{n.redis.addr}, "bench"
	c.RegCenter = &center
	return c, n.wait(ctx, c)
}

const (
	// waitSession is the shortest session, so that a new namespace waits least.
	waitSession = 3 * time.Second
	// waitPatience bounds that wait.
	waitPatience = 30 * time.Second
)

// wait sits out the time in which nothing is started in a namespace that is new.
func (n *nodes) wait(ctx context.Context, c elasticjob.Config) error {
	center := *c.RegCenter
	center.SessionTimeout = waitSession
	c.RegCenter = &center
	over := make(chan struct{})
	node, err := elasticjob.New(ctx, c, elasticjob.WithLogger(slog.New(&awaited{message: "the wait is over", seen: over})))
	if err != nil {
		return err
	}
	err = node.Start(ctx)
	bounded, cancel := context.WithTimeout(ctx, waitPatience)
	defer cancel()
	if err == nil {
		select {
		case <-over:
		case <-bounded.Done():
			err = fmt.Errorf("the namespace was not ready within %v", waitPatience)
		}
	}
	return errors.Join(err, node.Stop(context.WithoutCancel(ctx)))
}

// awaited is a log that waits for one record.
type awaited struct {
	message string
	seen    chan struct{}
	once    sync.Once
}

var _ slog.Handler = (*awaited)(nil)

// Enabled reports whether records of the level are of interest.
func (a *awaited) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// WithAttrs returns a: only the message counts.
func (a *awaited) WithAttrs([]slog.Attr) slog.Handler { return a }

// WithGroup returns a, likewise.
func (a *awaited) WithGroup(string) slog.Handler { return a }

// Handle takes note of the record.
func (a *awaited) Handle(_ context.Context, r slog.Record) error {
	if r.Message == a.message {
		a.once.Do(func() { close(a.seen) })
	}
	return nil
}

// start starts one more node.
func (n *nodes) start(ctx context.Context, c elasticjob.Config, options ...elasticjob.Option) error {
	node, err := elasticjob.New(ctx, c, options...)
	if err != nil {
		return err
	}
	n.list = append(n.list, node)
	return node.Start(ctx)
}

// stop stops the nodes, then what they need.
func (n *nodes) stop(ctx context.Context) error {
	var errs []error
	for _, node := range n.list {
		errs = append(errs, node.Stop(context.WithoutCancel(ctx)))
	}
	for _, closer := range slices.Backward(n.closers) {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}

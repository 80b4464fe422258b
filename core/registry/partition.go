package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// batchJobs is the number of jobs that one script call handles: it bounds how
// long the server is busy, and a script costs much more than one job in it.
const batchJobs = 50

// Partition is one part of a namespace: a hash slot with jobs and with sessions,
// a leader and a feed of its own. A node has a session in each partition. It is
// safe for concurrent use.
type Partition struct {
	config  Config
	index   int
	keys    keyspace
	scripts scripts
	clock   func(context.Context, redis.Pipeliner) func() time.Time
}

// Index is the partition's number in the namespace, from 0.
func (p *Partition) Index() int { return p.index }

// RenewInterval is how often a session is to be renewed: a third of its lease.
func (p *Partition) RenewInterval() time.Duration { return p.config.SessionTimeout / 3 }

// HandOver is the time from a commit until a moved item of an unmonitored job
// changes hands, in whole milliseconds: long enough for its former owner to
// learn of it or to stop.
func (p *Partition) HandOver() time.Duration {
	return (p.RenewInterval() + time.Second).Truncate(time.Millisecond)
}

// call runs a script; a server that does not know it (restarted, flushed) is
// sent the source. The reply's refusals are returned as errors.
func (p *Partition) call(ctx context.Context, s script, keys []string, args ...any) (*reply, error) {
	return p.callOn(ctx, p.config.Client, s, keys, args...)
}

// callFiring is call for scripts that begin and end items.
func (p *Partition) callFiring(ctx context.Context, s script, keys []string, args ...any) (*reply, error) {
	return p.callOn(ctx, p.config.Firings, s, keys, args...)
}

// callSession is call for scripts on which sessions live: they have a connection
// of their own.
func (p *Partition) callSession(ctx context.Context, s script, args ...any) (*reply, error) {
	return p.callOn(ctx, p.config.Sessions, s, p.keys.with(), args...)
}

func (p *Partition) callOn(ctx context.Context, client redis.UniversalClient, s script, keys []string, args ...any) (*reply, error) {
	publish := "PUBLISH"
	if p.config.Cluster {
		publish = "SPUBLISH"
	}
	values, err := s.run.Run(ctx, client, keys, append([]any{p.keys.channel(), publish, bit(!p.config.Embedded)}, args...)...).Slice()
	if err != nil {
		return nil, fmt.Errorf("running script %s: %w", s.name, err)
	}
	r := &reply{source: "script " + s.name, values: values}
	if err := r.refusal(); err != nil {
		return nil, err
	}
	return r, nil
}

// ttl is the length of a lease in milliseconds, as scripts take it.
func (p *Partition) ttl() string { return durationMillis(p.config.SessionTimeout) }

// grace is the configured grace in milliseconds.
func (p *Partition) grace() string { return durationMillis(p.config.Grace) }

package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/redis/go-redis/v9"
)

const (
	// defaultGrace is how long after its lease a session is reaped, if the
	// configuration does not say.
	defaultGrace = time.Second
	// maxPartitions bounds the partitions of a namespace: each is a session to
	// renew for every node.
	maxPartitions = 1024
)

// Errors that callers tell apart.
var (
	// ErrLeaseLost says that the session has ended: its lease ran out, or it was
	// left, reaped or replaced. It never comes back; the node registers anew.
	ErrLeaseLost = errors.New("lease lost")
	// ErrQuarantined says that the partition waits until NotBefore before it lets
	// items run, as an earlier holder of them may still be running.
	ErrQuarantined = errors.New("registry center in quarantine")
	// ErrInstanceConflict says that a live session of another process has this
	// instance id.
	ErrInstanceConflict = errors.New("instance id in use")
	// ErrNotLeader says that another session leads, or a later term.
	ErrNotLeader = errors.New("not the leader")
	// ErrUnknownJob says that the registry center has no such job.
	ErrUnknownJob = errors.New("unknown job")
	// ErrIncompatible says that the namespace was created with another schema or
	// number of partitions.
	ErrIncompatible = errors.New("incompatible namespace")
)

// Config says where a namespace is and how its sessions live.
type Config struct {
	// Client reaches Redis. Its owner closes it, after the last use of the Center.
	Client redis.UniversalClient
	// Sessions reaches the same Redis for registrations, renewals, farewells,
	// evictions and the doorbell, so that they never wait behind bulk work; nil
	// means Client. It should not try commands again by itself.
	Sessions redis.UniversalClient
	// Firings reaches the same Redis for the begins and ends of items; nil means
	// Client. It should not try commands again by itself: executors do, more often
	// than is good for other commands.
	Firings redis.UniversalClient
	// Namespace tells the jobs of one user of a Redis from those of others.
	Namespace string
	// SessionTimeout is the length of a lease. A node renews every third of it.
	SessionTimeout time.Duration
	// Grace is the time after the end of a lease until the session is reaped;
	// zero means one second.
	Grace time.Duration
	// Embedded says that the registry lives and dies with this process, so that a
	// namespace seen for the first time need not wait for earlier holders, and that
	// no other server can take its place.
	Embedded bool
	// Partitions is the number of parts, each one hash slot with its own sessions,
	// leader and feed, that the namespace is cut into; zero means one. It is fixed
	// when the namespace is created: a node that counts otherwise is refused.
	Partitions int
	// Cluster says that Redis is a Cluster, where the doorbell of a partition
	// rings only on the shard that has it.
	Cluster bool
}

// Center is the registry center of one namespace. It is safe for concurrent
// use.
type Center struct {
	partitions []*Partition
}

// hooks are what tests replace: scripts, to break them or to move their clock,
// and the clock that is read outside of them.
type hooks struct {
	script func(name, source string) string
	clock  func(context.Context, redis.Pipeliner) func() time.Time
}

// Open checks the configuration, reaches Redis and loads the scripts. It starts
// nothing that needs closing.
func Open(ctx context.Context, c Config) (*Center, error) {
	return openWith(ctx, c, hooks{
		script: func(_, source string) string { return source },
		clock: func(ctx context.Context, pipe redis.Pipeliner) func() time.Time {
			return pipe.Time(ctx).Val
		},
	})
}

func openWith(ctx context.Context, c Config, h hooks) (*Center, error) {
	if c.Client == nil {
		return nil, errors.New("opening the registry center: no client")
	}
	if err := checkNamespace(c.Namespace); err != nil {
		return nil, fmt.Errorf("opening the registry center: %w", err)
	}
	if c.SessionTimeout < time.Millisecond || c.Grace < 0 {
		return nil, fmt.Errorf("opening the registry center: session timeout %v with grace %v", c.SessionTimeout, c.Grace)
	}
	if c.Partitions < 0 || c.Partitions > maxPartitions {
		return nil, fmt.Errorf("opening the registry center: %d partitions, want at most %d", c.Partitions, maxPartitions)
	}
	if c.Grace == 0 {
		c.Grace = defaultGrace
	}
	if c.Sessions == nil {
		c.Sessions = c.Client
	}
	if c.Firings == nil {
		c.Firings = c.Client
	}
	c.Partitions = max(c.Partitions, 1)
	s, err := readScripts(h.script)
	if err != nil {
		return nil, fmt.Errorf("opening the registry center: %w", err)
	}
	if err := s.load(ctx, c.Client); err != nil {
		return nil, fmt.Errorf("opening the registry center: %w", err)
	}
	center := &Center{partitions: make([]*Partition, c.Partitions)}
	for i, tag := range hashTags(c.Namespace, c.Partitions) {
		center.partitions[i] = &Partition{config: c, index: i, keys: newKeyspace(tag), scripts: s, clock: h.clock}
	}
	return center, nil
}

// Partitions are the parts of the namespace, by index.
func (c *Center) Partitions() []*Partition { return c.partitions }

// Partition is the part of the namespace that has the job, whether it exists or
// not: xxhash64 of its name modulo the number of partitions.
func (c *Center) Partition(job string) *Partition {
	return c.partitions[xxhash.Sum64String(job)%uint64(len(c.partitions))]
}

// RenewInterval is how often a session is to be renewed: a third of its lease.
func (c *Center) RenewInterval() time.Duration { return c.partitions[0].RenewInterval() }

// HandOver is the time from a commit until a moved item of an unmonitored job
// changes hands, see [Partition.HandOver].
func (c *Center) HandOver() time.Duration { return c.partitions[0].HandOver() }

package registry

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// batchJobs is the number of jobs that one script call handles: it bounds how
// long the server is busy, and a script costs much more than one job in it.
const batchJobs = 50

// defaultGrace is how long after its lease a session is reaped, if the
// configuration does not say.
const defaultGrace = time.Second

// Errors that callers tell apart.
var (
	// ErrLeaseLost says that the session has ended: its lease ran out, or it was
	// left, reaped or replaced. It never comes back; the node registers anew.
	ErrLeaseLost = errors.New("lease lost")
	// ErrQuarantined says that the namespace waits until NotBefore before it lets
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
	// Namespace tells the jobs of one user of a Redis from those of others.
	Namespace string
	// SessionTimeout is the length of a lease. A node renews every third of it.
	SessionTimeout time.Duration
	// Grace is the time after the end of a lease until the session is reaped;
	// zero means one second.
	Grace time.Duration
	// Embedded says that the registry lives and dies with this process, so that a
	// namespace seen for the first time need not wait for earlier holders.
	Embedded bool
}

// Center is the registry center of one namespace. It is safe for concurrent
// use.
type Center struct {
	client   redis.UniversalClient
	keys     keyspace
	scripts  scripts
	ttl      time.Duration
	grace    time.Duration
	embedded bool
}

// Open checks the configuration, reaches Redis and loads the scripts. It starts
// nothing that needs closing.
func Open(ctx context.Context, c Config) (*Center, error) {
	if c.Client == nil {
		return nil, errors.New("opening the registry center: no client")
	}
	if err := checkNamespace(c.Namespace); err != nil {
		return nil, fmt.Errorf("opening the registry center: %w", err)
	}
	if c.SessionTimeout < time.Millisecond || c.Grace < 0 {
		return nil, fmt.Errorf("opening the registry center: session timeout %v with grace %v", c.SessionTimeout, c.Grace)
	}
	if c.Grace == 0 {
		c.Grace = defaultGrace
	}
	s, err := readScripts()
	if err != nil {
		return nil, fmt.Errorf("opening the registry center: %w", err)
	}
	if err := s.load(ctx, c.Client); err != nil {
		return nil, fmt.Errorf("opening the registry center: %w", err)
	}
	return &Center{
		client: c.Client, keys: newKeyspace(c.Namespace, 0), scripts: s,
		ttl: c.SessionTimeout, grace: c.Grace, embedded: c.Embedded,
	}, nil
}

// RenewInterval is how often a session is to be renewed: a third of its lease.
func (c *Center) RenewInterval() time.Duration { return c.ttl / 3 }

// HandOver is the time from a commit until a moved item of an unmonitored job
// changes hands, in whole milliseconds: long enough for its former owner to
// learn of it or to stop.
func (c *Center) HandOver() time.Duration {
	return (c.RenewInterval() + time.Second).Truncate(time.Millisecond)
}

// Code is the answer of the registry center about one job.
type Code int

// The numbers are those of the scripts.
const (
	// CodeOK: done; of Begin, items run under the fence.
	CodeOK Code = 1
	// CodeNone: nothing to do; of Begin, no item is free to run; of a commit, the
	// assignment was so already.
	CodeNone Code = 0
	// CodeStale: the generation (of a commit: or the definition) is another one;
	// the caller reads again.
	CodeStale Code = -2
	// CodeDisabled: the job is disabled, here or everywhere.
	CodeDisabled Code = -3
	// CodeDuplicate: this instant or a later one was decided before.
	CodeDuplicate Code = -5
	// CodeUnknownJob: there is no such job.
	CodeUnknownJob Code = -8
	// CodeOwnerGone: an instance of the plan has no session.
	CodeOwnerGone Code = -9
)

// Refusals of a whole call; they become errors.
const (
	codeLost        Code = -1
	codeQuarantined Code = -4
	codeConflict    Code = -6
	codeNotLeader   Code = -7
	codeGone        Code = -9
)

// String is the code's name.
func (c Code) String() string {
	switch c {
	case CodeOK:
		return "ok"
	case CodeNone:
		return "none"
	case CodeStale:
		return "stale"
	case CodeDisabled:
		return "disabled"
	case CodeDuplicate:
		return "duplicate"
	case CodeUnknownJob:
		return "unknown job"
	case CodeOwnerGone:
		return "owner gone"
	}
	return "code " + strconv.Itoa(int(c))
}

// ItemsAt is a group of items that share an instant.
type ItemsAt struct {
	Items Items
	At    time.Time
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func durationMillis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func number(n int64) string { return strconv.FormatInt(n, 10) }

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

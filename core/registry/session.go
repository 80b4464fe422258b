package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// Instance is what a node says of itself when it registers.
type Instance struct {
	// ID is unique among the live nodes of the namespace, at most 200 bytes
	// without spaces and "|;,".
	ID string `json:"id"`
	// IP is where it is reached by others of its network.
	IP      string            `json:"ip"`
	Host    string            `json:"host"`
	PID     int               `json:"pid"`
	Labels  map[string]string `json:"labels,omitempty"`
	Version string            `json:"version"`
	// Jobs are the jobs that this node can run.
	Jobs []string `json:"jobs"`
	// Nonce tells a repeated registration from one of another process with the
	// same ID. A caller that repeats a Register whose outcome it does not know
	// sends the same one; empty, a new one is made.
	Nonce string `json:"-"`
}

// Lease is the proof of a session: every script that acts for it checks it.
type Lease struct {
	Instance string
	Epoch    int64
}

// Leadership is the proof of a leader.
type Leadership struct {
	Lease Lease
	Term  int64
}

// Registration is a session that has begun.
type Registration struct {
	Lease Lease
	// Now is the server's clock, to the millisecond.
	Now time.Time
	// Version is the feed's; what came before it is in the snapshot that the node
	// reads next.
	Version int64
	// NotBefore is the end of the namespace's quarantine, zero if there is none.
	NotBefore time.Time
	// Incarnation is the identity of the namespace's data; another one means that
	// it came back empty.
	Incarnation string
}

// Renewal is a lease that goes on for another session timeout.
type Renewal struct {
	Now         time.Time
	Version     int64
	NotBefore   time.Time
	Incarnation string
	// Leader says that this session leads, in the given term, as long as its lease.
	Leader bool
	Term   int64
	// LeaderUntil is the end of the present leader's lead by the server's clock;
	// zero if this session leads or nobody does.
	LeaderUntil time.Time
}

// Register opens a session. A lost session of the same id is replaced; a live
// one of another process is ErrInstanceConflict. Jobs of the instance that the
// registry knows become dirty.
func (p *Partition) Register(ctx context.Context, i Instance) (Registration, error) {
	if err := checkInstance(i.ID); err != nil {
		return Registration{}, fmt.Errorf("registering: %w", err)
	}
	if i.Nonce == "" {
		i.Nonce = uuid.NewString()
	}
	if err := checkRequest(i.Nonce); err != nil {
		return Registration{}, fmt.Errorf("registering %q: %w", i.ID, err)
	}
	info, err := json.Marshal(i)
	if err != nil {
		return Registration{}, fmt.Errorf("registering %q: %w", i.ID, err)
	}
	if len(info) > maxInfo {
		return Registration{}, fmt.Errorf("registering %q: its description of %d bytes is longer than %d", i.ID, len(info), maxInfo)
	}
	args := []any{
		i.ID, i.Nonce, p.ttl(), p.grace(), schema, p.config.Partitions,
		uuid.NewString(), bit(!p.config.Embedded), info,
	}
	for _, name := range i.Jobs {
		if err := checkName(name); err != nil {
			return Registration{}, fmt.Errorf("registering %q: %w", i.ID, err)
		}
		args = append(args, name)
	}
	r, err := p.callSession(ctx, p.scripts.register, args...)
	if err != nil {
		return Registration{}, fmt.Errorf("registering %q: %w", i.ID, err)
	}
	switch r.code {
	case codeConflict:
		return Registration{}, fmt.Errorf("registering %q: %w until %s", i.ID, ErrInstanceConflict, r.instant().Format(time.RFC3339))
	case codeGone:
		return Registration{}, fmt.Errorf("registering %q: %w: it has schema %s with %s partitions, this node needs schema %d with %d",
			i.ID, ErrIncompatible, r.text(), r.text(), schema, p.config.Partitions)
	}
	reg := Registration{
		Lease: Lease{Instance: i.ID, Epoch: r.number()}, Version: r.number(), NotBefore: r.instant(),
		Incarnation: r.text(), Now: r.instant(),
	}
	if err := r.end(); err != nil {
		return Registration{}, fmt.Errorf("registering %q: %w", i.ID, err)
	}
	return reg, nil
}

// Renew extends the lease and, if wantLead, takes or keeps the lead when nobody
// else has it; otherwise it gives the lead up. A lease that ran out is
// ErrLeaseLost and is never revived.
func (p *Partition) Renew(ctx context.Context, l Lease, wantLead bool) (Renewal, error) {
	r, err := p.callSession(ctx, p.scripts.renew,
		l.Instance, l.Epoch, p.ttl(), p.grace(), bit(wantLead))
	if err != nil {
		return Renewal{}, fmt.Errorf("renewing the lease of %q: %w", l.Instance, err)
	}
	n := Renewal{
		Now: r.instant(), Version: r.number(), NotBefore: r.instant(), Incarnation: r.text(),
		Leader: r.flag(), Term: r.number(), LeaderUntil: r.instant(),
	}
	if err := r.end(); err != nil {
		return Renewal{}, fmt.Errorf("renewing the lease of %q: %w", l.Instance, err)
	}
	return n, nil
}

// Leave ends the session at once; a session that has already ended is no error.
// Marks that it left are drained by the leader. The node fires no instant after
// stopped, by the server's clock; zero says nothing more than that it is gone, as
// if it had died.
func (p *Partition) Leave(ctx context.Context, l Lease, stopped time.Time) error {
	if _, err := p.callSession(ctx, p.scripts.leave, l.Instance, l.Epoch, p.ttl(), millis(stopped)); err != nil {
		return fmt.Errorf("leaving as %q: %w", l.Instance, err)
	}
	return nil
}

// InstanceState is a registered node as the registry center sees it.
type InstanceState struct {
	Instance Instance
	Epoch    int64
	// Deadline is the end of its lease by the server's clock.
	Deadline time.Time
	// Live says that the lease had not ended when it was read.
	Live bool
	// Leader says that it leads.
	Leader bool
}

// Instances are the registered nodes, by id. One whose lease has ended is among
// them until it is reaped.
func (p *Partition) Instances(ctx context.Context) ([]InstanceState, error) {
	var sessions, infos, leader *redis.MapStringStringCmd
	var leases *redis.ZSliceCmd
	var clock *redis.TimeCmd
	_, err := p.config.Client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		sessions = pipe.HGetAll(ctx, p.keys.sess())
		infos = pipe.HGetAll(ctx, p.keys.info())
		leases = pipe.ZRangeWithScores(ctx, p.keys.lease(), 0, -1)
		leader = pipe.HGetAll(ctx, p.keys.leader())
		clock = pipe.Time(ctx)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the instances: %w", err)
	}
	deadlines := make(map[string]time.Time, len(leases.Val()))
	for _, z := range leases.Val() {
		if id, ok := z.Member.(string); ok && z.Score > 0 && z.Score <= maxNumber {
			deadlines[id] = instantOf(int64(z.Score))
		}
	}
	states := make([]InstanceState, 0, len(sessions.Val()))
	for id, session := range sessions.Val() {
		epoch, _, _ := strings.Cut(session, "|")
		s := InstanceState{Epoch: parseNumber(epoch), Deadline: deadlines[id]}
		if s.Epoch < 0 {
			return nil, fmt.Errorf("reading the instances: session of %q is %q", id, clip(session))
		}
		if err := json.Unmarshal([]byte(infos.Val()[id]), &s.Instance); err != nil {
			return nil, fmt.Errorf("reading the instances: description of %q: %w", id, err)
		}
		s.Instance.ID = id
		s.Live = !s.Deadline.Before(clock.Val())
		s.Leader = leader.Val()["n"] == id && leader.Val()["e"] == epoch
		states = append(states, s)
	}
	slices.SortFunc(states, func(a, b InstanceState) int { return cmp.Compare(a.Instance.ID, b.Instance.ID) })
	return states, nil
}

package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
)

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

// Register opens a session. One of the same id is ErrInstanceConflict until it
// has left, or its lease ended longer than the grace ago, as its code may be
// stopping until then; only of the same Nonce, while it lives, it is the answer,
// with the lease extended.
// Jobs of the instance that the registry knows become dirty.
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
	info, err := i.describe()
	if err != nil {
		return Registration{}, fmt.Errorf("registering %q: %w", i.ID, err)
	}
	args := []any{
		i.ID, i.Nonce, p.ttl(), p.grace(), schema, p.config.Partitions,
		uuid.NewString(), info,
	}
	for _, name := range i.Jobs {
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
	n := readRenewal(r)
	if err := r.end(); err != nil {
		return Renewal{}, fmt.Errorf("renewing the lease of %q: %w", l.Instance, err)
	}
	return n, nil
}

// readRenewal leaves a fault in r for its owner to find.
func readRenewal(r *reply) Renewal {
	n := Renewal{
		Now: r.instant(), Version: r.number(), NotBefore: r.instant(), Incarnation: r.text(),
		Leader: r.flag(), Term: r.number(), LeaderUntil: r.instant(),
	}
	if n.Leader != (n.Term > 0) || n.Leader && !n.LeaderUntil.IsZero() {
		r.fail("leader %v in term %d, another until %v", n.Leader, n.Term, n.LeaderUntil)
	}
	return n
}

// Depart begins the farewell of a node that has paused after the instant fired,
// by the server's clock, and gets no items any more. It returns the last instant
// that the node is to fire: now, or fired if that is later or exact. The node stays
// registered, and what runs goes on. The given jobs, of which it may own items,
// become dirty. Repeated, it returns what it returned first. Of what was assigned
// before, and is followed with the feed afterwards, instants up to the returned one
// are still the node's; Assignment.Departed tells which was made later.
func (p *Partition) Depart(ctx context.Context, l Lease, fired time.Time, exact bool, jobs []string) (stopped time.Time, err error) {
	if fired.UnixMilli() <= 0 {
		return time.Time{}, fmt.Errorf("departing as %q: instant %v is before 1970", l.Instance, fired)
	}
	args := []any{l.Instance, l.Epoch, millis(fired), bit(exact)}
	for _, name := range jobs {
		if err := checkName(name); err != nil {
			return time.Time{}, fmt.Errorf("departing as %q: %w", l.Instance, err)
		}
		args = append(args, name)
	}
	r, err := p.callSession(ctx, p.scripts.depart, args...)
	if err != nil {
		return time.Time{}, fmt.Errorf("departing as %q: %w", l.Instance, err)
	}
	stopped = r.instant()
	if err := r.end(); err != nil {
		return time.Time{}, fmt.Errorf("departing as %q: %w", l.Instance, err)
	}
	return stopped, nil
}

// Leave ends the session at once; a session that has already ended is no error.
// Marks that it left are drained by the leader. The node fires no instant after
// stopped, by the server's clock, or what it said when it departed; zero says
// nothing more than that it is gone, as if it had died.
func (p *Partition) Leave(ctx context.Context, l Lease, stopped time.Time) error {
	if _, err := p.callSession(ctx, p.scripts.leave, l.Instance, l.Epoch, p.ttl(), millis(stopped)); err != nil {
		return fmt.Errorf("leaving as %q: %w", l.Instance, err)
	}
	return nil
}

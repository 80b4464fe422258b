package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Reaped is what an eviction did.
type Reaped struct {
	// Dead are the sessions that were evicted: their marks are to be drained.
	Dead []Lease
	// Next is when, by the server's clock, the next session of another node could
	// be evicted if nobody renewed; zero if there is none. A Next that has passed
	// says that more are due.
	Next time.Time
	// Held is the number of sessions that were due and stay: more than half of all
	// were due at once, which says more about Redis or its clock than about the
	// nodes. They are not in Next.
	Held int
}

// Reap evicts sessions whose lease ended more than the grace ago, at most
// sixteen in a call. With force it also does when more than half of all sessions
// are due.
func (p *Partition) Reap(ctx context.Context, l Leadership, force bool) (Reaped, error) {
	r, err := p.callSession(ctx, p.scripts.reap,
		l.Lease.Instance, l.Lease.Epoch, l.Term, p.ttl(), p.grace(), bit(force))
	if err != nil {
		return Reaped{}, fmt.Errorf("reaping sessions: %w", err)
	}
	reaped := readReaped(r)
	if err := r.end(); err != nil {
		return Reaped{}, fmt.Errorf("reaping sessions: %w", err)
	}
	return reaped, nil
}

// readReaped leaves a fault in r for its owner to find.
func readReaped(r *reply) Reaped {
	reaped := Reaped{Held: int(r.number()), Next: r.instant()}
	for r.more() {
		d, err := parseDead(r.text())
		if err != nil {
			r.fail("%v", err)
		}
		reaped.Dead = append(reaped.Dead, d)
	}
	return reaped
}

// Dead are the ended sessions that are not yet buried, the oldest first.
func (p *Partition) Dead(ctx context.Context) ([]Lease, error) {
	names, err := p.config.Client.HKeys(ctx, p.keys.dead()).Result()
	if err != nil {
		return nil, fmt.Errorf("reading the dead sessions: %w", err)
	}
	dead := make([]Lease, len(names))
	for i, name := range names {
		if dead[i], err = parseDead(name); err != nil {
			return nil, fmt.Errorf("reading the dead sessions: %w", err)
		}
	}
	slices.SortFunc(dead, func(a, b Lease) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Instance, b.Instance))
	})
	return dead, nil
}

// Drained is what a dead session left running in a job, and nobody takes over:
// the job has no failover, or has fewer items by now.
type Drained struct {
	Job  string
	Lost []LostRun
}

// LostRun is a part of a run that a dead session has left.
type LostRun struct {
	Items Items
	// Run is the run id: that of an instant, see FormatRunID, or of a trigger.
	Run string
}

// Drain takes the marks of a dead session out of jobs, fifty in a script: those
// of a job with failover wait for another node, the others are lost and
// returned. A job of which an instance of this id owns items becomes dirty, also
// if the instance is back. It may be repeated; what is lost is told once.
func (p *Partition) Drain(ctx context.Context, l Leadership, dead Lease, jobs []string) (lost []Drained, err error) {
	for batch := range batches(jobs) {
		args := []any{l.Lease.Instance, l.Lease.Epoch, l.Term, dead.Instance, dead.Epoch, len(batch)}
		for _, name := range batch {
			if err := checkName(name); err != nil {
				return lost, fmt.Errorf("draining %q: %w", dead.Instance, err)
			}
			args = append(args, name)
		}
		r, err := p.call(ctx, p.scripts.drain, p.keys.with(batch...), args...)
		if err != nil {
			return lost, fmt.Errorf("draining %q: %w", dead.Instance, err)
		}
		for _, name := range batch {
			if runs := r.lostRuns(); len(runs) > 0 {
				lost = append(lost, Drained{Job: name, Lost: runs})
			}
		}
		if err := r.end(); err != nil {
			return lost, fmt.Errorf("draining %q: %w", dead.Instance, err)
		}
	}
	return lost, nil
}

// lostRuns reads "0-3@1795…;9@id": items and an instant in milliseconds or the id
// of a trigger.
func (r *reply) lostRuns() []LostRun {
	text := r.text()
	if r.err != nil || text == "" {
		return nil
	}
	if len(text) > maxMarks*(maxItemsText+maxRequest) {
		r.fail("lost runs of %d bytes", len(text))
		return nil
	}
	var runs []LostRun
	for part := range strings.SplitSeq(text, ";") {
		list, at, _ := strings.Cut(part, "@")
		items, err := ParseItems(list)
		run := at
		if ms := parseNumber(at); ms >= 0 {
			run = FormatRunID(instantOf(ms))
		} else if err == nil {
			err = checkManualRun(at)
		}
		if err != nil {
			r.fail("%v", err)
			return nil
		}
		runs = append(runs, LostRun{Items: items, Run: run})
	}
	return runs
}

// Bury forgets a dead session of which every job is drained.
func (p *Partition) Bury(ctx context.Context, l Leadership, dead Lease) error {
	_, err := p.callSession(ctx, p.scripts.bury,
		l.Lease.Instance, l.Lease.Epoch, l.Term, dead.Instance+":"+number(dead.Epoch))
	if err != nil {
		return fmt.Errorf("burying %q: %w", dead.Instance, err)
	}
	return nil
}

func parseDead(text string) (Lease, error) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return Lease{}, fmt.Errorf("session %s has no epoch", strconv.Quote(clip(text)))
	}
	l := Lease{Instance: text[:i], Epoch: parseNumber(text[i+1:])}
	if err := checkInstance(l.Instance); err != nil {
		return Lease{}, err
	}
	if l.Epoch < 0 {
		return Lease{}, fmt.Errorf("epoch of session %s is no number", strconv.Quote(clip(text)))
	}
	return l, nil
}

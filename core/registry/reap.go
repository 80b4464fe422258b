package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Reap evicts sessions whose lease ended more than the grace ago, at most
// sixteen in a call, and returns them. From then on they are dead: their marks
// are to be drained.
func (c *Center) Reap(ctx context.Context, l Leadership) ([]Lease, error) {
	r, err := c.call(ctx, c.scripts.reap, c.keys.with(), l.Lease.Instance, l.Lease.Epoch, l.Term, durationMillis(c.grace))
	if err != nil {
		return nil, fmt.Errorf("reaping sessions: %w", err)
	}
	var dead []Lease
	for r.more() {
		d, err := parseDead(r.text())
		if err != nil {
			r.fail("%v", err)
		}
		dead = append(dead, d)
	}
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("reaping sessions: %w", err)
	}
	return dead, nil
}

// Dead are the ended sessions that are not yet buried, the oldest first.
func (c *Center) Dead(ctx context.Context) ([]Lease, error) {
	names, err := c.client.HKeys(ctx, c.keys.dead()).Result()
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
	Lost []ItemsAt
}

// Drain takes the marks of a dead session out of jobs, fifty in a script: those
// of a job with failover wait for another node, the others are lost and
// returned. A job of which the dead instance owns items becomes dirty, unless
// the instance is back. It may be repeated; what is lost is told once.
func (c *Center) Drain(ctx context.Context, l Leadership, dead Lease, jobs []string) (lost []Drained, err error) {
	for batch := range batches(jobs) {
		args := []any{l.Lease.Instance, l.Lease.Epoch, l.Term, dead.Instance, dead.Epoch, len(batch)}
		for _, name := range batch {
			if err := checkName(name); err != nil {
				return lost, fmt.Errorf("draining %q: %w", dead.Instance, err)
			}
			args = append(args, name)
		}
		r, err := c.call(ctx, c.scripts.drain, c.keys.with(batch...), args...)
		if err != nil {
			return lost, fmt.Errorf("draining %q: %w", dead.Instance, err)
		}
		for _, name := range batch {
			if groups := r.groups(); len(groups) > 0 {
				lost = append(lost, Drained{Job: name, Lost: groups})
			}
		}
		if err := r.end(); err != nil {
			return lost, fmt.Errorf("draining %q: %w", dead.Instance, err)
		}
	}
	return lost, nil
}

// Bury forgets a dead session of which every job is drained.
func (c *Center) Bury(ctx context.Context, l Leadership, dead Lease) error {
	_, err := c.call(ctx, c.scripts.bury, c.keys.with(),
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

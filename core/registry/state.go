package registry

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// SetState enables or disables a whole job, on behalf of by (a user, a part of
// the system). A disabled job begins nothing; items that run go on. Instants
// that were due while it was disabled are not missed. It reports whether
// anything changed; an unknown job is ErrUnknownJob.
func (p *Partition) SetState(ctx context.Context, job string, enabled bool, by string) (bool, error) {
	return p.setState(ctx, job, "", enabled, by)
}

// SetItemState enables or disables one item: its owner keeps it and never runs
// it.
func (p *Partition) SetItemState(ctx context.Context, job string, item int, enabled bool, by string) (bool, error) {
	if item < 0 || item >= MaxItems {
		return false, fmt.Errorf("setting the state of job %s: item %d is not in 0-%d", clip(job), item, MaxItems-1)
	}
	return p.setState(ctx, job, "item:"+strconv.Itoa(item), enabled, by)
}

// SetStateOnInstance enables or disables a job on the server of an instance (see
// ServerName), so that it lasts over restarts. It begins nothing there at once;
// the job becomes dirty, so that the leader moves its items away.
func (p *Partition) SetStateOnInstance(ctx context.Context, job, instance string, enabled bool, by string) (bool, error) {
	if err := checkInstance(instance); err != nil {
		return false, fmt.Errorf("setting the state of job %s: %w", clip(job), err)
	}
	return p.setState(ctx, job, "node:"+ServerName(instance), enabled, by)
}

func (p *Partition) setState(ctx context.Context, job, scope string, enabled bool, by string) (bool, error) {
	if err := checkName(job); err != nil {
		return false, fmt.Errorf("setting a state: %w", err)
	}
	if by == "" || len(by) > maxName || strings.ContainsAny(by, ",\r\n") {
		return false, fmt.Errorf("setting the state of job %s: %q is no name of an author", job, clip(by))
	}
	want := "D"
	if enabled {
		want = "E"
	}
	r, err := p.call(ctx, p.scripts.state, p.keys.with(job), job, scope, want, by)
	if err != nil {
		return false, fmt.Errorf("setting the state of job %s: %w", job, err)
	}
	if err := r.end(); err != nil {
		return false, fmt.Errorf("setting the state of job %s: %w", job, err)
	}
	switch r.code {
	case CodeUnknownJob:
		return false, fmt.Errorf("setting the state of job %s: %w", job, ErrUnknownJob)
	case codeGone:
		return false, fmt.Errorf("setting the state of job %s: it has no %s", job, strings.ReplaceAll(scope, ":", " "))
	}
	return r.code == CodeOK, nil
}

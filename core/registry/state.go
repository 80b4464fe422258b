package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// AuthorErrorHandler is the author of a state that an error handler asked for.
const AuthorErrorHandler = "error-handler"

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

// SetInstanceState enables or disables the server of an instance (see ServerName)
// for all jobs of the partition, so that it lasts over restarts. Nothing begins
// there at once; all jobs become dirty, so that the leader moves items away or
// back. Instants that were due for want of an enabled server are not missed. It
// reports whether anything changed.
func (p *Partition) SetInstanceState(ctx context.Context, instance string, enabled bool, by string) (bool, error) {
	if err := checkInstance(instance); err != nil {
		return false, fmt.Errorf("setting the state of an instance: %w", err)
	}
	if err := checkAuthor(by); err != nil {
		return false, fmt.Errorf("setting the state of instance %q: %w", instance, err)
	}
	server := ServerName(instance)
	if enabled {
		if err := p.raise(ctx, server); err != nil {
			return false, fmt.Errorf("setting the state of instance %q: %w", instance, err)
		}
	}
	r, err := p.call(ctx, p.scripts.server, p.keys.with(), server, stateLetter(enabled), by)
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return false, fmt.Errorf("setting the state of instance %q: %w", instance, err)
	}
	return r.code == CodeOK, nil
}

// raise lifts the floors of the jobs of a disabled server to now. While it is
// disabled nothing of it can begin, so it may be done before it is enabled and
// repeated.
func (p *Partition) raise(ctx context.Context, server string) error {
	disabled, err := p.config.Client.HExists(ctx, p.keys.off(), server).Result()
	if err != nil || !disabled {
		return err
	}
	states, err := p.Instances(ctx)
	if err != nil {
		return err
	}
	jobs := make(map[string]bool)
	for _, s := range states {
		if ServerName(s.Instance.ID) == server {
			for _, name := range s.Instance.Jobs {
				jobs[name] = true
			}
		}
	}
	for batch := range batches(slices.Sorted(maps.Keys(jobs))) {
		r, err := p.call(ctx, p.scripts.raise, p.keys.with(batch...), server, len(batch))
		if err == nil {
			err = r.end()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// DisabledServers are the servers that are disabled for all jobs, by name.
func (p *Partition) DisabledServers(ctx context.Context) ([]string, error) {
	servers, err := p.config.Client.HKeys(ctx, p.keys.off()).Result()
	if err != nil {
		return nil, fmt.Errorf("reading the disabled servers: %w", err)
	}
	for _, name := range servers {
		if err := checkInstance(name); err != nil {
			return nil, fmt.Errorf("reading the disabled servers: %w", err)
		}
	}
	slices.Sort(servers)
	return servers, nil
}

// checkAuthor refuses what does not fit into a stored state.
func checkAuthor(by string) error {
	if by == "" || len(by) > maxName || strings.ContainsAny(by, ",\r\n") {
		return fmt.Errorf("%q is no name of an author", clip(by))
	}
	return nil
}

func stateLetter(enabled bool) string {
	if enabled {
		return "E"
	}
	return "D"
}

func (p *Partition) setState(ctx context.Context, job, scope string, enabled bool, by string) (bool, error) {
	if err := checkName(job); err != nil {
		return false, fmt.Errorf("setting a state: %w", err)
	}
	if err := checkAuthor(by); err != nil {
		return false, fmt.Errorf("setting the state of job %s: %w", job, err)
	}
	r, err := p.call(ctx, p.scripts.state, p.keys.with(job), job, scope, stateLetter(enabled), by)
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

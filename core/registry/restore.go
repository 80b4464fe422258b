package registry

import (
	"context"
	"fmt"
	"time"
)

// Restore puts jobs back into a registry that came back empty or older: their
// definitions with the version that they had and their desired state, each where
// there is none or an older version. Where it does, the job starts anew: nothing
// before is missed. It returns how many were put back and may be repeated, also
// by several nodes that know different versions.
func (p *Partition) Restore(ctx context.Context, states []JobState) (int, error) {
	restored := 0
	for batch := range batches(states) {
		names := make([]string, 0, len(batch))
		args := []any{len(batch)}
		for _, s := range batch {
			if err := s.check(); err != nil {
				return restored, fmt.Errorf("restoring job %s: %w", clip(s.Definition.Name), err)
			}
			d := s.Definition
			names = append(names, d.Name)
			args = append(args, d.Name, d.Config, d.Items, bit(d.Monitored), bit(d.Misfire), bit(d.Failover), bit(d.Disabled),
				s.Version, millis(s.Updated), stateLetter(s.Enabled), s.DisabledItems.String(), formatDependencies(d.DependsOn), len(s.DisabledServers))
			for _, server := range s.DisabledServers {
				args = append(args, server)
			}
		}
		r, err := p.call(ctx, p.scripts.restore, p.keys.with(names...), args...)
		if err != nil {
			return restored, fmt.Errorf("restoring %s: %w", describeJobs(names), err)
		}
		restored += int(r.number())
		if err := r.end(); err != nil {
			return restored, fmt.Errorf("restoring %s: %w", describeJobs(names), err)
		}
	}
	return restored, nil
}

func (s *JobState) check() error {
	if err := s.Definition.check(); err != nil {
		return err
	}
	if s.Version <= 0 || s.Version > maxNumber || s.Updated.Before(time.Unix(0, 0)) {
		return fmt.Errorf("version %d of %v is out of range", s.Version, s.Updated)
	}
	for item := range s.DisabledItems.All() {
		if item >= s.Definition.Items {
			return fmt.Errorf("item %d of %d is disabled", item, s.Definition.Items)
		}
	}
	for _, server := range s.DisabledServers {
		if err := checkInstance(server); err != nil {
			return err
		}
	}
	return nil
}

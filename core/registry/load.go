package registry

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Loads counts the items of all jobs of the partition that each instance owns.
// Those of nobody are left out, and jobs that cannot be read.
func (p *Partition) Loads(ctx context.Context) (map[string]int, error) {
	names, err := p.JobNames(ctx)
	if err != nil {
		return nil, err
	}
	loads := make(map[string]int)
	for batch := range batches(names) {
		owners := make([]*redis.MapStringStringCmd, len(batch))
		_, err := p.config.Client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i, name := range batch {
				owners[i] = pipe.HGetAll(ctx, p.keys.assignments(name))
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading who owns items of %s: %w", describeJobs(batch), err)
		}
		for i := range batch {
			for id, text := range owners[i].Val() {
				groups, err := parseGroups(text)
				if id == "" || err != nil {
					// Whoever reshards that job says so.
					continue
				}
				for _, g := range groups {
					loads[id] += g.Items.Len()
				}
			}
		}
	}
	return loads, nil
}

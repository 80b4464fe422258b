package elasticjob

import (
	"context"
	"fmt"
	"slices"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/registry"
)

// LocalRun says what [RunLocal] is to run.
type LocalRun struct {
	// Job is the name of a job of the configuration. It may be empty when there is
	// only one.
	Job string
	// Items are the sharding items to run; none means all.
	Items []int
}

// LocalItem is what became of one item of a local run: its outcome, its result or
// error, and the progress and the checkpoint that it has left.
type LocalItem = execution.LocalItem

// RunLocal runs items of a job once, here and now, without a registry, a timer
// and a node: for tests of jobs and for programs that have their own schedule. It
// returns what became of the items, in ascending order, when the last one has ended.
//
// To the job it is as a one-off run of a node. Its properties are checked, its
// plugins are loaded, items run at once as far as the job's pool allows, each
// within the job's timeout; panics are failures, and the services of the job are
// those that the configuration grants. Nothing is tried again, and no error
// handler, listener or tracing sink is told. When ctx ends, the items are
// cancelled with its cause.
//
// The error says why nothing ran: [Problems] of the configuration, or an unknown
// job or item. That an item failed is no error.
func RunLocal(ctx context.Context, c Config, run LocalRun, options ...Option) ([]LocalItem, error) {
	chosen, err := run.choose(c)
	if err != nil {
		return nil, err
	}
	chosen.DependsOn = nil // it runs now, whatever it runs after elsewhere
	c.Jobs = []JobConfig{chosen}
	node, problems := assemble(ctx, c, newSettings(options))
	defer node.close(context.WithoutCancel(ctx))
	if len(problems) > 0 {
		return nil, problems
	}
	if err := run.checkItems(chosen); err != nil {
		return nil, err
	}
	items := registry.AllItems(chosen.ShardingTotalCount)
	if len(run.Items) > 0 {
		items = registry.NewItems(run.Items...)
	}
	return node.host.RunLocal(ctx, chosen.Name, items), nil
}

// choose finds the job.
func (r LocalRun) choose(c Config) (JobConfig, error) {
	if r.Job == "" && len(c.Jobs) == 1 {
		return c.Jobs[0], nil
	}
	if i := slices.IndexFunc(c.Jobs, func(j JobConfig) bool { return j.Name == r.Job }); i >= 0 {
		return c.Jobs[i], nil
	}
	if r.Job == "" {
		return JobConfig{}, fmt.Errorf("running a job locally: %w: none is named, and the configuration has %d", ErrUnknownJob, len(c.Jobs))
	}
	return JobConfig{}, fmt.Errorf("running job %q locally: %w: the configuration does not have it", r.Job, ErrUnknownJob)
}

// checkItems finds items that the job does not have, or that are named twice.
func (r LocalRun) checkItems(j JobConfig) error {
	for i, item := range r.Items {
		switch {
		case item < 0 || item >= j.ShardingTotalCount:
			return fmt.Errorf("running job %q locally: there is no item %d: it has %d", j.Name, item, j.ShardingTotalCount)
		case slices.Contains(r.Items[:i], item):
			return fmt.Errorf("running job %q locally: item %d is named twice", j.Name, item)
		}
	}
	return nil
}

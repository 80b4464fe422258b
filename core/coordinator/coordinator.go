// Package coordinator does the duties of the leader: it clears up after dead
// sessions and gives every item of every job that needs it an owner. The
// strategies that decide are plugins; what they answer is checked here and
// committed by compare-and-set, so a leader that is late or deposed changes
// nothing.
package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Registry is what a coordinator needs of the registry center.
type Registry interface {
	// Dirty names the jobs whose assignment needs a look.
	Dirty(ctx context.Context) ([]registry.DirtyJob, error)
	// Jobs reads the definitions, assignments and desired states of jobs.
	Jobs(ctx context.Context, names ...string) ([]registry.JobState, error)
	// Instances reads the registered nodes.
	Instances(ctx context.Context) ([]registry.InstanceState, error)
	// CommitAssignments replaces assignments, each by compare-and-set.
	CommitAssignments(ctx context.Context, l registry.Leadership, plans []registry.Plan) ([]registry.CommitResult, error)
	// JobNames names all jobs.
	JobNames(ctx context.Context) ([]string, error)
	// Reap evicts sessions whose lease has ended.
	Reap(ctx context.Context, l registry.Leadership, force bool) (registry.Reaped, error)
	// Dead names the ended sessions that are not buried.
	Dead(ctx context.Context) ([]registry.Lease, error)
	// Drain takes the marks of a dead session out of jobs and returns the lost.
	Drain(ctx context.Context, l registry.Leadership, dead registry.Lease, jobs []string) ([]registry.Drained, error)
	// Bury forgets a dead session.
	Bury(ctx context.Context, l registry.Leadership, dead registry.Lease) error
}

// Strategy is the strategy of a job, the type name it goes by and the request
// that it answers, all but the instances.
type Strategy struct {
	Type     string
	Strategy spi.ShardingStrategy
	Request  spi.ShardRequest
}

// Strategist finds the strategy of a stored job.
type Strategist func(ctx context.Context, state registry.JobState) (Strategy, error)

// Coordinator spreads items over instances. It keeps no state between calls.
type Coordinator struct {
	registry   Registry
	strategist Strategist
	lost       func(dead registry.Lease, job string, items registry.ItemsAt)
	logger     *slog.Logger
}

// New returns a coordinator. lost is told of items that a dead session left
// running and that nobody takes over.
func New(r Registry, strategist Strategist, lost func(dead registry.Lease, job string, items registry.ItemsAt), logger *slog.Logger) *Coordinator {
	return &Coordinator{registry: r, strategist: strategist, lost: lost, logger: logger}
}

// Clear evicts sessions whose lease has ended and takes the marks of dead
// sessions away, which would hold their items for ever. A leader that is
// interrupted leaves the rest to the next call, its own or its successor's.
func (c *Coordinator) Clear(ctx context.Context, leader registry.Leadership) error {
	if _, err := c.registry.Reap(ctx, leader, false); err != nil {
		return err
	}
	dead, err := c.registry.Dead(ctx)
	if err != nil || len(dead) == 0 {
		return err
	}
	jobs, err := c.registry.JobNames(ctx)
	if err != nil {
		return err
	}
	for _, d := range dead {
		drained, err := c.registry.Drain(ctx, leader, d, jobs)
		for _, job := range drained {
			for _, items := range job.Lost {
				c.lost(d, job.Job, items)
			}
		}
		if err != nil {
			return err
		}
		if err := c.registry.Bury(ctx, leader, d); err != nil {
			return err
		}
	}
	return nil
}

// batchJobs is how many jobs are read and committed together.
const batchJobs = 500

// Reshard looks at every job that needs it and commits new assignments. A job
// whose strategy fails keeps its assignment, and the log says why; it is
// looked at again on the next call.
func (c *Coordinator) Reshard(ctx context.Context, leader registry.Leadership) error {
	dirty, err := c.registry.Dirty(ctx)
	if err != nil || len(dirty) == 0 {
		return err
	}
	states, err := c.registry.Instances(ctx)
	if err != nil {
		return err
	}
	instances := hostsOf(states)
	for batch := range slices.Chunk(dirty, batchJobs) {
		if err := c.reshard(ctx, leader, batch, instances); err != nil {
			return err
		}
	}
	return nil
}

func (c *Coordinator) reshard(ctx context.Context, leader registry.Leadership, dirty []registry.DirtyJob, instances []host) error {
	names := make([]string, len(dirty))
	since := make(map[string]int64, len(dirty))
	for i, d := range dirty {
		names[i] = d.Name
		since[d.Name] = d.Since
	}
	states, err := c.registry.Jobs(ctx, names...)
	if err != nil {
		return err
	}
	plans := make([]registry.Plan, 0, len(states))
	for _, state := range states {
		plan, err := c.plan(ctx, state, instances)
		if err != nil {
			c.logger.Error("items not assigned, the assignment stays as it was", "job", state.Definition.Name, "err", err)
			continue
		}
		plan.Dirty = since[state.Definition.Name]
		plans = append(plans, plan)
	}
	results, err := c.registry.CommitAssignments(ctx, leader, plans)
	for _, r := range results {
		if r.Dropped.Len() > 0 {
			c.logger.Warn("items dropped", "job", r.Job, "items", r.Dropped.String())
		}
	}
	return err
}

// plan decides who owns what of a job: nobody anything while no instance may
// run it.
func (c *Coordinator) plan(ctx context.Context, state registry.JobState, instances []host) (registry.Plan, error) {
	name := state.Definition.Name
	plan := registry.Plan{
		Job: name, ExpectGeneration: state.Generation, ExpectVersion: state.Version, Items: state.Definition.Items,
	}
	candidates := candidatesOf(state, instances)
	if len(candidates) == 0 {
		return plan, nil
	}
	strategy, err := c.strategist(ctx, state)
	if err != nil {
		return plan, err
	}
	req := strategy.Request
	req.Instances = candidates
	req.Previous = make(map[string][]int, len(state.Owners))
	for id, items := range state.Owners {
		if id != "" {
			req.Previous[id] = items.Slice()
		}
	}
	req.Services = strategyServices{job: name, plugin: strategy.Type, logger: c.logger}
	assignment, err := Shard(ctx, strategy.Strategy, req)
	if closeErr := catalog.Close(context.WithoutCancel(ctx), strategy.Strategy); closeErr != nil {
		c.logger.Warn("sharding strategy not closed", "job", name, "plugin", strategy.Type, "err", closeErr)
	}
	if err != nil {
		return plan, fmt.Errorf("sharding: %w", err)
	}
	plan.Owners = make(map[string]registry.Items, len(assignment))
	for id, items := range assignment {
		if len(items) > 0 {
			plan.Owners[id] = registry.NewItems(items...)
		}
	}
	return plan, nil
}

// host is a live instance and the jobs that it can run.
type host struct {
	instance spi.Instance
	server   string
	jobs     map[string]bool
}

func hostsOf(states []registry.InstanceState) []host {
	var hosts []host
	for _, s := range states {
		if !s.Live {
			continue
		}
		h := host{InstanceOf(s.Instance.ID, s.Instance.Labels), registry.ServerName(s.Instance.ID), make(map[string]bool, len(s.Instance.Jobs))}
		for _, name := range s.Instance.Jobs {
			h.jobs[name] = true
		}
		hosts = append(hosts, h)
	}
	return hosts
}

// candidatesOf returns the instances that can run the job and are not disabled
// for it.
func candidatesOf(state registry.JobState, hosts []host) []spi.Instance {
	var candidates []spi.Instance
	for _, h := range hosts {
		if h.jobs[state.Definition.Name] && !slices.Contains(state.DisabledServers, h.server) {
			candidates = append(candidates, h.instance)
		}
	}
	return candidates
}

// strategyServices are the host services of a strategy: it may log.
type strategyServices struct {
	job, plugin string
	logger      *slog.Logger
}

var _ spi.Services = strategyServices{}

// Log writes a line of plugin output.
func (s strategyServices) Log(ctx context.Context, record spi.LogRecord) {
	s.logger.LogAttrs(ctx, slog.Level(record.Level.Round()), "plugin output",
		slog.String("job", s.job), slog.String("plugin", s.plugin), slog.String("stream", string(spi.StreamLog)), slog.String("line", record.Line))
}

// Call refuses every operation.
func (s strategyServices) Call(_ context.Context, op string, _ []byte) ([]byte, error) {
	return nil, spi.NewError(spi.CodeUnsupported, "operation "+op+" is not offered to sharding strategies")
}

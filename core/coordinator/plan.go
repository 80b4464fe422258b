package coordinator

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// round is what the strategies of one look at the dirty jobs have in common.
type round struct {
	hosts []host
	// loads are the items of each instance, as the plans of the round leave them;
	// nil until a strategy asks.
	loads map[string]int
	// until is when no other strategy is asked that wants loads, as these are asked
	// one after the other; zero until one is.
	until time.Time
}

// failure is what the leader knows of a job whose strategy has failed.
type failure struct {
	version int64 // of the definition
	since   int64 // which change it was asked about
	at      time.Time
	pause   time.Duration
}

const (
	// firstRetry and lastRetry bound how long a failed strategy is left alone. A new
	// definition is tried at once, and other instances after firstRetry: the one that
	// a strategy wants may be among them.
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
	// plansAtOnce is how many strategies are asked at the same time, so that one
	// which hangs does not hold up the others.
	plansAtOnce = 16
)

// isLeftAlone reports whether a job's strategy has failed so lately that it is not
// asked again.
func (c *Coordinator) isLeftAlone(state registry.JobState, since int64) bool {
	f, failed := c.failed[state.Definition.Name]
	if !failed || f.version != state.Version {
		return false
	}
	pause := f.pause
	if f.since != since {
		pause = min(pause, firstRetry)
	}
	return c.now().Before(f.at.Add(pause))
}

// planAll plans the jobs, which are dirty since the versions of since, all but
// those whose strategy fails or has failed lately.
func (c *Coordinator) planAll(ctx context.Context, states []registry.JobState, since map[string]int64, r *round) ([]registry.Plan, error) {
	drafts := make([]*draft, len(states))
	free := make(chan struct{}, plansAtOnce)
	var asked sync.WaitGroup
	for i, state := range states {
		if c.isLeftAlone(state, since[state.Definition.Name]) {
			continue
		}
		d := &draft{state: state}
		drafts[i] = d
		free <- struct{}{}
		asked.Go(func() {
			defer func() { <-free }()
			if d.begin(ctx, c, r.hosts); !d.wantsLoads() {
				d.finish(ctx, c)
			}
		})
	}
	asked.Wait()
	// What one of these decides is load for the next.
	var unread error
	for i, d := range drafts {
		if d == nil || !d.wantsLoads() {
			continue
		}
		if r.isLate(c.now()) {
			// Some hang, which does not hold up the others; its turn comes.
			d.close(ctx, c)
			drafts[i] = nil
			continue
		}
		if unread = r.readLoads(ctx, c.registry); unread != nil {
			d.asks = false
			d.close(ctx, c)
			continue
		}
		r.tell(d)
		d.finish(ctx, c)
		r.learn(d)
	}
	if unread != nil {
		return nil, unread
	}
	plans := make([]registry.Plan, 0, len(states))
	for _, d := range drafts {
		if d == nil {
			continue
		}
		name := d.state.Definition.Name
		if d.err != nil {
			c.logger.Error("items not assigned, the assignment stays as it was", "job", name, "err", d.err)
			pause := min(max(firstRetry, 2*c.failed[name].pause), lastRetry)
			c.failed[name] = failure{version: d.state.Version, since: since[name], at: c.now(), pause: pause}
			continue
		}
		delete(c.failed, name)
		d.plan.Dirty = since[name]
		plans = append(plans, d.plan)
	}
	return plans, nil
}

// isLate reports whether those that want loads have had their time.
func (r *round) isLate(now time.Time) bool {
	if r.until.IsZero() {
		r.until = now.Add(shardTimeout)
	}
	return !now.Before(r.until)
}

// readLoads reads the loads once a round.
func (r *round) readLoads(ctx context.Context, from Registry) error {
	if r.loads != nil {
		return nil
	}
	loads, err := from.Loads(ctx)
	if err != nil {
		return err
	}
	r.loads = loads
	return nil
}

// tell fills in how busy the instances are with other jobs.
func (r *round) tell(d *draft) {
	for i, instance := range d.request.Instances {
		d.request.Instances[i].Load = max(0, r.loads[instance.ID]-d.state.Owners[instance.ID].Len())
	}
}

// learn counts what was decided.
func (r *round) learn(d *draft) {
	if d.err != nil {
		return
	}
	for id, items := range d.state.Owners {
		r.loads[id] -= items.Len()
	}
	for id, items := range d.plan.Owners {
		r.loads[id] += items.Len()
	}
}

// draft is the plan of one job in the making.
type draft struct {
	state    registry.JobState
	strategy Strategy
	request  spi.ShardRequest
	plan     registry.Plan
	err      error
	// asks says that the strategy is still to be asked.
	asks bool
}

// wantsLoads reports whether the strategy is to be asked, and told the load of
// instances.
func (d *draft) wantsLoads() bool { return d.asks && d.strategy.Descriptor.Has(spi.CapabilityLoad) }

// begin finds the strategy and makes its request. While no instance may run the
// job there is nothing to ask: its items are nobody's.
func (d *draft) begin(ctx context.Context, c *Coordinator, hosts []host) {
	d.plan = registry.Plan{
		Job: d.state.Definition.Name, ExpectGeneration: d.state.Generation, ExpectVersion: d.state.Version,
		Items: d.state.Definition.Items, How: d.state.How,
	}
	if d.plan.How == registry.HowBroadcast {
		d.plan.Items = d.state.Assigned
	}
	candidates := candidatesOf(d.state, hosts)
	if len(candidates) == 0 {
		return
	}
	if d.strategy, d.err = c.strategist(ctx, d.state); d.err != nil {
		return
	}
	d.plan.How = howOf(d.strategy.Descriptor)
	if d.plan.How != registry.HowOnce && !d.state.Definition.Monitored {
		d.err = fmt.Errorf("strategy %s needs monitorExecution", d.strategy.Descriptor.Type)
		d.close(ctx, c)
		return
	}
	d.request = d.strategy.Request
	d.request.Instances = candidates
	if d.plan.How == registry.HowBroadcast {
		d.request = Broadcast(d.request)
	}
	d.plan.Items = d.request.ShardingTotalCount
	d.request.Previous = make(map[string][]int, len(d.state.Owners))
	for id, items := range d.state.Owners {
		if id != "" {
			d.request.Previous[id] = items.Slice()
		}
	}
	d.request.Services = hostcall.Services{Logger: c.logger.With("job", d.plan.Job, "plugin", d.strategy.Descriptor.Type), Door: d.strategy.Door}
	d.asks = true
}

// howOf says how a strategy assigns items.
func howOf(d spi.Descriptor) registry.How {
	switch {
	case d.Has(spi.CapabilityBroadcast):
		return registry.HowBroadcast
	case d.Has(spi.CapabilityEveryRun):
		return registry.HowEveryRun
	default:
		return registry.HowOnce
	}
}

// finish asks the strategy, if it is to be asked.
func (d *draft) finish(ctx context.Context, c *Coordinator) {
	if !d.asks {
		return
	}
	d.asks = false
	defer d.close(ctx, c)
	assignment, err := Shard(ctx, d.strategy.Strategy, d.request)
	if err != nil {
		d.err = fmt.Errorf("sharding: %w", err)
		return
	}
	d.plan.Owners = make(map[string]registry.Items, len(assignment))
	for id, items := range assignment {
		if len(items) > 0 {
			d.plan.Owners[id] = registry.NewItems(items...)
		}
	}
}

func (d *draft) close(ctx context.Context, c *Coordinator) {
	if err := catalog.Close(context.WithoutCancel(ctx), d.strategy.Strategy); err != nil {
		c.logger.Warn("sharding strategy not closed", "job", d.plan.Job, "plugin", d.strategy.Descriptor.Type, "err", err)
	}
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
		if !s.Live || s.Draining || s.Disabled {
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

// Package coordinator does the duties of the leader: it clears up after dead
// sessions, gives every item of every job that needs it an owner, and leads from runs
// that have ended to those of the jobs that depend on them. The
// strategies that decide are plugins; what they answer is checked here and
// committed by compare-and-set, so a leader that is late or deposed changes
// nothing.
package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Registry is what a coordinator needs of a partition of the registry center.
type Registry interface {
	// Dirty names the jobs whose assignment needs a look.
	Dirty(ctx context.Context) ([]registry.DirtyJob, error)
	// Jobs reads the definitions, assignments and desired states of jobs.
	Jobs(ctx context.Context, names ...string) ([]registry.JobState, error)
	// Instances reads the registered nodes.
	Instances(ctx context.Context) ([]registry.InstanceState, error)
	// Loads counts the items of each instance.
	Loads(ctx context.Context) (map[string]int, error)
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
	// RunsUnderWay names the jobs with runs on which others wait, or that wait.
	RunsUnderWay(ctx context.Context) ([]string, error)
	// CloseRuns ends those that are over.
	CloseRuns(ctx context.Context, l registry.Leadership, requests []registry.CloseRequest) ([]registry.CloseReply, error)
	// Reconcile mends what is inconsistent in jobs.
	Reconcile(ctx context.Context, l registry.Leadership, jobs []string) ([]registry.Repair, error)
}

// Strategy is the strategy of a job, what it says of itself and the request that
// it answers, all but the instances.
type Strategy struct {
	Descriptor spi.Descriptor
	Strategy   spi.ShardingStrategy
	Request    spi.ShardRequest
	// Door serves the host operations that the strategy calls; nil offers none.
	Door hostcall.Caller
}

// Strategist finds the sharding strategy of a stored job.
type Strategist func(ctx context.Context, state registry.JobState) (Strategy, error)

// Config is what a coordinator is made of. All fields are mandatory.
type Config struct {
	Registry   Registry
	Strategist Strategist
	// Interval is how often a stored job is reconciled, zero for never.
	Interval func(state registry.JobState) time.Duration
	// Lost is told of items that a dead session left running and that nobody
	// takes over.
	Lost func(dead registry.Lease, job string, run registry.LostRun)
	// Elsewhere is the partition that has a job.
	Elsewhere func(job string) Dependencies
	// Skipped is told of runs that do not take place. It may be told twice.
	Skipped func(Skipped)
	// SessionTimeout is how long the mass-expiry brake waits.
	SessionTimeout time.Duration
	// Now is the time of the registry's server.
	Now    func() time.Time
	Logger *slog.Logger
}

// Coordinator does the duties of the leader of one partition. Its calls come one
// at a time.
type Coordinator struct {
	registry   Registry
	strategist Strategist
	lost       func(dead registry.Lease, job string, run registry.LostRun)
	elsewhere  func(job string) Dependencies
	skipped    func(Skipped)
	timeout    time.Duration
	now        func() time.Time
	logger     *slog.Logger

	term       int64                   // of the last call
	brakeUntil time.Time               // sessions that ended in a mass are kept until then
	drained    map[registry.Lease]bool // dead sessions that are not buried yet
	failed     map[string]failure      // jobs whose strategy failed
	unlinked   map[string]bool         // jobs that could not be linked to those they depend on
	silent     map[Dependencies]error  // partitions that could not be told of a run by the last look
	reconciler reconciler
}

// New returns a coordinator.
func New(c Config) *Coordinator {
	return &Coordinator{
		registry: c.Registry, strategist: c.Strategist, lost: c.Lost, elsewhere: c.Elsewhere, skipped: c.Skipped, timeout: c.SessionTimeout, now: c.Now, logger: c.Logger,
		drained: make(map[registry.Lease]bool), failed: make(map[string]failure), unlinked: make(map[string]bool), silent: make(map[Dependencies]error), reconciler: reconciler{interval: c.Interval, due: make(map[string]time.Time)},
	}
}

// Coordinate does whatever is to be done now: it evicts sessions whose lease has
// ended, takes their marks away, gives items without owner a new one, mends what is
// inconsistent, and starts the runs that follow others. It returns when there will be more to do at the latest,
// by the server's clock, zero if that is not known. A leader that is interrupted
// leaves the rest to the next call, its own or its successor's.
func (c *Coordinator) Coordinate(ctx context.Context, leader registry.Leadership) (next time.Time, err error) {
	if c.term != leader.Term {
		c.Forget()
		c.term = leader.Term
	}
	next, err = c.reap(ctx, leader)
	if err != nil {
		return next, err
	}
	dead, err := c.drain(ctx, leader)
	if err != nil {
		return next, err
	}
	pending, err := c.reshard(ctx, leader)
	if err != nil {
		return next, err
	}
	next = earlier(next, pending.until)
	if pending.count == 0 {
		// Until then a commit may ask what became of them.
		for _, d := range dead {
			if err := c.registry.Bury(ctx, leader, d); err != nil {
				return next, err
			}
			delete(c.drained, d)
		}
	}
	due, err := c.reconcile(ctx, leader)
	look, failed := c.follow(ctx, leader)
	return earlier(earlier(next, due), look), errors.Join(err, failed)
}

// Forget makes the next call begin anew, as that of a leader that follows another: the
// registry may have lost what was done. It must not be called during Coordinate.
func (c *Coordinator) Forget() {
	c.brakeUntil = time.Time{}
	clear(c.drained)
	clear(c.failed)
	clear(c.unlinked)
	c.reconciler.reset()
}

// earlier returns the earlier one of two times that are set.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// reap evicts sessions whose lease has ended. When more than half of all have
// ended at once, the cause is rather the registry's clock or its network than
// their death: they get the time of another lease to come back, as in the
// self-preservation of Netflix's Eureka.
func (c *Coordinator) reap(ctx context.Context, leader registry.Leadership) (next time.Time, err error) {
	force := !c.brakeUntil.IsZero() && !c.now().Before(c.brakeUntil)
	var reaped registry.Reaped
	for {
		if reaped, err = c.registry.Reap(ctx, leader, force); err != nil {
			return time.Time{}, err
		}
		for _, d := range reaped.Dead {
			c.logger.Warn("instance is dead, its items move", "dead", d.Instance)
		}
		// One call takes a few: after the brake all of the mass are due.
		if !force || len(reaped.Dead) == 0 {
			break
		}
	}
	switch {
	case reaped.Held == 0:
		c.brakeUntil = time.Time{}
	case c.brakeUntil.IsZero():
		c.brakeUntil = c.now().Add(c.timeout)
		c.logger.Warn("more than half of all sessions ended at once; their items move if they are not back by then", "sessions", reaped.Held, "until", c.brakeUntil)
	}
	return earlier(reaped.Next, c.brakeUntil), nil
}

// drain takes the marks of dead sessions away, which would hold their items for
// ever, and returns those sessions. It does so once: draining makes jobs dirty.
func (c *Coordinator) drain(ctx context.Context, leader registry.Leadership) ([]registry.Lease, error) {
	dead, err := c.registry.Dead(ctx)
	if err != nil || !slices.ContainsFunc(dead, func(d registry.Lease) bool { return !c.drained[d] }) {
		return dead, err
	}
	jobs, err := c.registry.JobNames(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range dead {
		if c.drained[d] {
			continue
		}
		drained, err := c.registry.Drain(ctx, leader, d, jobs)
		for _, job := range drained {
			for _, run := range job.Lost {
				c.lost(d, job.Job, run)
			}
		}
		if err != nil {
			return nil, err
		}
		c.drained[d] = true
	}
	return dead, nil
}

// batchJobs is how many jobs are read and committed together.
const batchJobs = 500

// pending is what resharding had to leave for later.
type pending struct {
	count int       // of jobs
	until time.Time // when the first of them can be looked at again, zero if unknown
}

// reshard looks at every job that needs it and commits new assignments. A job
// whose strategy fails keeps its assignment, and the log says why; it is looked
// at again on the next call. So is an unmonitored job whose last hand-over is
// under way.
func (c *Coordinator) reshard(ctx context.Context, leader registry.Leadership) (pending, error) {
	dirty, err := c.registry.Dirty(ctx)
	if err != nil || len(dirty) == 0 {
		return pending{}, err
	}
	states, err := c.registry.Instances(ctx)
	if err != nil {
		return pending{}, err
	}
	if !slices.ContainsFunc(states, func(s registry.InstanceState) bool { return s.Live && !s.Draining }) {
		// The last node goes: whoever comes next finds everything as it is.
		return pending{count: len(dirty)}, nil
	}
	var left pending
	r := round{hosts: hostsOf(states)}
	for batch := range slices.Chunk(dirty, batchJobs) {
		p, err := c.reshardBatch(ctx, leader, batch, &r)
		left.count += p.count
		left.until = earlier(left.until, p.until)
		if err != nil {
			return left, err
		}
	}
	return left, nil
}

func (c *Coordinator) reshardBatch(ctx context.Context, leader registry.Leadership, dirty []registry.DirtyJob, r *round) (pending, error) {
	var left pending
	names := make([]string, len(dirty))
	since := make(map[string]int64, len(dirty))
	for i, d := range dirty {
		names[i] = d.Name
		since[d.Name] = d.Since
	}
	states, err := c.registry.Jobs(ctx, names...)
	if bad, ok := errors.AsType[*registry.JobsError](err); ok {
		// Whoever hosts them says so; the others go on.
		left.count += len(bad.ByJob)
		err = nil
	}
	if err != nil {
		return left, err
	}
	c.link(ctx, states)
	plans, err := c.planAll(ctx, states, since, r)
	if err != nil {
		return left, err
	}
	left.count += len(states) - len(plans)
	results, err := c.registry.CommitAssignments(ctx, leader, plans)
	for _, r := range results {
		if r.Dropped.Len() > 0 {
			c.logger.Warn("items dropped", "job", r.Job, "items", r.Dropped.String())
		}
		switch r.Code {
		case registry.CodePending:
			left.count++
			left.until = earlier(left.until, r.From.Add(time.Millisecond))
		case registry.CodeStale, registry.CodeOwnerGone:
			// Something changed meanwhile: look again soon.
			left.count++
			left.until = earlier(left.until, c.now().Add(staleRetry))
		}
	}
	return left, err
}

// staleRetry is how soon a plan is made again that was outdated when it was
// committed.
const staleRetry = 50 * time.Millisecond

package coordinator

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
)

// Dependencies is what a coordinator needs of the partition that has a job which
// depends on others, or on which others depend. It may be another one than its own.
type Dependencies interface {
	// Job reads one job.
	Job(ctx context.Context, name string) (registry.JobState, error)
	// JobRuns reads the runs of a job.
	JobRuns(ctx context.Context, job string) ([]registry.JobRun, error)
	// Link makes the ends of a job's runs known to one that depends on it.
	Link(ctx context.Context, job, dependent string) error
	// Arrive tells a job that a run of one that it depends on has ended.
	Arrive(ctx context.Context, a registry.Arrival) (registry.ArrivalReply, error)
}

// Skipped is a run that does not take place because of what it depends on, or because
// its job cannot run.
type Skipped struct {
	Job, Run string
	Reason   registry.SkipReason
}

const (
	// idleLook is how soon the leader looks again at runs whose items might yet begin:
	// whoever decides that they do not tells nobody.
	idleLook = time.Second
	// maxPasses bounds how far one call follows a run that is over: each pass leads to
	// the next jobs.
	maxPasses = 100
	// longestWait is for how long a run waits for one of a job with a schedule of which
	// nothing is known.
	longestWait = 24 * time.Hour
)

// link makes the ends of the runs of other jobs known to those of these that depend on
// them. What fails is tried again by follow.
func (c *Coordinator) link(ctx context.Context, states []registry.JobState) {
	read := make(definitions, len(states))
	for _, s := range states {
		read[s.Definition.Name] = s.Definition
	}
	for _, s := range states {
		if c.linkJob(ctx, s.Definition, read) != nil {
			c.unlinked[s.Definition.Name] = true
		}
	}
}

// definitions are those that a look at many jobs has read. Jobs that are none, or are
// not understood, depend on nothing.
type definitions map[string]registry.JobDefinition

// linkJob refuses what would close a circle. A run would end in it all the same, as no
// job runs twice under one run id.
func (c *Coordinator) linkJob(ctx context.Context, d registry.JobDefinition, read definitions) error {
	if len(d.DependsOn) == 0 {
		return nil
	}
	path, err := c.circle(ctx, d.Name, read)
	if err != nil {
		return err
	}
	if path != nil {
		c.logger.Error("jobs depend on each other in a circle", "job", d.Name, "path", strings.Join(path, " -> "))
		return nil
	}
	for _, up := range d.Upstreams() {
		if err := c.elsewhere(up).Link(ctx, up, d.Name); err != nil {
			return err
		}
	}
	return nil
}

// relink tries again what link could not do.
func (c *Coordinator) relink(ctx context.Context) error {
	read := make(definitions)
	for _, name := range slices.Sorted(maps.Keys(c.unlinked)) {
		d, err := c.definition(ctx, name, read)
		if err == nil {
			err = c.linkJob(ctx, d, read)
		}
		if err != nil {
			return err
		}
		delete(c.unlinked, name)
	}
	return nil
}

// read reads a job wherever it is. It is false if there is none, or none that this
// version understands.
func (c *Coordinator) read(ctx context.Context, name string) (registry.JobState, bool, error) {
	s, err := c.elsewhere(name).Job(ctx, name)
	_, isForeign := errors.AsType[*registry.JobsError](err)
	if isForeign || errors.Is(err, registry.ErrUnknownJob) {
		return registry.JobState{}, false, nil
	}
	return s, err == nil, err
}

// definition reads that of a job, unless it has been read.
func (c *Coordinator) definition(ctx context.Context, name string, read definitions) (registry.JobDefinition, error) {
	if d, isKnown := read[name]; isKnown {
		return d, nil
	}
	s, _, err := c.read(ctx, name)
	if err == nil {
		read[name] = s.Definition
	}
	return s.Definition, err
}

// circle is the way from a job along what it depends on back to itself, as the registry
// has the jobs now; nil if there is none.
func (c *Coordinator) circle(ctx context.Context, name string, read definitions) ([]string, error) {
	var failed error
	path := job.Circle(name, func(name string) []string {
		if failed != nil {
			return nil
		}
		var d registry.JobDefinition
		d, failed = c.definition(ctx, name, read)
		return d.Upstreams()
	})
	return path, failed
}

// follow ends the runs that are over and tells the jobs that depend on them, which
// starts or skips theirs. A run counts as ended until all have heard, so what is
// interrupted is told again, and a job that was told hears nothing new. What cannot be
// told, because a partition is away, holds up no others.
func (c *Coordinator) follow(ctx context.Context, leader registry.Leadership) (next time.Time, err error) {
	failed := c.relink(ctx)
	clear(c.silent)
	stuck := make(map[string]bool) // jobs of which somebody could not be told
	told, leavers := make(map[string][]string), make(map[string][]string)
	for range maxPasses {
		names, err := c.registry.RunsUnderWay(ctx)
		if err != nil || len(names) == 0 {
			return c.lookAgain(time.Time{}, failed), errors.Join(failed, err)
		}
		requests := make([]registry.CloseRequest, len(names))
		for i, name := range names {
			requests[i] = registry.CloseRequest{Job: name, Told: told[name], Leavers: leavers[name]}
		}
		replies, err := c.registry.CloseRuns(ctx, leader, requests)
		if err != nil {
			return c.lookAgain(time.Time{}, failed), errors.Join(failed, err)
		}
		clear(told)
		clear(leavers)
		next = time.Time{}
		for i, reply := range replies {
			name := names[i]
			if reply.Idle {
				next = c.now().Add(idleLook)
			}
			if stuck[name] {
				continue
			}
			told[name], leavers[name], err = c.tell(ctx, name, reply)
			if err != nil {
				stuck[name] = true
				failed = cmp.Or(failed, err)
			}
			if len(told[name]) == 0 {
				delete(told, name)
			}
		}
		if len(told) == 0 {
			return c.lookAgain(next, failed), failed
		}
	}
	return c.now(), failed
}

// lookAgain is when follow is to be called again.
func (c *Coordinator) lookAgain(next time.Time, failed error) time.Time {
	if failed == nil {
		return next
	}
	return earlier(next, c.now().Add(idleLook))
}

// tell spreads the ends of the runs of a job, in their order, and gives up its runs that
// wait in vain. It returns the runs of which all have heard, and leavers.
func (c *Coordinator) tell(ctx context.Context, name string, reply registry.CloseReply) (told, leavers []string, err error) {
	for _, run := range reply.Ended {
		if leavers, err = c.spread(ctx, name, run, reply, leavers); err != nil {
			return told, leavers, err
		}
		told = append(told, run.Field)
	}
	for _, run := range reply.Waiting {
		if err := c.giveUp(ctx, name, run, reply.At); err != nil {
			return told, leavers, err
		}
	}
	return told, leavers, nil
}

// spread tells the jobs that depend on one of the end of its run, as many as it can. It
// returns leavers with those that do not depend on it any more.
func (c *Coordinator) spread(ctx context.Context, name string, run registry.EndedRun, reply registry.CloseReply, leavers []string) ([]string, error) {
	var failed error
	for _, down := range reply.Down {
		if slices.Contains(leavers, down) {
			continue
		}
		part := c.elsewhere(down)
		if err := c.silent[part]; err != nil {
			failed = err
			continue
		}
		err := c.arrive(ctx, registry.Arrival{Job: down, From: name, Run: run.Run, Outcome: run.Outcome, AsOf: reply.At})
		switch {
		case errors.Is(err, registry.ErrNoDependency), errors.Is(err, registry.ErrUnknownJob):
			leavers = append(leavers, down)
		case err != nil:
			c.silent[part], failed = err, err
		}
	}
	return leavers, failed
}

func (c *Coordinator) arrive(ctx context.Context, a registry.Arrival) error {
	reply, err := c.elsewhere(a.Job).Arrive(ctx, a)
	if err != nil {
		return err
	}
	if reply.Stage == registry.RunEnded {
		c.skipped(Skipped{Job: a.Job, Run: a.Run, Reason: reply.Reason})
	}
	for _, r := range reply.Refused {
		if reply.Stage == registry.RunOpen {
			c.logger.Warn("items left out of a run that follows others", "job", a.Job, "run", a.Run, "items", r.Items.String(), "reason", string(r.Reason))
		}
	}
	return nil
}

// giveUp lets a run that waits for one that will never be count that as skipped.
func (c *Coordinator) giveUp(ctx context.Context, name string, run registry.WaitingRun, at time.Time) error {
	for _, other := range run.For {
		may, err := c.mayCome(ctx, other, run.Run, make(map[string]bool))
		if err != nil {
			return err
		}
		if may {
			continue
		}
		err = c.arrive(ctx, registry.Arrival{Job: name, From: other, Run: run.Run, Outcome: registry.RunSkipped, AsOf: at})
		if err != nil && !errors.Is(err, registry.ErrNoDependency) && !errors.Is(err, registry.ErrUnknownJob) {
			return err
		}
	}
	return nil
}

// mayCome reports whether a job may yet tell of its run of this id. It looks at what
// the job depends on before the job itself: a run of those that has been told by then
// has left its trace there.
func (c *Coordinator) mayCome(ctx context.Context, name, run string, seen map[string]bool) (bool, error) {
	if seen[name] {
		return false, nil
	}
	seen[name] = true
	s, exists, err := c.read(ctx, name)
	if !exists || err != nil {
		return false, err
	}
	for _, d := range s.Definition.DependsOn {
		if may, err := c.mayCome(ctx, d.Job, run, seen); may || err != nil {
			return may, err
		}
	}
	runs, err := c.elsewhere(name).JobRuns(ctx, name)
	if err != nil {
		return false, err
	}
	instant, err := registry.ParseRunID(run)
	isTimed := err == nil && len(s.Definition.DependsOn) == 0
	may := isTimed && c.now().Before(instant.Add(longestWait))
	for _, r := range runs {
		if r.Run == run {
			return r.Stage != registry.RunTold, nil
		}
		// A job has decided all instants before that of a run which has ended.
		later, err := registry.ParseRunID(r.Run)
		if err == nil && later.After(instant) && r.Outcome != 0 {
			may = false
		}
	}
	return may, nil
}

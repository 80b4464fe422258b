package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/coordinator"
	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
)

// dependenciesOf are the jobs that a job depends on, as the registry takes them.
func dependenciesOf(c job.Config) []registry.Dependency {
	on := map[string]registry.Condition{
		job.OnSuccess: registry.OnSuccess, job.OnFailure: registry.OnFailure, job.OnAlways: registry.OnAlways,
	}
	var list []registry.Dependency
	for _, d := range c.DependsOn {
		list = append(list, registry.Dependency{Job: d.Job, On: on[d.On]})
	}
	return list
}

// checkCircle refuses a definition that closes a circle with those in the registry.
func (h *Host) checkCircle(ctx context.Context, c job.Config) error {
	if len(c.DependsOn) == 0 {
		return nil
	}
	var failed error
	path := job.Circle(c.Name, func(name string) []string {
		if name == c.Name {
			return c.Upstreams()
		}
		if failed != nil {
			return nil
		}
		state, err := h.center.Partition(name).Job(ctx, name)
		if err != nil && !errors.Is(err, registry.ErrUnknownJob) {
			failed = err
		}
		return state.Definition.Upstreams()
	})
	if failed != nil {
		return fmt.Errorf("updating job %q: %w", c.Name, failed)
	}
	if path != nil {
		return config.Problems{{Rule: job.RuleConflict, Message: "dependsOn closes a circle: " + strings.Join(path, " -> ")}}
	}
	return nil
}

// runSkipped publishes that a job did not run after others.
func (h *Host) runSkipped(s coordinator.Skipped) {
	h.events.Skipped.Publish(execution.RunSkipped{Job: s.Job, Run: s.Run, Reason: s.Reason})
}

// RunState says how far a run is.
type RunState string

// The states of a run.
const (
	// RunWaiting: runs of other jobs have not ended.
	RunWaiting RunState = "waiting"
	// RunRunning: it has begun, or its items wait for their turn.
	RunRunning   RunState = "running"
	RunSucceeded RunState = "succeeded"
	// RunFailed: an item has failed, was cancelled or is lost.
	RunFailed RunState = "failed"
	// RunSkipped: nothing ran.
	RunSkipped RunState = "skipped"
)

// JobRun is a run of a job that depends on others or on which others depend.
type JobRun struct {
	// Run is the run id, which a job inherits from those that it depends on.
	Run   string
	State RunState
	// Reason is why it was skipped.
	Reason string
	// Since is when it came into this state or, while it waits, was last told of
	// another run.
	Since time.Time
	// Before are the outcomes of the runs that it has waited for, by job.
	Before map[string]RunState
}

// JobRuns returns the runs of a job that depends on others or on which others depend:
// those that have not ended, and those that ended within about an hour, in the order of
// their ids. Of any other job, or one that nobody knows, there are none.
func (h *Host) JobRuns(ctx context.Context, name string) ([]JobRun, error) {
	found, err := h.center.Partition(name).JobRuns(ctx, name)
	if err != nil {
		return nil, err
	}
	ended := map[registry.RunOutcome]RunState{
		registry.RunSucceeded: RunSucceeded, registry.RunFailed: RunFailed, registry.RunSkipped: RunSkipped,
	}
	var runs []JobRun
	for _, r := range found {
		run := JobRun{Run: r.Run, State: ended[r.Outcome], Reason: string(r.Reason), Since: r.Since, Before: make(map[string]RunState, len(r.Before))}
		switch r.Stage {
		case registry.RunWaits:
			run.State = RunWaiting
		case registry.RunOpen:
			run.State = RunRunning
		case registry.RunEnded, registry.RunTold:
		}
		for name, outcome := range r.Before {
			run.Before[name] = ended[outcome]
		}
		runs = append(runs, run)
	}
	return runs, nil
}

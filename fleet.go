package elasticjob

import (
	"context"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/host"
	"github.com/elasticjob-go/elasticjob/core/registry"
)

// ErrUnknownJob is the error of methods that name a job which the registry center
// does not have.
var ErrUnknownJob = registry.ErrUnknownJob

// The errors of [Node.Trigger], [Node.TriggerState] and [Node.AwaitTrigger],
// besides [ErrUnknownJob].
var (
	// ErrRefused: no item was accepted; the result says why.
	ErrRefused = host.ErrRefused
	// ErrNothingToTrigger: the job has no such items, or the instance owns none.
	ErrNothingToTrigger = registry.ErrNothingToTrigger
	// ErrTooManyTriggers: a thousand triggers of the job have not ended.
	ErrTooManyTriggers = registry.ErrTooManyTriggers
	// ErrUnknownTrigger: nothing is known of a trigger of this id, or no more.
	ErrUnknownTrigger = registry.ErrUnknownTrigger
	// ErrStopped: the node has stopped while [Node.AwaitTrigger] waited.
	ErrStopped = host.ErrStopped
)

// ErrConflict is the error of [Node.UpdateJob] when the job has another version
// than the one that was to be changed.
var ErrConflict = host.ErrConflict

// What the registry center knows of the fleet.
type (
	// JobInfo is a job.
	JobInfo = host.JobInfo
	// JobStatus is how a job stands.
	JobStatus = host.JobStatus
	// ItemInfo is one sharding item of a job.
	ItemInfo = host.ItemInfo
	// ItemProgress is how far an item says it is.
	ItemProgress = execution.Progress
	// ItemStatus is how an item stands.
	ItemStatus = host.ItemStatus
	// InstanceInfo is a node.
	InstanceInfo = host.InstanceInfo
	// InstanceStatus is how a node stands.
	InstanceStatus = host.InstanceStatus
	// Target is what [Node.Enable] and [Node.Disable] are about.
	Target = host.Target
	// Trigger is what [Node.Trigger] is to run.
	Trigger = host.Trigger
	// TriggerMode says what becomes of items that are busy.
	TriggerMode = host.TriggerMode
	// TriggerResult is what was accepted of a trigger.
	TriggerResult = host.TriggerResult
	// TriggerRefusal is why items of a trigger were not accepted.
	TriggerRefusal = host.TriggerRefusal
	// TriggerInfo is what became of a trigger.
	TriggerInfo = host.TriggerInfo
	// RefusalReason says why an item was not accepted.
	RefusalReason = host.RefusalReason
	// JobRun is a run of a job that depends on others or on which others depend.
	JobRun = host.JobRun
	// RunState says how far such a run is.
	RunState = host.RunState
)

// The modes of a trigger.
const (
	// TriggerQueue lets items that run get their turn afterwards. It is the mode of a
	// trigger that names none.
	TriggerQueue = registry.TriggerQueue
	// TriggerRefuse accepts all wanted items that are not disabled, or none if one of
	// them runs or waits for another trigger.
	TriggerRefuse = registry.TriggerRefuse
)

// The reasons of a refusal.
const (
	RefusedJobDisabled  = registry.RefusedJobDisabled
	RefusedItemDisabled = registry.RefusedItemDisabled
	RefusedQueued       = registry.RefusedQueued
	RefusedRunning      = registry.RefusedRunning
)

// The states of a run.
const (
	RunWaiting   = host.RunWaiting
	RunRunning   = host.RunRunning
	RunSucceeded = host.RunSucceeded
	RunFailed    = host.RunFailed
	RunSkipped   = host.RunSkipped
)

// The statuses of a job.
const (
	JobOK       = host.JobOK
	JobSharding = host.JobSharding
	JobDisabled = host.JobDisabled
	JobStopped  = host.JobStopped
	JobCrashed  = host.JobCrashed
)

// The statuses of an item.
const (
	ItemPending  = host.ItemPending
	ItemSharding = host.ItemSharding
	ItemRunning  = host.ItemRunning
	ItemDisabled = host.ItemDisabled
)

// The statuses of an instance.
const (
	InstanceOK       = host.InstanceOK
	InstanceDisabled = host.InstanceDisabled
	InstanceDraining = host.InstanceDraining
	InstanceCrashed  = host.InstanceCrashed
)

// WholeJob is a job on all instances.
func WholeJob(name string) Target { return Target{Job: name} }

// OneItem is one sharding item of a job. Disabled, its owner keeps it and never
// runs it.
func OneItem(job string, item int) Target { return Target{Job: job, Item: &item} }

// OneInstance is an instance for all jobs. It is meant by its instance.id, else
// by its IP, and so outlives its process.
func OneInstance(id string) Target { return Target{Instance: id} }

// JobOnInstance is a job on one instance.
func JobOnInstance(job, id string) Target { return Target{Job: job, Instance: id} }

// Jobs returns all jobs of the namespace, by name. The node must be started, as
// for all methods that ask the registry center; their other errors are those of
// the connection to it.
func (n *Node) Jobs(ctx context.Context) ([]JobInfo, error) { return n.host.Jobs(ctx) }

// Job returns one job, or [ErrUnknownJob].
func (n *Node) Job(ctx context.Context, name string) (JobInfo, error) { return n.host.Job(ctx, name) }

// Items returns the sharding items of a job in order, or [ErrUnknownJob].
func (n *Node) Items(ctx context.Context, job string) ([]ItemInfo, error) {
	return n.host.Items(ctx, job)
}

// Instances returns the nodes of the namespace, by id.
func (n *Node) Instances(ctx context.Context) ([]InstanceInfo, error) { return n.host.Instances(ctx) }

// Enable ends what Disable has begun, on behalf of by, a name without commas of
// at most 100 bytes. Instants that came due meanwhile are not missed. It reports
// whether anything changed.
func (n *Node) Enable(ctx context.Context, t Target, by string) (bool, error) {
	return n.host.SetEnabled(ctx, t, true, by)
}

// Disable makes a target begin nothing any more, until it is enabled, over all
// restarts. Items that run go on; items of a disabled instance move to others.
func (n *Node) Disable(ctx context.Context, t Target, by string) (bool, error) {
	return n.host.SetEnabled(ctx, t, false, by)
}

// UpdateJob stores a definition of a job in the registry center, in place of the
// version that the caller has read in its [JobInfo]. With version zero it stores a
// job that is not there yet. It returns the version that is stored now, the same as
// before when nothing differs.
//
// All nodes run the job by it from its next run on, also with another schedule, zone,
// number of items, strategy, pool, handlers, listeners and properties; what runs ends
// under the definition that it has begun with. Disabled counts when it changes. A
// node whose file has the job with overwrite stores its own again when it starts or
// reloads, as does one whose registry is inside the process.
//
// The definition is validated, and its properties are checked if this node has the
// plugins that it names; then the error is [Problems]. Others are [ErrConflict] and
// [ErrUnknownJob]. The type of a job cannot be changed.
func (n *Node) UpdateJob(ctx context.Context, c JobConfig, version int64) (int64, error) {
	return n.host.UpdateJob(ctx, c, version)
}

// RemoveJob removes a job from the registry center with all that belongs to it, or
// returns [ErrUnknownJob]. All nodes stop firing it; items that run go on. A node
// that has the job in its file stores it again when it starts, reloads, or was away
// from the registry center meanwhile.
func (n *Node) RemoveJob(ctx context.Context, name string) error { return n.host.RemoveJob(ctx, name) }

// Drain stops firing on this node, hands its items to the others and returns
// when those that run here have ended, or with an error when ctx has. The node
// stays registered, gets no items any more, and is to be stopped.
func (n *Node) Drain(ctx context.Context) error { return n.host.Drain(ctx) }

// Trigger runs items of a job once, apart from its schedule, on the nodes that own
// them. The job may be any of the namespace. It returns when the items wait for
// their run, which is at once unless they are busy; an item is run once for each
// trigger that has accepted it, and never twice at once. What it refuses is in the
// result, with an error only if that is all.
//
// The result has an id also with an error after which the trigger may have been
// accepted: repeated with that id, it triggers nothing twice.
func (n *Node) Trigger(ctx context.Context, t Trigger) (TriggerResult, error) {
	return n.host.Trigger(ctx, t)
}

// TriggerState returns what became of a trigger, while items are left and for about
// an hour afterwards, or [ErrUnknownTrigger].
func (n *Node) TriggerState(ctx context.Context, job, id string) (TriggerInfo, error) {
	return n.host.TriggerState(ctx, job, id)
}

// AwaitTrigger waits until the last item of a trigger has ended, wherever it runs,
// and returns what became of it as TriggerState does: items that failed are no error.
// It hears of the end, and goes on waiting while the registry center does not answer
// or this node has lost its session.
//
// It ends earlier with what is known by then and an error: the cause of ctx when ctx
// is over, [ErrUnknownTrigger] also when the job is removed meanwhile, and
// [ErrStopped]. An item that waits so for a trigger of itself never ends.
func (n *Node) AwaitTrigger(ctx context.Context, job, id string) (TriggerInfo, error) {
	return n.host.AwaitTrigger(ctx, job, id)
}

// JobRuns returns the runs of a job that depends on others or on which others depend:
// those that have not ended, and those that ended within about an hour, in the order of
// their ids. Of any other job there are none.
func (n *Node) JobRuns(ctx context.Context, job string) ([]JobRun, error) {
	return n.host.JobRuns(ctx, job)
}

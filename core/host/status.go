package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
)

// JobStatus is how a job stands in the fleet.
type JobStatus string

// The statuses of jobs. The first that fits, from the last to the first, counts.
const (
	// JobOK: every item has a living owner.
	JobOK JobStatus = "OK"
	// JobSharding: items wait for an owner.
	JobSharding JobStatus = "SHARDING_FLAG"
	// JobDisabled: somebody has disabled it, as a whole or on every instance that
	// could run it.
	JobDisabled JobStatus = "DISABLED"
	// JobStopped: error handlers have stopped it on every instance that could run
	// it.
	JobStopped JobStatus = "STOPPED"
	// JobCrashed: no living instance can run it.
	JobCrashed JobStatus = "CRASHED"
)

// JobInfo is a job as the registry center has it.
type JobInfo struct {
	Name   string
	Type   string
	Status JobStatus
	// Config is the definition. It has no type when it cannot be read, as one of a
	// later version.
	Config job.Config
	// Version is the definition's, stored at Updated.
	Version int64
	Updated time.Time
	// Generation is that of the assignment, zero before the first one.
	Generation int64
	// Instances are the living ones that can run it.
	Instances []string
}

// ItemStatus is how an item stands.
type ItemStatus string

// The statuses of items. The first that fits, from the last to the first, counts.
const (
	// ItemPending: its owner waits for the next firing.
	ItemPending ItemStatus = "PENDING"
	// ItemSharding: it waits for a living owner.
	ItemSharding ItemStatus = "SHARDING_FLAG"
	// ItemRunning: its code runs. Of an unmonitored job only what runs on this node
	// is known.
	ItemRunning ItemStatus = "RUNNING"
	// ItemDisabled: it never runs.
	ItemDisabled ItemStatus = "DISABLED"
)

// ItemInfo is one sharding item of a job.
type ItemInfo struct {
	Item   int
	Status ItemStatus
	// Owner is the instance that fires it, empty if nobody does.
	Owner string
	// RunningOn is the instance where it runs, which is a former owner for a while
	// after a move, and Run the id of its run.
	RunningOn, Run string
	// Progress is what it has reported last, zero if nothing. Only what runs on this
	// node is known.
	Progress execution.Progress
	// Missed is the latest instant that waits to be caught up, zero if none does.
	Missed time.Time
	// Failover says that it waits for another instance to take its run over.
	Failover bool
}

// InstanceStatus is how an instance stands.
type InstanceStatus string

// The statuses of instances. The first that fits, from the last to the first,
// counts.
const (
	// InstanceOK: it runs items.
	InstanceOK InstanceStatus = "OK"
	// InstanceDisabled: it gets no items until it is enabled.
	InstanceDisabled InstanceStatus = "DISABLED"
	// InstanceDraining: it has handed its items over and is about to leave.
	InstanceDraining InstanceStatus = "DRAINING"
	// InstanceCrashed: its lease has ended, and its items are about to move.
	InstanceCrashed InstanceStatus = "CRASHED"
)

// InstanceInfo is a registered node.
type InstanceInfo struct {
	ID      string
	IP      string
	Host    string
	PID     int
	Labels  map[string]string
	Version string
	Status  InstanceStatus
	// Leads says that it is the leader; of a Redis Cluster, of one partition at
	// least.
	Leads bool
	// Jobs are those that it can run, sorted.
	Jobs []string
}

// Jobs returns all jobs of the namespace that this version can read, by name.
func (h *Host) Jobs(ctx context.Context) ([]JobInfo, error) {
	var all []JobInfo
	for _, p := range h.center.Partitions() {
		names, err := p.JobNames(ctx)
		if err != nil {
			return nil, err
		}
		states, err := p.Jobs(ctx, names...)
		var bad *registry.JobsError
		if err != nil && !errors.As(err, &bad) {
			return nil, err
		}
		instances, err := p.Instances(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range states {
			all = append(all, jobInfo(s, instances))
		}
	}
	slices.SortFunc(all, func(a, b JobInfo) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Job returns one job; one that is not there is [registry.ErrUnknownJob].
func (h *Host) Job(ctx context.Context, name string) (JobInfo, error) {
	p := h.center.Partition(name)
	state, err := p.Job(ctx, name)
	if err != nil {
		return JobInfo{}, err
	}
	instances, err := p.Instances(ctx)
	if err != nil {
		return JobInfo{}, err
	}
	return jobInfo(state, instances), nil
}

func jobInfo(s registry.JobState, instances []registry.InstanceState) JobInfo {
	info := JobInfo{Name: s.Definition.Name, Version: s.Version, Updated: s.Updated, Generation: s.Generation}
	// What cannot be read has no more to tell.
	info.Config, _ = job.Decode(s.Definition.Config)
	info.Type = info.Config.Type
	living := make(map[string]bool)
	disabled, stopped := 0, 0
	for _, i := range instances {
		if !i.Live || !slices.Contains(i.Instance.Jobs, info.Name) {
			continue
		}
		living[i.Instance.ID] = true
		server := registry.ServerName(i.Instance.ID)
		switch {
		case slices.Contains(s.StoppedServers, server):
			stopped++
		case i.Disabled || slices.Contains(s.DisabledServers, server):
			disabled++
		}
	}
	info.Instances = slices.Sorted(maps.Keys(living))
	switch {
	case len(living) == 0:
		info.Status = JobCrashed
	case stopped == len(living):
		info.Status = JobStopped
	case !s.Enabled || stopped+disabled == len(living):
		info.Status = JobDisabled
	case isOwned(s, living):
		info.Status = JobOK
	default:
		info.Status = JobSharding
	}
	return info
}

// isOwned reports whether every item of a job has a living owner.
func isOwned(s registry.JobState, living map[string]bool) bool {
	owned := 0
	for id, items := range s.Owners {
		if id == "" || !living[id] {
			return false
		}
		owned += items.Len()
	}
	return owned == s.Total()
}

// Items returns the items of a job in order: those that it has, and others
// that still run. An unknown job is [registry.ErrUnknownJob].
func (h *Host) Items(ctx context.Context, name string) ([]ItemInfo, error) {
	p := h.center.Partition(name)
	states, err := p.Items(ctx, name)
	if err != nil {
		return nil, err
	}
	instances, err := p.Instances(ctx)
	if err != nil {
		return nil, err
	}
	living := make(map[string]bool, len(instances))
	for _, i := range instances {
		living[i.Instance.ID] = i.Live
	}
	here := make(map[int]execution.RunningItem)
	if j := h.executor.Job(name); j != nil {
		here = maps.Collect(j.Running())
	}
	infos := make([]ItemInfo, len(states))
	for i, s := range states {
		info := ItemInfo{Item: s.Item, Owner: s.Owner, Missed: s.Missed, Failover: s.Failover}
		if one, runs := here[s.Item]; runs {
			info.RunningOn, info.Run, info.Progress = h.instance.ID, one.Run, one.Progress
		}
		if len(s.Running) > 0 {
			info.RunningOn, info.Run = s.Running[0].Instance, s.Running[0].Run
		}
		switch {
		case s.Disabled:
			info.Status = ItemDisabled
		case info.RunningOn != "":
			info.Status = ItemRunning
		case !living[s.Owner]:
			info.Status = ItemSharding
		default:
			info.Status = ItemPending
		}
		infos[i] = info
	}
	return infos, nil
}

// Instances returns the registered nodes, by id. One that died is among them
// until its session is cleared up.
func (h *Host) Instances(ctx context.Context) ([]InstanceInfo, error) {
	byID := make(map[string]*InstanceInfo)
	for _, p := range h.center.Partitions() {
		states, err := p.Instances(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range states {
			i := byID[s.Instance.ID]
			if i == nil {
				i = &InstanceInfo{
					ID: s.Instance.ID, IP: s.Instance.IP, Host: s.Instance.Host, PID: s.Instance.PID, Labels: s.Instance.Labels,
					Version: s.Instance.Version, Status: InstanceOK,
				}
				byID[i.ID] = i
			}
			i.Leads = i.Leads || s.Leader
			i.Jobs = append(i.Jobs, s.Instance.Jobs...)
			switch {
			case !s.Live:
				i.Status = InstanceCrashed
			case s.Draining && i.Status != InstanceCrashed:
				i.Status = InstanceDraining
			case s.Disabled && i.Status == InstanceOK:
				i.Status = InstanceDisabled
			}
		}
	}
	infos := make([]InstanceInfo, 0, len(byID))
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		slices.Sort(byID[id].Jobs)
		infos = append(infos, *byID[id])
	}
	return infos, nil
}

// Target is what is enabled or disabled. With a job alone it is the whole job;
// with an instance alone, the instance for all jobs; with both, the job on that
// instance. Instances are meant by their instance.id, else by their IP, so that
// what is said of them outlives their processes.
type Target struct {
	Job string
	// Item is one item of the job if it is not nil.
	Item *int
	// Instance is an id of an instance, or what stands before its first "@-@".
	Instance string
}

// SetEnabled enables or disables a target in desired state, which the registry
// center keeps. What runs goes on. It reports whether anything changed.
func (h *Host) SetEnabled(ctx context.Context, t Target, enabled bool, by string) (changed bool, err error) {
	switch {
	case t.Job == "" && (t.Instance == "" || t.Item != nil):
		return false, errors.New("setting a state: it names neither a job nor an instance")
	case t.Item != nil && t.Instance != "":
		return false, fmt.Errorf("setting a state of job %q: an item and an instance are named, want one of them", t.Job)
	case t.Job == "":
		for _, p := range h.center.Partitions() {
			one, err := p.SetInstanceState(ctx, t.Instance, enabled, by)
			changed = changed || one
			if err != nil {
				return changed, err
			}
		}
		return changed, nil
	}
	p := h.center.Partition(t.Job)
	switch {
	case t.Item != nil:
		return p.SetItemState(ctx, t.Job, *t.Item, enabled, by)
	case t.Instance != "":
		return p.SetStateOnInstance(ctx, t.Job, t.Instance, enabled, by)
	default:
		return p.SetState(ctx, t.Job, enabled, by)
	}
}

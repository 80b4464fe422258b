package registry

import (
	"context"
	"fmt"
)

// The kinds of a Repair.
const (
	// RepairSession: leases, descriptions or farewells without a session were
	// removed, or a session without lease got one that has ended.
	RepairSession = "session"
	// RepairIndex: the list of jobs missed a job, or had one that does not exist.
	RepairIndex = "index"
	// RepairMarkBroken: marks that nobody can read were removed.
	RepairMarkBroken = "mark-broken"
	// RepairMarkOrphaned: marks belong to a session that is neither registered nor
	// waits to be drained; it waits now.
	RepairMarkOrphaned = "mark-orphaned"
	// RepairMarkCount: the number of marks outside the present generation was wrong.
	RepairMarkCount = "mark-count"
	// RepairFailoverRunning: items that run waited for a failover as well.
	RepairFailoverRunning = "failover-running"
	// RepairTriggerBroken: manual triggers that nobody can read were removed.
	RepairTriggerBroken = "trigger-broken"
	// RepairTriggerQueue: items waited for a trigger that does not wait for them.
	RepairTriggerQueue = "trigger-queue"
	// RepairTriggerLost: triggers waited for items that neither run nor wait for it;
	// these count as lost.
	RepairTriggerLost = "trigger-lost"
	// RepairItemOwner: items had no owner, several, or do not exist. They have one
	// now, or nobody, in another generation.
	RepairItemOwner = "item-owner"
	// RepairDesiredState: the summary of disabled items and servers was wrong.
	RepairDesiredState = "desired-state"
	// RepairUnassigned: a job without assignment for its number of items was not
	// dirty.
	RepairUnassigned = "unassigned"
	// RepairOwnerGone: owners have no session, and nothing would have moved their
	// items.
	RepairOwnerGone = "owner-gone"
)

// Repair is something stored that contradicted the rest and was mended.
type Repair struct {
	// Job is empty if it concerns the sessions of the partition.
	Job string
	// Kind is one of the Repair constants.
	Kind string
	// Count is how many of them there were, at least one.
	Count int
}

// Reconcile compares what is stored of jobs, fifty in a script, and of the
// sessions of the partition, and mends what contradicts itself. Scripts keep it
// consistent, so a repair means that Redis lost writes or somebody else wrote. A
// job becomes dirty where its assignment needs a look. An error leaves the
// repairs made before it.
func (p *Partition) Reconcile(ctx context.Context, l Leadership, jobs []string) (repairs []Repair, err error) {
	first := true
	for batch := range batches(jobs) {
		args := []any{l.Lease.Instance, l.Lease.Epoch, l.Term, bit(first), len(batch)}
		for _, name := range batch {
			if err := checkName(name); err != nil {
				return repairs, fmt.Errorf("reconciling jobs: %w", err)
			}
			args = append(args, name)
		}
		first = false
		r, err := p.call(ctx, p.scripts.reconcile, p.keys.with(batch...), args...)
		if err != nil {
			return repairs, fmt.Errorf("reconciling %s: %w", describeJobs(batch), err)
		}
		done := repairs
		for r.more() {
			r.list(func(one *reply) { repairs = append(repairs, readRepair(one)) })
		}
		if err := r.end(); err != nil {
			return done, fmt.Errorf("reconciling %s: %w", describeJobs(batch), err)
		}
	}
	return repairs, nil
}

// readRepair leaves a fault in r for its owner to find.
func readRepair(r *reply) Repair {
	one := Repair{Job: r.text(), Kind: r.text(), Count: int(r.number())}
	if one.Kind == "" || one.Count == 0 {
		r.fail("repair %q of %q, %d times", one.Kind, one.Job, one.Count)
	}
	return one
}

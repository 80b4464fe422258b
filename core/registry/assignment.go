package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxPlanOwners bounds the owners in one script call of CommitAssignments.
const maxPlanOwners = 1000

// DirtyJob is a job whose assignment needs a look.
type DirtyJob struct {
	Name string
	// Since is the feed version that made it so; Plan carries it back.
	Since int64
}

// Plan is the assignment that the leader wants for a job.
type Plan struct {
	Job string
	// ExpectGeneration and ExpectVersion are those of the JobState that the plan
	// was made from.
	ExpectGeneration int64
	ExpectVersion    int64
	// Items is the definition's number of items.
	Items int
	// Owners are disjoint sets within 0 to Items-1, by instance. An item in none
	// is run by nobody and keeps its history.
	Owners map[string]Items
	// How is what the job's strategy is like. A job that broadcasts has one item for
	// each instance, and must be monitored.
	How How
	// Dirty is DirtyJob.Since as it was before the plan was made: what became
	// dirty later stays so. Zero clears nothing.
	Dirty int64
}

// How says how a job's strategy assigns items.
type How string

// What a strategy can be like. HowBroadcast makes an instance run one item at a
// time whatever its number, and what it has decided, missed and still runs counts
// for its next item.
const (
	HowOnce      How = ""  // asked when instances or the definition change
	HowEveryRun  How = "E" // asked again when a run has ended
	HowBroadcast How = "B" // one item for each instance
)

// CommitResult is the answer to one plan.
type CommitResult struct {
	Job string
	// Code is CodeOK, CodeNone (the assignment was so already), CodeStale,
	// CodeOwnerGone, CodePending or CodeUnknownJob.
	Code Code
	// Generation is the present one.
	Generation int64
	// From is when owners of an unmonitored job change, see Assignment; with
	// CodePending, when they may change again.
	From time.Time
	// Dropped items had something waiting for them and exist no longer.
	Dropped Items
}

// Assignment is what one instance owns of a job.
type Assignment struct {
	Job        string
	Generation int64
	// Epoch is below that of every session that has begun since: items of an unmonitored
	// job that are given to an instance are not such a session's.
	Epoch int64
	// Previous is the last generation that took items of an unmonitored job from
	// living owners and whose hand-over is over: an owner whose last one is older
	// does not know until when some of its items were its own. One that has only
	// missed later generations does: hand-overs under way end at From.
	Previous int64
	// Total is the number of items of a job that broadcasts, zero of others, which
	// have as many as their definition says.
	Total int
	// How is what the strategy is like that gave the items.
	How How
	// Departed says that this assignment was made after the instance's Depart.
	Departed  bool
	Monitored bool
	// Items are the owned ones.
	Items Items
	// Floors are the instants up to which items were decided before this
	// generation: due instants after them are the owner's. Of an unmonitored job
	// they are the end of the former owner's duty: a millisecond before From when
	// it goes on, the last instant that it fires when it drains or has left, its
	// last renewal when it died.
	Floors []ItemsAt
	// Unowned items are nobody's, because no instance may run them.
	Unowned Items
	// From counts for unmonitored jobs: instants before it belong to the owners of
	// the generation before. Of a job that has not been assigned yet it is when it
	// was defined: earlier instants are not due.
	From time.Time
	// Disabled says that the job is, everywhere or on this instance; DisabledItems
	// never run.
	Disabled      bool
	DisabledItems Items
	// Orphans are those of Items that came from instances which died, perhaps by way
	// of nobody, in this generation. Within a session timeout and a hand-over they
	// stay orphans in the next ones, for an owner that has missed a generation: one
	// that held an item before has dealt with it.
	Orphans []Orphan
	// Forfeited items went to others because a session of this instance died: their
	// new owners have not waited until From.
	Forfeited Items
	// Queued says that items of the job, perhaps of other instances, wait for a
	// manual run. Orphaned says that they wait for somebody to take them over.
	Queued, Orphaned bool
}

// Orphan is a set of items and the instance that died while it owned them. What
// was due in an unmonitored job since their floor, nobody knows to have run.
type Orphan struct {
	Former string
	Items  Items
}

// Dirty are the jobs whose assignment needs a look, the oldest first.
func (p *Partition) Dirty(ctx context.Context) ([]DirtyJob, error) {
	list, err := p.config.Client.ZRangeWithScores(ctx, p.keys.dirty(), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("reading the dirty jobs: %w", err)
	}
	jobs := make([]DirtyJob, len(list))
	for i, z := range list {
		name, _ := z.Member.(string)
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("reading the dirty jobs: %w", err)
		}
		if z.Score < 0 || z.Score > maxNumber {
			return nil, fmt.Errorf("reading the dirty jobs: %s since %v", name, z.Score)
		}
		jobs[i] = DirtyJob{Name: name, Since: int64(z.Score)}
	}
	return jobs, nil
}

// CommitAssignments replaces assignments, several in a script, and answers each
// plan in its order. The errors are ErrNotLeader, ErrLeaseLost, ErrQuarantined
// and those of the connection; the results are then of the plans done before.
// After an unknown outcome the leader reads the jobs again: a plan that was
// carried out has CodeStale when repeated.
func (p *Partition) CommitAssignments(ctx context.Context, l Leadership, plans []Plan) (results []CommitResult, err error) {
	results = make([]CommitResult, 0, len(plans))
	for rest := plans; len(rest) > 0; {
		batch := planBatch(rest)
		rest = rest[len(batch):]
		done, names := results, make([]string, 0, len(batch))
		args := []any{l.Lease.Instance, l.Lease.Epoch, l.Term, p.ttl(), durationMillis(p.HandOver()), len(batch)}
		for _, plan := range batch {
			if err := plan.check(); err != nil {
				return results, fmt.Errorf("assigning job %s: %w", clip(plan.Job), err)
			}
			names = append(names, plan.Job)
			args = append(args, plan.Job, plan.ExpectGeneration, plan.ExpectVersion, plan.Items, string(plan.How), plan.Dirty, len(plan.Owners))
			for _, id := range slices.Sorted(maps.Keys(plan.Owners)) {
				args = append(args, id, plan.Owners[id].String())
			}
		}
		r, err := p.call(ctx, p.scripts.commit, p.keys.with(names...), args...)
		if err != nil {
			return results, fmt.Errorf("assigning %s: %w", describeJobs(names), err)
		}
		for _, plan := range batch {
			r.list(func(one *reply) { results = append(results, readCommit(one, plan.Job)) })
		}
		if err := r.end(); err != nil {
			return done, fmt.Errorf("assigning %s: %w", describeJobs(names), err)
		}
	}
	return results, nil
}

// readCommit leaves a fault in r for its owner to find.
func readCommit(r *reply, job string) CommitResult {
	c := CommitResult{Job: job, Code: r.answer(), Generation: r.number(), Dropped: r.items(), From: r.instant()}
	switch c.Code {
	case CodeOK, CodeNone, CodePending, CodeStale, CodeOwnerGone, CodeUnknownJob:
	default:
		r.fail("unknown code %d", int(c.Code))
	}
	return c
}

// planBatch is the plans at the front of list that fit one script call, at least
// one.
func planBatch(list []Plan) []Plan {
	owners := 0
	for i, p := range list {
		owners += len(p.Owners)
		if i == batchJobs || i > 0 && owners > maxPlanOwners {
			return list[:i]
		}
	}
	return list
}

func (p *Plan) check() error {
	if err := checkName(p.Job); err != nil {
		return err
	}
	if p.Items < 1 || p.Items > MaxItems {
		return fmt.Errorf("%d items, want 1 to %d", p.Items, MaxItems)
	}
	switch p.How {
	case HowOnce, HowEveryRun, HowBroadcast:
	default:
		return fmt.Errorf("its strategy is like %q", clip(string(p.How)))
	}
	taken := make([]bool, p.Items)
	for id, items := range p.Owners {
		if err := checkInstance(id); err != nil {
			return err
		}
		for item := range items.All() {
			if item >= p.Items {
				return fmt.Errorf("item %d of %d is given to %q", item, p.Items, id)
			}
			if taken[item] {
				return fmt.Errorf("item %d is given to %q and to another", item, id)
			}
			taken[item] = true
		}
	}
	return nil
}

// Assignments reads what an instance owns of jobs, in their order; unknown jobs
// are left out, one of which it owns nothing has no items.
func (p *Partition) Assignments(ctx context.Context, instance string, jobs []string) ([]Assignment, error) {
	list := make([]Assignment, 0, len(jobs))
	for batch := range batches(jobs) {
		heads := make([]*redis.SliceCmd, len(batch))
		owned := make([]*redis.SliceCmd, len(batch))
		disabled := make([]*redis.BoolCmd, len(batch))
		queued, orphaned := make([]*redis.IntCmd, len(batch)), make([]*redis.IntCmd, len(batch))
		var off *redis.BoolCmd
		_, err := p.config.Client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			off = pipe.HExists(ctx, p.keys.off(), ServerName(instance))
			for i, name := range batch {
				heads[i] = pipe.HMGet(ctx, p.keys.job(name), "gen", "pg", "sd", "mon", "from", "st", "dn", "lo", "an", "how", "ep")
				owned[i] = pipe.HMGet(ctx, p.keys.assignments(name), instance, "")
				queued[i], orphaned[i] = pipe.HLen(ctx, p.keys.queued(name)), pipe.HLen(ctx, p.keys.failovers(name))
				disabled[i] = pipe.HExists(ctx, p.keys.states(name), "node:"+ServerName(instance))
			}
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, fmt.Errorf("reading the assignments of %q: %w", instance, err)
		}
		for i, name := range batch {
			if head := heads[i].Val(); len(head) > 0 && head[0] == nil {
				continue
			}
			r := &reply{source: "j:" + name, values: append(orEmpty(heads[i].Val()), orEmpty(owned[i].Val())...)}
			a := Assignment{
				Job: name, Generation: r.number(), Previous: r.number(), Departed: isListed(r.text(), instance), Monitored: r.flag(), From: r.instant(), Disabled: r.text() == "D", DisabledItems: r.items(),
				Orphans: r.orphans(),
			}
			a.Total, a.How = r.total()
			a.Epoch = r.numberOrZero()
			a.Floors, a.Unowned = r.groups(), union(r.groups())
			if err := r.end(); err != nil {
				return nil, fmt.Errorf("reading the assignment of %q in job %s: %w", instance, name, err)
			}
			a.Disabled = a.Disabled || disabled[i].Val() || off.Val()
			a.Queued, a.Orphaned = queued[i].Val() > 0, orphaned[i].Val() > 0
			a.Items = union(a.Floors)
			a.Forfeited = forfeited(a.Orphans, instance, a.Items)
			a.Orphans = orphansIn(a.Orphans, a.Items)
			list = append(list, a)
		}
	}
	return list, nil
}

// numberOrZero reads a number that may not be there yet.
func (r *reply) numberOrZero() int64 {
	if r.more() && r.values[r.at] == "" {
		_, _ = r.next()
		return 0
	}
	return r.number()
}

// total reads how many items are assigned and how: the number of items of a job
// that broadcasts, else zero.
func (r *reply) total() (items int, how How) {
	assigned := r.text()
	if how = How(r.text()); how != HowBroadcast {
		return 0, how
	}
	n := parseNumber(assigned)
	if n < 1 || n > MaxItems {
		r.fail("%q items that are assigned", clip(assigned))
	}
	return int(n), how
}

// isListed reports whether an id is in a list joined by commas.
func isListed(list, id string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one == id {
			return true
		}
	}
	return false
}

// orphansIn are the orphans that are in a set of items.
func orphansIn(orphans []Orphan, items Items) []Orphan {
	var in []Orphan
	for _, o := range orphans {
		if common := intersection(o.Items, items); common.Len() > 0 {
			in = append(in, Orphan{Former: o.Former, Items: common})
		}
	}
	return in
}

// forfeited are the orphans that an instance has left and does not own again.
func forfeited(orphans []Orphan, instance string, items Items) Items {
	var left []int
	for _, o := range orphans {
		if o.Former != instance {
			continue
		}
		for item := range o.Items.All() {
			if !items.Contains(item) {
				left = append(left, item)
			}
		}
	}
	return NewItems(left...)
}

// orEmpty replaces values that are not there by the empty text.
func orEmpty(values []any) []any {
	for i, v := range values {
		if v == nil {
			values[i] = ""
		}
	}
	return values
}

package execution

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/schedule"
	"github.com/elasticjob-go/elasticjob/spi"
)

// rig is an executor of one partition beside a registry center that lets
// everything begin.
type rig struct {
	*Executor

	mu        sync.Mutex
	finished  []ItemFinished
	completed []registry.CompleteRequest
	fence     int64
	claims    []registry.ClaimReply // answers to the next claims; then there is nothing
	claimed   []registry.ClaimRequest
	saved     []registry.CheckpointRequest
	saveError error
	// meet answers what is asked of a run whose listeners are called once. With it all
	// runs are such runs, which wait for others at their end.
	meet func(registry.MeetRequest) (registry.Gathering, error)

	reasserted []registry.ReassertRequest
	reassert   func(registry.ReassertRequest) registry.ReassertReply // nil: nothing differs
	refused    []error

	early atomic.Int64 // so many begins are told that their instant has not come
	stale atomic.Bool  // the node does not know whether it is up to date
	away  atomic.Bool  // completions are not answered
	tries atomic.Int64 // batches of completions that were not answered
}

// rigGrace is the grace of a rig.
const rigGrace = 20 * time.Second

// rigLease is the lease of the node.
func rigLease() registry.Lease { return registry.Lease{Instance: "10.0.0.1@-@1", Epoch: 1} }

func newRig(tb testing.TB, logger *slog.Logger) *rig {
	tb.Helper()
	r := &rig{}
	r.Executor = New(Config{
		Instance: "10.0.0.1@-@1", IP: "10.0.0.1", Partitions: []Center{r}, MaxRunningItems: 256, Grace: rigGrace, HandOver: time.Minute, Now: time.Now,
		Logger: logger, Events: &Events{}, StopJob: func(context.Context, string, string) {}, Margin: time.Second, Zombie: func() {},
	})
	r.Partition(0).Attach(rigLease())
	return r
}

// startRig returns a started executor whose ends of items are kept.
func startRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, slog.New(slog.NewTextHandler(t.Output(), nil)))
	r.events.Finished.Subscribe(func(e ItemFinished) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.finished = append(r.finished, e)
	})
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// never is the schedule of the jobs of a rig: tests fire them themselves.
type never struct{}

func (never) Next(time.Time) time.Time { return time.Time{} }

// host adds a job with all its items here. What spec does not say is as by
// default, but for monitorExecution.
func (r *rig) host(name string, items int, spec *Spec) *Job {
	said := spec.Config
	spec.Config = job.Defaults(name)
	spec.Config.Type, spec.Config.MonitorExecution, spec.Config.ShardingTotalCount = "PROBE", said.MonitorExecution, items
	spec.Config.MaxRetries, spec.Config.Timeout, spec.Config.Failover = said.MaxRetries, said.Timeout, said.Failover
	spec.Config.MisfirePolicy, spec.Config.MisfireLimit = said.MisfirePolicy, said.MisfireLimit
	spec.Config.ConcurrencyPolicy = cmp.Or(said.ConcurrencyPolicy, spec.Config.ConcurrencyPolicy)
	spec.Config.OnLeaseLoss = cmp.Or(said.OnLeaseLoss, spec.Config.OnLeaseLoss)
	spec.Config.RetryBackoff = cmp.Or(said.RetryBackoff, spec.Config.RetryBackoff)
	spec.Schedule = never{}
	if spec.Pool == 0 {
		spec.Pool = items
	}
	j := r.Add(name, spec, 0)
	j.Adopt(r.owned(items))
	return j
}

// owned is an assignment of all items to this node.
func (r *rig) owned(items int) registry.Assignment {
	all := registry.AllItems(items)
	return registry.Assignment{Generation: 1, Items: all, Floors: []registry.ItemsAt{{Items: all, At: time.Now().Add(-time.Millisecond)}}}
}

// fire lets a job be due now.
func (r *rig) fire(j *Job) time.Time {
	now := time.Now().UTC().Truncate(time.Millisecond)
	j.Fire(schedule.Due{Instant: now, Now: now})
	return now
}

func (r *rig) stop(t *testing.T) {
	t.Helper()
	if err := r.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
}

// ends returns how items ended so far.
func (r *rig) ends() []ItemFinished {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]ItemFinished(nil), r.finished...)
}

// reports returns what was completed in the registry so far.
func (r *rig) reports() []registry.CompleteRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]registry.CompleteRequest(nil), r.completed...)
}

var _ Center = (*rig)(nil)

var errAway = errors.New("registry is away")

func (r *rig) BeginAll(_ context.Context, requests []registry.BeginRequest) ([]registry.BeginReply, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	replies := make([]registry.BeginReply, len(requests))
	for i, q := range requests {
		if q.Kind == registry.KindNormal && r.early.Add(-1) >= 0 {
			replies[i] = registry.BeginReply{Code: registry.CodeEarly}
		} else if q.Kind == registry.KindNormal {
			r.fence++
			replies[i] = registry.BeginReply{Code: registry.CodeOK, Fence: r.fence, Items: r.Job(q.Job).Assignment().Items, Instant: q.Instant}
			if r.meet != nil {
				replies[i].Gathering = &registry.Gathering{Run: "run", Turn: registry.TurnGo}
			}
		}
	}
	return replies, nil
}

func (r *rig) CompleteAll(_ context.Context, requests []registry.CompleteRequest) ([]registry.CompleteReply, error) {
	if r.away.Load() {
		r.tries.Add(1)
		return nil, errAway
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.completed = append(r.completed, requests...)
	replies := make([]registry.CompleteReply, len(requests))
	for i := range replies {
		if r.meet != nil {
			replies[i].Gathering = &registry.Gathering{Run: "run", Turn: registry.TurnWait}
		}
	}
	return replies, nil
}

func (r *rig) MeetAll(_ context.Context, requests []registry.MeetRequest) ([]registry.Gathering, error) {
	replies := make([]registry.Gathering, len(requests))
	for i, q := range requests {
		if r.meet == nil {
			continue
		}
		var err error
		if replies[i], err = r.meet(q); err != nil {
			return nil, err
		}
	}
	return replies, nil
}

func (r *rig) ClaimAll(_ context.Context, requests []registry.ClaimRequest) ([]registry.ClaimReply, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	replies := make([]registry.ClaimReply, len(requests))
	for i, q := range requests {
		r.claimed = append(r.claimed, q)
		if len(r.claims) > 0 {
			replies[i], r.claims = r.claims[0], r.claims[1:]
		}
	}
	return replies, nil
}

func (r *rig) ReassertAll(_ context.Context, requests []registry.ReassertRequest) ([]registry.ReassertReply, error) {
	r.mu.Lock()
	r.reasserted = append(r.reasserted, requests...)
	r.mu.Unlock()
	replies := make([]registry.ReassertReply, len(requests))
	for i, q := range requests {
		if r.reassert != nil {
			replies[i] = r.reassert(q)
		}
	}
	return replies, nil
}

func (r *rig) SaveCheckpoint(_ context.Context, request registry.CheckpointRequest) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.saved = append(r.saved, request)
	return r.saveError
}

func (r *rig) Fresh(time.Time) bool            { return !r.stale.Load() }
func (r *rig) Alive() bool                     { return true }
func (r *rig) Refresh(context.Context, string) {}

func (r *rig) Refused(_ registry.Lease, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = append(r.refused, err)
}

// code is a job type whose code is a function.
func code(run func(ctx context.Context, req spi.ExecuteRequest) error) spi.JobType {
	return spi.JobTypeFunc(func(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
		return spi.ExecuteResponse{}, run(ctx, req)
	})
}

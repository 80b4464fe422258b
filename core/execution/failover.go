package execution

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Orphaned says that items of the job may wait for somebody to take them over.
func (j *Job) Orphaned() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.askForOrphans()
}

// askForOrphans takes over what waits for that. The caller holds the lock, as of
// all methods here that do not take it.
func (j *Job) askForOrphans() {
	if j.closed || j.leaving {
		return
	}
	j.claims = true
	j.step()
}

// fullPause is how soon a node without a free worker looks again for items to take
// over; one with a busy job does when an item of that ends.
const fullPause = 250 * time.Millisecond

// claimOrphans takes over items that dead instances were running, until none is
// left or there is no room. This instance need not own them.
func (j *Job) claimOrphans() {
	for {
		s := j.partition.session.Load()
		j.mu.Lock()
		mayClaim, room := s != nil && j.mayBegin() && !j.leaving, j.room()
		// Until the answer says otherwise.
		j.orphaned = !mayClaim || room < 1
		var busy, outlived registry.Items
		if !j.orphaned {
			busy, outlived = j.inHand(), j.inHandBefore(s)
		}
		j.mu.Unlock()
		if mayClaim && room < 1 && j.executor.workers.room() < 1 {
			time.AfterFunc(fullPause, j.Orphaned)
		}
		if !mayClaim || room < 1 {
			return
		}
		reply, err := untilAnswered(j, s, &s.claims, registry.ClaimRequest{
			Lease: s.lease, Job: j.name, Most: room, Busy: busy, Request: s.request("f"),
		})
		// When the lease has ended, they wait for another taker again.
		isGranted := err == nil && reply.Code == registry.CodeOK && j.partition.center.Alive()
		if isGranted {
			j.failOver(s, reply)
		}
		if !isGranted || !reply.More {
			j.mu.Lock()
			j.awaitOrphans(err == nil && reply.More, outlived)
			j.mu.Unlock()
			return
		}
	}
}

// awaitOrphans has the end of an item ask again for what waits to be taken over, if
// something is left, or was left out because its code has outlived its lease here.
func (j *Job) awaitOrphans(more bool, outlived registry.Items) {
	j.orphaned = more || outlived.Len() > 0
	for item := range outlived.All() {
		if !j.isBusy(item) {
			j.askForOrphans()
			return
		}
	}
}

// failOver runs what a claim has got.
func (j *Job) failOver(s *session, reply registry.ClaimReply) {
	j.tellFailedOver(reply)
	j.mu.Lock()
	defer j.unlock()
	j.fence = max(j.fence, reply.Fence)
	r := newRun(j, s, j.spec, reply.Instant, spi.SourceFailover, reply.Fence, reply.Items, true)
	if reply.Trigger != "" {
		r.id, r.parameter, r.isManual = reply.Trigger, reply.Parameter, true
	}
	if len(r.spec.OnceListeners) > 0 {
		// The calls before the run are the business of those who began it.
		r.gather(&registry.Gathering{Run: reply.Run, Turn: registry.TurnGo})
	}
	j.launch(r, reply.Items)
	for item, data := range reply.Checkpoints {
		if item < len(j.running) && j.running[item] == r {
			j.keptOf(item).checkpoint = data
		}
	}
}

// tellFailedOver tells what a claim has got, before it starts.
func (j *Job) tellFailedOver(reply registry.ClaimReply) {
	from := make(map[int]string, reply.Items.Len())
	for _, former := range reply.Former {
		for item := range former.Items.All() {
			from[item] = former.Former
		}
	}
	run := cmp.Or(reply.Trigger, j.executor.runIDOf(reply.Instant))
	for item := range reply.Items.All() {
		j.executor.events.FailedOver.Publish(ItemFailedOver{Job: j.name, Item: item, Run: run, From: from[item]})
	}
}

// room is how many more items could run at once.
func (j *Job) room() int {
	taken := j.active + j.queue.len()
	for _, r := range j.heralded {
		taken += r.items.Len()
	}
	return min(j.spec.Pool-taken, j.executor.workers.room())
}

// inHand are those that run here or wait for room, which the registry may think
// free: code that has outlived its lease.
func (j *Job) inHand() registry.Items {
	return j.itemsOf(func(*run) bool { return true })
}

// inHandBefore are those that began under an earlier lease than that of s.
func (j *Job) inHandBefore(s *session) registry.Items {
	return j.itemsOf(func(r *run) bool { return r.session != s })
}

func (j *Job) itemsOf(of func(*run) bool) registry.Items {
	var items []int
	for item, r := range j.running {
		if r != nil && of(r) {
			items = append(items, item)
		}
	}
	return registry.NewItems(items...)
}

// isTakenOver reports whether an item runs here that need not be this instance's.
func (j *Job) isTakenOver(item int) bool { return j.isBusy(item) && j.running[item].isClaimed() }

// isClaimed reports whether the run takes over items of an instance that died.
func (r *run) isClaimed() bool { return r.source == spi.SourceFailover }

// givesBack reports whether items of the run that are not started here are for
// others to run, and not missed.
func (r *run) givesBack() bool { return r.isManual || r.isClaimed() }

// share lets whoever takes the item over have its checkpoint, as long as it runs
// here.
func (s *itemServices) share(ctx context.Context, data []byte) error {
	r := s.run
	if !r.spec.Config.Failover || !r.marked {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := r.job.partition.center.SaveCheckpoint(bounded, registry.CheckpointRequest{
		Lease: r.session.lease, Job: r.job.name, Fence: r.fence, Item: s.item, Data: data,
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, registry.ErrLeaseLost):
		return spi.NewError(spi.CodeLeaseLost, spi.ErrLeaseLost.Error())
	default:
		e := spi.NewError(spi.CodeUnavailable, "the registry has not kept the checkpoint: "+err.Error())
		e.Retryable = true
		return e
	}
}

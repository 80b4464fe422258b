package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/service"
)

const (
	// handOverTimeout bounds how long a stopping node waits until its items have
	// other owners; its leaving frees them in any case.
	handOverTimeout = time.Second
	// handOverPoll is how often it looks.
	handOverPoll = 10 * time.Millisecond
	// departTimeout bounds each word with the registry that this takes.
	departTimeout = 2 * time.Second
)

// handOver gives the items of a node that is about to stop to the others, if
// there are any: at once, though some may still run here. Nothing that comes due
// is fired here any more.
func (h *Host) handOver(ctx context.Context) {
	if !h.isUp.Load() || h.isEmbedded() || !h.hasOthers(ctx) {
		return
	}
	if err := h.depart(ctx); err != nil {
		h.logger.Warn("items not handed over, they move when this node has left", "err", err)
	}
}

// Drain stops firing on this node, hands its items to others and waits until
// those that run have ended, or ctx has. The node stays registered, gets no items
// any more, and is to be stopped. Nobody else may be there to take the items.
func (h *Host) Drain(ctx context.Context) error {
	err := h.depart(ctx)
	return errors.Join(err, h.executor.WaitIdle(ctx))
}

// depart tells the others that this node fires nothing any more, and waits a
// while until they have its items. Firing pauses meanwhile: the registry says
// which instant is the last, what is due up to it is begun here, and what is
// assigned later is the others'.
func (h *Host) depart(ctx context.Context) error {
	grace, cancel := context.WithTimeout(ctx, h.config.Node.ShutdownGrace)
	defer cancel()
	h.awaitHandOvers(grace)
	for _, m := range h.members {
		m.executor.Hold()
	}
	fired := h.now().Add(time.Millisecond).Truncate(time.Millisecond)
	h.leaving.Store(fired.UnixMilli())
	err := h.each(func(m *member) error { return m.depart(context.WithoutCancel(ctx), false) })
	for _, m := range h.members {
		if !m.isHeld() {
			m.executor.Release()
		}
	}
	h.executor.HandOver()
	// What the node gave away shortly before is still its own for a while.
	h.awaitHandOvers(grace)
	if stopErr := h.timer.Stop(context.WithoutCancel(ctx)); stopErr != nil {
		err = errors.Join(err, stopErr)
	}
	if err != nil {
		return fmt.Errorf("handing items over: %w", err)
	}
	for _, m := range h.members {
		m.membership.tell()
	}
	for deadline := time.Now().Add(handOverTimeout); h.executor.Owns() && time.Now().Before(deadline); {
		if !service.Sleep(ctx, handOverPoll) {
			break
		}
	}
	return nil
}

// depart tells the leader of the partition that this node fires nothing any more,
// and reads what was assigned until then. When the leader hears of it late, the
// last instant is the one at which the node paused.
func (m *member) depart(ctx context.Context, late bool) error {
	fired := time.UnixMilli(m.host.leaving.Load())
	m.executor.Leave(fired)
	lease := m.membership.lease()
	if lease == (registry.Lease{}) {
		return nil // the next session begins with it
	}
	names := m.host.jobs.namesIn(m.partition.Index())
	bounded, cancel := context.WithTimeout(ctx, departTimeout)
	defer cancel()
	stopped, err := m.partition.Depart(bounded, lease, fired, late, names)
	if err != nil {
		return err
	}
	m.last.Store(stopped.UnixMilli())
	m.departed.Store(true)
	if late {
		return nil
	}
	m.executor.Leave(stopped)
	reading, cancelReading := context.WithTimeout(ctx, departTimeout)
	defer cancelReading()
	return m.adopt(reading, names)
}

// awaitHandOvers waits until every item that the node has given away is its new
// owner's.
func (h *Host) awaitHandOvers(ctx context.Context) {
	for wait := h.executor.HandOverBound().Sub(h.now()); wait > 0; wait = h.executor.HandOverBound().Sub(h.now()) {
		if !service.Sleep(ctx, wait) {
			return
		}
	}
}

// hasOthers reports whether another node can take items over. When the registry
// does not tell, there is nobody to hand over to.
func (h *Host) hasOthers(ctx context.Context) bool {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), departTimeout)
	defer cancel()
	instances, err := h.members[0].partition.Instances(bounded)
	if err != nil {
		h.logger.Warn("items not handed over, they move when this node has left", "err", err)
		return false
	}
	for _, i := range instances {
		if i.Instance.ID != h.instance.ID && i.Live && !i.Draining {
			return true
		}
	}
	return false
}

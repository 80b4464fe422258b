package host

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// handOverTimeout bounds how long a stopping node waits until its items have
	// other owners; its leaving frees them in any case.
	handOverTimeout = time.Second
	// handOverPoll is how often it looks.
	handOverPoll = 10 * time.Millisecond
	// departTimeout bounds the words with the registry that this takes.
	departTimeout = 2 * time.Second
)

// handOver gives the items of a node that is about to stop to the others, if
// there are any: at once, though some may still run here. Nothing that comes due
// is fired here any more.
func (h *Host) handOver(ctx context.Context) {
	if !h.isUp.Load() || h.isEmbedded() || !h.hasOthers(ctx) {
		return
	}
	h.depart(ctx)
}

// Drain stops firing on this node, hands its items to others and waits until
// those that run have ended, or ctx has. The node stays registered, gets no items
// any more, and is to be stopped. Nobody else may be there to take the items.
func (h *Host) Drain(ctx context.Context) error {
	h.depart(ctx)
	if err := h.executor.WaitIdle(ctx); err != nil {
		return fmt.Errorf("draining the node: %w", err)
	}
	return nil
}

// depart tells the others that this node fires nothing any more, and waits a
// while until they have its items.
func (h *Host) depart(ctx context.Context) {
	// What others own from an agreed instant on is this node's until then.
	grace, cancel := context.WithTimeout(ctx, h.config.Node.ShutdownGrace)
	defer cancel()
	for wait := h.executor.HandOverBound().Sub(h.now()); wait > 0; wait = h.executor.HandOverBound().Sub(h.now()) {
		if !sleep(grace, wait) {
			break
		}
	}
	if err := h.timer.Stop(context.WithoutCancel(ctx)); err != nil {
		h.logger.Warn("timer not stopped", "err", err)
	}
	bounded, cancelDepart := context.WithTimeout(context.WithoutCancel(ctx), departTimeout)
	defer cancelDepart()
	// What it was given last is this node's to fire up to the end.
	err := h.each(func(m *member) error { return m.adopt(bounded, h.jobs.namesIn(m.partition.Index())) })
	stopped := h.now().Truncate(time.Millisecond)
	h.executor.HandOver(stopped)
	h.stopped.Store(stopped.UnixMilli())
	err = errors.Join(err, h.each(func(m *member) error {
		return m.partition.Depart(bounded, m.membership.lease(), stopped, h.jobs.namesIn(m.partition.Index()))
	}))
	if err != nil {
		h.logger.Warn("items not handed over, they move when this node has left", "err", err)
		return
	}
	for _, m := range h.members {
		m.membership.tell()
	}
	for deadline := time.Now().Add(handOverTimeout); h.executor.Owns() && time.Now().Before(deadline); {
		if !sleep(ctx, handOverPoll) {
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

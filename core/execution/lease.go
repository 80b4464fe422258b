package execution

import (
	"context"
	"errors"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// lose ends a session whose lease is lost: what runs under it is cancelled, but for
// items of jobs that go on, and has the margin to return.
func (p *Partition) lose(s *session) {
	s.end(spi.ErrLeaseLost)
	time.AfterFunc(p.executor.margin, func() {
		if p.executor.steps.add() { // the node has not stopped
			defer p.executor.steps.done()
			p.tellOutlived(s)
		}
	})
}

// isLost reports whether the lease of the session is.
func (s *session) isLost() bool { return errors.Is(cause(s.ctx), spi.ErrLeaseLost) }

// outlivesLease reports whether code of the run goes on when the lease is lost.
func (r *run) outlivesLease() bool { return r.spec.Config.OutlivesLease() }

// codeContext is the context of code that begins now.
func (r *run) codeContext() context.Context {
	if r.outlivesLease() && r.session.ctx.Err() == nil {
		return r.session.lifetime
	}
	return r.session.ctx
}

// judgeLost says how an item ended whose lease was lost. Nobody may believe what
// it says, because it may have run elsewhere meanwhile.
func (c *itemCall) judgeLost() (Outcome, *spi.Error) {
	lost := spi.NewError(spi.CodeLeaseLost, spi.ErrLeaseLost.Error())
	wentOn := c.cause == nil || errors.Is(c.cause, spi.ErrTimeout)
	switch {
	case !c.run.outlivesLease() || c.err != nil && !wentOn:
		return OutcomeCancelled, lost
	case c.err == nil:
		lost.Message += "; the item went on and succeeded"
	default:
		lost.Message = clip(lost.Message+"; the item went on and failed: "+valid(c.err.Error()), maxMessage)
	}
	return OutcomeFenced, lost
}

// tellOutlived tells of the code that runs on although its lease was lost and it
// was cancelled: others may run the same items by now.
func (p *Partition) tellOutlived(s *session) {
	e := p.executor
	waits := make(map[task]bool)
	for _, t := range e.workers.waiting() {
		waits[t] = true
	}
	var outlived []ItemOutlived
	for _, j := range p.Jobs() {
		outlived = append(outlived, j.outlived(s, waits)...)
	}
	for _, one := range outlived {
		one.Total = e.zombies.Add(1)
		e.events.Outlived.Publish(one)
	}
	if len(outlived) > 0 {
		e.zombie()
	}
}

// outlived are the items whose code runs under a session that was lost. Those that
// wait are told not to begin when they get room.
func (j *Job) outlived(s *session, waits map[task]bool) (items []ItemOutlived) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, t := range j.queue.waiting() {
		waits[t] = true
	}
	for _, r := range j.heralded {
		for item := range r.items.All() {
			waits[task{r, item, 1}] = true
		}
	}
	for item, r := range j.running {
		if r == nil || r.session != s || r.outlivesLease() {
			continue
		}
		if attempt := j.attemptOf(item); attempt > 0 && !waits[task{r, item, attempt}] {
			items = append(items, ItemOutlived{Job: j.name, Item: item, Run: r.id})
		}
	}
	return items
}

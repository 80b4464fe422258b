package execution

import (
	"slices"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/service"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Reassert says that the registry may have lost marks of what runs here, or have
// others back: each job tells it what runs before it begins anything else.
func (p *Partition) Reassert() {
	for _, j := range p.Jobs() {
		j.askToReassert()
	}
}

func (j *Job) askToReassert() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.unsure = true
	j.step()
}

// reassert tells the registry what runs here under the session. It is a step, so
// that no other request of the job is unanswered: the mark of one could be taken for
// one of nobody.
func (j *Job) reassert() {
	s := j.partition.session.Load()
	if s == nil {
		return
	}
	j.mu.Lock()
	request := registry.ReassertRequest{Lease: s.lease, Job: j.name, Newest: j.fence, Marks: j.marksUnder(s)}
	j.mu.Unlock()
	var reply registry.ReassertReply
	for {
		var err error
		request.Asked = s.asked.Add(1)
		if reply, err = untilAnswered(j, s, &s.reasserts, request); err != nil {
			return // the session has ended, and its marks are drained
		}
		if reply.Code != registry.CodeDuplicate {
			break
		}
		// An earlier try was served and its answer lost.
		if !service.Sleep(s.marksCtx, firstPause) {
			return
		}
	}
	logger := j.executor.logger
	for _, r := range reply.Marked {
		logger.Warn("items were not marked as running any more, and are again", "job", j.name, "items", r.Items.String(), "run", r.Run)
	}
	for _, r := range reply.Ended {
		logger.Warn("items were still marked as running that have ended; their marks were removed", "job", j.name, "items", r.Items.String(), "run", r.Run)
	}
	for _, r := range reply.Returned {
		logger.Warn("items were marked by a request that was never answered; they wait for their turn again", "job", j.name, "items", r.Items.String(), "run", r.Run)
	}
	for _, r := range reply.Lost {
		for item := range r.Items.All() {
			j.executor.events.Lost.Publish(ItemLost{Job: j.name, Item: item, Run: r.Run, From: j.executor.instance})
		}
	}
	for _, r := range reply.Refused {
		logger.Error("items run elsewhere under a newer token; the session is given up", "job", j.name, "items", r.Items.String(), "run", r.Run)
	}
	if len(reply.Refused) > 0 {
		j.partition.center.Refused(s.lease, registry.ErrLeaseLost)
	}
}

// marksUnder are the marks of a session as this node knows them: of items that run or
// wait for room, and of those that have ended and are not reported. The caller holds
// the lock.
func (j *Job) marksUnder(s *session) (marks []registry.Mark) {
	byRun := make(map[*run][]int)
	for item, r := range j.running {
		if r != nil && r.marked && r.session == s {
			byRun[r] = append(byRun[r], item)
		}
	}
	for _, r := range j.reports {
		if r.session != s {
			continue
		}
		for item := range r.unreported {
			byRun[r] = append(byRun[r], item)
		}
	}
	for r, items := range byRun {
		m := registry.Mark{Fence: r.fence, Kind: r.kind(), Instant: r.instant, Items: registry.NewItems(items...)}
		if r.isManual {
			m.Trigger = r.id
		}
		marks = append(marks, m)
	}
	slices.SortFunc(marks, func(a, b registry.Mark) int { return int(a.Fence - b.Fence) })
	return marks
}

// kind is that of the run's mark.
func (r *run) kind() registry.Kind {
	switch {
	case r.isClaimed():
		return registry.KindFailover
	case r.isManual:
		return registry.KindOneOff
	case r.source == spi.SourceMisfire && r.meeting == nil:
		// What is gathered is a late firing; a catch-up is not.
		return registry.KindMisfire
	default:
		return registry.KindNormal
	}
}

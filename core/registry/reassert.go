package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Mark is what a node runs of a job under one fence.
type Mark struct {
	Fence int64
	Kind  Kind
	// Instant is the nominal one of the run, Trigger the id of a manual run instead.
	Instant time.Time
	Trigger string
	// Items run, or have ended and are not reported.
	Items Items
}

// at is what the registry keeps of when or why it runs.
func (m *Mark) at() string {
	if m.Trigger != "" {
		return m.Trigger
	}
	return millis(m.Instant)
}

// ReassertRequest says all that a node runs of a job under its session, while no
// other request of it about the job is unanswered.
type ReassertRequest struct {
	Lease Lease
	Job   string
	// Newest is the newest fence that the node has got of the job. What is marked under
	// a newer one it has not heard of.
	Newest int64
	Marks  []Mark
	// Asked is a number of the session as in [BeginRequest.Request], higher than those
	// before: a copy of this request or of an earlier one gets nothing any more.
	Asked int64
}

// ReassertReply says in what the registry's marks differed.
type ReassertReply struct {
	// Code is CodeOK, CodeUnknownJob, or CodeDuplicate if a request of this or a higher
	// number was served before.
	Code Code
	// Marked items were not marked any more, and are again.
	Marked []LostRun
	// Refused items run elsewhere under a newer fence: their code here must end.
	Refused []LostRun
	// Ended items were still marked although they have ended.
	Ended []LostRun
	// Returned items were marked by a request whose answer the node has not heard. They
	// wait for a failover, a catch-up or a manual run. Lost ones do not, and never run.
	Returned, Lost []LostRun
}

// ReassertAll makes the marks of a session those of what its node runs, after a server
// has taken over that may have lost writes: fifty jobs in a script. It is allowed in a
// quarantine, and needed before its end, as nobody else may begin these items until
// then. The errors are ErrLeaseLost and those of the connection. It may be repeated,
// under a new number if what the first try was told is to be heard.
func (p *Partition) ReassertAll(ctx context.Context, requests []ReassertRequest) (replies []ReassertReply, err error) {
	for batch := range batches(requests) {
		agreed := replies
		lease, names := batch[0].Lease, make([]string, 0, len(batch))
		args := []any{lease.Instance, lease.Epoch, len(batch)}
		for _, a := range batch {
			if err := a.check(lease); err != nil {
				return replies, fmt.Errorf("marking items of job %s again: %w", clip(a.Job), err)
			}
			names = append(names, a.Job)
			args = append(args, a.Job, a.Asked, a.Newest, len(a.Marks))
			for _, m := range a.Marks {
				args = append(args, m.Fence, string(m.Kind), m.at(), m.Items.String())
			}
		}
		r, err := p.call(ctx, p.scripts.reassert, p.keys.with(names...), args...)
		if err != nil {
			return replies, fmt.Errorf("marking items of %s again: %w", describeJobs(names), err)
		}
		for range batch {
			r.list(func(one *reply) { replies = append(replies, readReassert(one)) })
		}
		if err := r.end(); err != nil {
			return agreed, fmt.Errorf("marking items of %s again: %w", describeJobs(names), err)
		}
	}
	return replies, nil
}

func (a *ReassertRequest) check(lease Lease) error {
	if err := checkName(a.Job); err != nil {
		return err
	}
	if a.Lease != lease {
		return errors.New("marks of several sessions in one call")
	}
	for _, m := range a.Marks {
		switch {
		case m.Fence <= 0 || m.Fence > a.Newest:
			return fmt.Errorf("fence %d, and %d is the newest", m.Fence, a.Newest)
		case m.Items.Len() == 0:
			return fmt.Errorf("no items under fence %d", m.Fence)
		case m.Trigger == "" && m.Instant.UnixMilli() <= 0:
			return fmt.Errorf("instant %v is before 1970", m.Instant)
		case m.Trigger != "" && checkManualRun(m.Trigger) != nil:
			return checkManualRun(m.Trigger)
		case !strings.ContainsRune("NMOFR", rune(m.Kind)):
			return fmt.Errorf("kind %q is unknown", m.Kind)
		}
	}
	return nil
}

// readReassert leaves a fault in r for its owner to find.
func readReassert(r *reply) ReassertReply {
	a := ReassertReply{Code: r.answer()}
	switch a.Code {
	case CodeOK:
		a.Marked, a.Refused, a.Ended, a.Returned, a.Lost = r.lostRuns(), r.lostRuns(), r.lostRuns(), r.lostRuns(), r.lostRuns()
	case CodeUnknownJob, CodeDuplicate:
	default:
		r.fail("unknown code %d", int(a.Code))
	}
	return a
}

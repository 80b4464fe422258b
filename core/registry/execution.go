package registry

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Kind says why items run.
type Kind byte

// The kinds of a mark. Begin takes KindNormal, KindMisfire and KindOneOff.
const (
	// KindNormal is a firing at its nominal instant.
	KindNormal Kind = 'N'
	// KindMisfire makes up for an instant at which the item was still running. The
	// registry chooses the instant: the earliest missed one.
	KindMisfire Kind = 'M'
	// KindOneOff is a manual trigger. The registry chooses it: the first one that
	// free items wait for.
	KindOneOff Kind = 'O'
	// KindFailover takes over what a dead node left.
	KindFailover Kind = 'F'
	// KindRetry runs a failed item again.
	KindRetry Kind = 'R'
)

// BeginRequest asks which items of a job may run now.
type BeginRequest struct {
	Lease Lease
	Job   string
	// Generation is that of the assignment which the caller holds.
	Generation int64
	// Kind is KindNormal, KindMisfire or KindOneOff.
	Kind Kind
	// Instant is the nominal instant of a normal firing, to the millisecond.
	Instant time.Time
	// Busy are items that a KindOneOff is to leave out, because their code runs on
	// the node although no mark says so.
	Busy Items
	// Request makes a repeated request known, so that it gets the same answer. Of a
	// normal firing it is unique to the node and free of "|;,@" and spaces, or empty:
	// it is then named by its instant and generation, and begun twice it gets the same
	// fence twice; the caller that knows the fence already runs nothing. Any other is
	// named by a letter and a number, which rises in a session from one request of the
	// job to the next, those of claims included. The next one is asked when the one
	// before was answered: a copy that the network delivers after that gets nothing.
	Request string
	// Gathers says that the job has listeners that are called once for a run, so
	// that its items are gathered from all instances. Only those of a normal
	// firing and of a trigger are.
	Gathers bool
}

// BeginReply is the decision on one firing.
type BeginReply struct {
	// Code is CodeOK, CodeNone, CodeOver, CodeStale, CodeDisabled, CodeDuplicate,
	// CodeEarly or CodeUnknownJob.
	Code Code
	// Fence is the fencing token of the items that run.
	Fence int64
	// Items run now.
	Items Items
	// Held items are still running an earlier instant. If the job catches up
	// misfires, they run this instant later, by a KindMisfire. Of a KindOneOff they
	// wait for a manual run and still run another. With CodeOver they never run it.
	Held Items
	// Coalesced are earlier missed instants that this one takes the place of.
	Coalesced []ItemsAt
	// Instant is the firing's; of a misfire, the one it makes up for; of a manual
	// run, when it was triggered.
	Instant time.Time
	// Trigger is the id of the trigger that the items run for, if the kind is
	// KindOneOff, and Parameter what replaces the job's if it is not nil. More says
	// that free items wait for other triggers.
	Trigger   string
	Parameter *string
	More      bool
	// Generation is the present one when Code is CodeStale.
	Generation int64
	// LeaseDeadline is the end of the caller's lease by the server's clock.
	LeaseDeadline time.Time
	// Gathering says who calls the listeners that are called once; nil unless the
	// firing gathers and was decided.
	Gathering *Gathering
}

// Outcome says how items ended.
type Outcome byte

// The outcomes of a completion.
const (
	// OutcomeSuccess also forgets the checkpoints of the items.
	OutcomeSuccess Outcome = 'S'
	// OutcomeFailure is an error of the job's code, or its timeout.
	OutcomeFailure Outcome = 'F'
	// OutcomeCancelled is an end before the code was done.
	OutcomeCancelled Outcome = 'C'
	// OutcomeReturned is of items of a manual run that were not started: they wait for
	// another turn; or of items that were taken over and not started: they wait for
	// somebody else to take them over.
	OutcomeReturned Outcome = 'B'
)

// CompleteRequest reports items of a mark as ended.
type CompleteRequest struct {
	Lease   Lease
	Job     string
	Fence   int64
	Items   Items
	Outcome Outcome
	// Manual says that the mark is of a KindOneOff, or takes over such a run. Claimed
	// says that it takes over a run.
	Manual, Claimed bool
	// Run is Gathering.Run of the begin or Run of the claim; empty if the run is not
	// gathered.
	Run string
}

// CompleteReply says what the end of the items makes possible.
type CompleteReply struct {
	// Code is CodeOK, also when the items had been reported before.
	Code Code
	// Released items belong to another owner by now, which is told by the feed.
	Released Items
	// HasFailover, HasMisfire and HasQueued say that items of the job, perhaps of
	// other nodes, wait for a failover, a catch-up or a manual run.
	HasFailover, HasMisfire, HasQueued bool
	// Gathering says who calls the listeners that are called once, after the
	// run; nil unless the request names one.
	Gathering *Gathering
}

// Begin decides one firing and marks the items that run. See BeginAll.
func (p *Partition) Begin(ctx context.Context, r BeginRequest) (BeginReply, error) {
	replies, err := p.BeginAll(ctx, []BeginRequest{r})
	if err != nil {
		return BeginReply{}, err
	}
	return replies[0], nil
}

// BeginAll decides the firings of several jobs of one session, fifty in a
// script. The errors are ErrLeaseLost, ErrQuarantined and those of the
// connection; replies then has the decisions made before it, and the others
// are to be asked again with the same requests.
func (p *Partition) BeginAll(ctx context.Context, requests []BeginRequest) (replies []BeginReply, err error) {
	for batch := range batches(requests) {
		decided := replies
		lease, names := batch[0].Lease, make([]string, 0, len(batch))
		args, run, keys := []any{lease.Instance, lease.Epoch, len(batch)}, p.scripts.begin, p.keys.toBegin
		for _, b := range batch {
			if err := b.check(lease); err != nil {
				return replies, fmt.Errorf("beginning job %s: %w", clip(b.Job), err)
			}
			names = append(names, b.Job)
			args = append(args, b.Generation, string(b.Kind), b.trigger(), b.request(), b.Job, bit(b.Gathers))
			if b.Gathers || b.Kind == KindOneOff {
				run, keys = p.scripts.beginAll, p.keys.with
			}
		}
		r, err := p.callFiring(ctx, run, keys(names...), args...)
		if err != nil {
			return replies, fmt.Errorf("beginning %s: %w", describeJobs(names), err)
		}
		deadline := r.instant()
		for _, request := range batch {
			r.list(func(one *reply) {
				b := readBegin(one, request.Kind)
				b.LeaseDeadline = deadline
				replies = append(replies, b)
			})
		}
		if err := r.end(); err != nil {
			return decided, fmt.Errorf("beginning %s: %w", describeJobs(names), err)
		}
	}
	return replies, nil
}

func (b *BeginRequest) check(lease Lease) error {
	if err := checkName(b.Job); err != nil {
		return err
	}
	if b.Lease != lease {
		return errors.New("firings of several sessions in one call")
	}
	switch {
	case b.Kind != KindNormal && b.Request == "":
		return errors.New("what is no normal firing needs a request id")
	case b.Kind == KindNormal && b.Instant.UnixMilli() <= 0:
		return fmt.Errorf("instant %v is before 1970", b.Instant)
	case b.Kind != KindNormal && b.Kind != KindMisfire && b.Kind != KindOneOff:
		return fmt.Errorf("kind %q cannot be begun", b.Kind)
	}
	if b.Kind != KindNormal {
		return checkNumbered(b.Request)
	}
	return checkRequest(b.request())
}

func (b *BeginRequest) request() string {
	if b.Request != "" {
		return b.Request
	}
	return "n" + millis(b.Instant) + "g" + number(b.Generation)
}

// trigger is what the script takes as T.
func (b *BeginRequest) trigger() string {
	if b.Kind == KindOneOff {
		return b.Busy.String()
	}
	return millis(b.Instant)
}

// readBegin leaves a fault in r for its owner to find.
func readBegin(r *reply, kind Kind) BeginReply {
	b := BeginReply{Code: r.answer()}
	switch b.Code {
	case CodeOK, CodeNone, CodeOver:
		b.Fence, b.Items, b.Held, b.Coalesced, b.Instant = r.number(), r.items(), r.items(), r.groups(), r.instant()
		b.Gathering = r.gathering()
		if (b.Code == CodeOK) != (b.Fence > 0 && b.Items.Len() > 0) {
			r.fail("fence %d and items %q with code %s", b.Fence, b.Items, b.Code)
		}
		if kind == KindOneOff && b.Code == CodeOK {
			b.readTrigger(r)
		}
	case CodeStale:
		b.Generation = r.number()
	case CodeDisabled, CodeDuplicate, CodeEarly, CodeUnknownJob:
	default:
		r.fail("unknown code %d", int(b.Code))
	}
	return b
}

func (b *BeginReply) readTrigger(r *reply) {
	b.Trigger, b.More, b.Parameter = r.text(), r.flag(), r.parameter()
	if err := checkManualRun(b.Trigger); err != nil && r.err == nil {
		r.fail("%v", err)
	}
}

// parameter reads whether a trigger has one, and which.
func (r *reply) parameter() *string {
	has, text := r.flag(), r.text()
	if !has {
		return nil
	}
	return &text
}

// Complete reports items of one mark as ended. See CompleteAll.
func (p *Partition) Complete(ctx context.Context, r CompleteRequest) (CompleteReply, error) {
	replies, err := p.CompleteAll(ctx, []CompleteRequest{r})
	if err != nil {
		return CompleteReply{}, err
	}
	return replies[0], nil
}

// CompleteAll reports the ends of items of several marks of one session. It may
// be repeated, also in quarantine. After ErrLeaseLost the outcome of the items
// is fenced: others may have run them since.
func (p *Partition) CompleteAll(ctx context.Context, requests []CompleteRequest) (replies []CompleteReply, err error) {
	for batch := range batches(requests) {
		ended := replies
		lease, names := batch[0].Lease, make([]string, 0, len(batch))
		args, run, keys := []any{lease.Instance, lease.Epoch, len(batch)}, p.scripts.complete, p.keys.toComplete
		for _, b := range batch {
			if err := b.check(lease); err != nil {
				return replies, fmt.Errorf("completing job %s: %w", clip(b.Job), err)
			}
			names = append(names, b.Job)
			args = append(args, b.Job, b.Fence, b.Items.String(), string(b.Outcome), b.Run)
			if b.Run != "" || b.Manual {
				run, keys = p.scripts.completeAll, p.keys.with
			}
		}
		r, err := p.callFiring(ctx, run, keys(names...), args...)
		if err != nil {
			return replies, fmt.Errorf("completing %s: %w", describeJobs(names), err)
		}
		for range batch {
			r.list(func(one *reply) {
				replies = append(replies, CompleteReply{
					Code: one.answer(), Released: one.items(),
					HasFailover: one.number() > 0, HasMisfire: one.number() > 0, HasQueued: one.number() > 0,
					Gathering: one.gathering(),
				})
			})
		}
		if err := r.end(); err != nil {
			return ended, fmt.Errorf("completing %s: %w", describeJobs(names), err)
		}
	}
	return replies, nil
}

func (b *CompleteRequest) check(lease Lease) error {
	if err := checkName(b.Job); err != nil {
		return err
	}
	if b.Lease != lease {
		return errors.New("marks of several sessions in one call")
	}
	if b.Outcome == OutcomeReturned && !b.Manual && !b.Claimed {
		return errors.New("only items of a manual run or of a claim can be given back")
	}
	switch b.Outcome {
	case OutcomeSuccess, OutcomeFailure, OutcomeCancelled, OutcomeReturned:
		return checkRun(b.Run)
	}
	return fmt.Errorf("outcome %q is unknown", b.Outcome)
}

package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// TriggerMode says what a manual trigger does with items that are busy.
type TriggerMode byte

// The modes of a manual trigger.
const (
	// TriggerQueue lets items that run get their turn afterwards. An item waits for
	// one trigger at a time and is refused to others meanwhile.
	TriggerQueue TriggerMode = 'Q'
	// TriggerRefuse accepts all items that are wanted and not disabled, or none if
	// one of them runs or waits for another trigger. What runs of a job without
	// monitorExecution is not known and counts as free.
	TriggerRefuse TriggerMode = 'R'
)

// TriggerRequest asks that items of a job run once.
type TriggerRequest struct {
	Job string
	// ID is a UUID as text, best of version 7, so that triggers that wait for one
	// instance run in their order. A request with the id of an earlier one gets the
	// answer of that again and changes nothing.
	ID string
	// Items are those that are wanted, all if there are none. Instance names the
	// node instead whose items of the moment are, by its id or by ServerName.
	Items    Items
	Instance string
	// Parameter replaces the parameter of the job in this run if it is not nil. It
	// has at most 16 KiB.
	Parameter *string
	// Mode is TriggerQueue or TriggerRefuse.
	Mode TriggerMode
	// By names who asks, without commas and bars.
	By string
}

// RefusalReason says why an item was not accepted.
type RefusalReason string

// The reasons.
const (
	RefusedJobDisabled  RefusalReason = "job-disabled"
	RefusedItemDisabled RefusalReason = "disabled"
	// RefusedQueued: the item waits for another trigger.
	RefusedQueued RefusalReason = "queued"
	// RefusedRunning: the item runs, or waits for a failover.
	RefusedRunning RefusalReason = "running"
)

// Refusal is why items of a trigger were not accepted.
type Refusal struct {
	Items  Items
	Reason RefusalReason
	// Trigger is the id of the one that the items wait for, if they do.
	Trigger string
}

// TriggerReply is the answer to a trigger.
type TriggerReply struct {
	// At is when it was accepted, by the server's clock.
	At time.Time
	// Accepted items run once each, as soon as they are free. With none of them
	// nothing is kept of the trigger.
	Accepted Items
	Refused  []Refusal
	// Repeated says that the answer is that of an earlier request.
	Repeated bool
}

// Errors of a trigger.
var (
	// ErrUnknownTrigger: nothing is known of a trigger of this id, perhaps any more.
	ErrUnknownTrigger = errors.New("no such trigger")
	// ErrNothingToTrigger: the job has no such items, or the instance owns none.
	ErrNothingToTrigger = errors.New("nothing to trigger")
	// ErrTooManyTriggers: so many triggers of the job have not ended that no other is
	// accepted.
	ErrTooManyTriggers = errors.New("too many triggers are under way")
)

// maxParameter bounds the parameter of a trigger in bytes.
const maxParameter = 16 << 10

// Trigger queues items for a manual run: their owners begin them with
// KindOneOff. It needs no session and may be repeated with the same id. The
// errors are ErrUnknownJob, ErrNothingToTrigger, ErrTooManyTriggers and those of
// the connection, after which it may have been accepted.
func (p *Partition) Trigger(ctx context.Context, t TriggerRequest) (TriggerReply, error) {
	if err := t.check(); err != nil {
		return TriggerReply{}, fmt.Errorf("triggering job %s: %w", clip(t.Job), err)
	}
	parameter := ""
	if t.Parameter != nil {
		parameter = *t.Parameter
	}
	r, err := p.call(ctx, p.scripts.trigger, p.keys.with(t.Job),
		t.Job, t.ID, string(t.Mode), t.By, t.Items.String(), t.Instance, bit(t.Parameter != nil), parameter)
	if err != nil {
		return TriggerReply{}, fmt.Errorf("triggering job %s: %w", t.Job, err)
	}
	reply, err := readTriggerReply(r, t)
	if broken := r.end(); broken != nil {
		err = broken
	}
	if err != nil {
		return TriggerReply{}, fmt.Errorf("triggering job %s: %w", t.Job, err)
	}
	return reply, nil
}

// readTriggerReply leaves a fault in r for its owner to find.
func readTriggerReply(r *reply, t TriggerRequest) (TriggerReply, error) {
	switch r.code {
	case CodeOK:
		return TriggerReply{At: r.instant(), Accepted: r.items(), Refused: r.refusals(), Repeated: r.flag()}, nil
	case CodeUnknownJob:
		return TriggerReply{}, ErrUnknownJob
	case CodeNone:
		if t.Instance == "" {
			return TriggerReply{}, fmt.Errorf("%w: it has no items now", ErrNothingToTrigger)
		}
		return TriggerReply{}, fmt.Errorf("%w: instance %q owns no item of it", ErrNothingToTrigger, clip(t.Instance))
	case CodePending:
		return TriggerReply{}, ErrTooManyTriggers
	case codeGone:
		return TriggerReply{}, fmt.Errorf("%w: items %s are named, and it has %d, from 0", ErrNothingToTrigger, clip(t.Items.String()), r.number())
	default:
		r.fail("unknown code %d", int(r.code))
		return TriggerReply{}, nil
	}
}

func (t *TriggerRequest) check() error {
	if err := checkName(t.Job); err != nil {
		return err
	}
	if err := checkTrigger(t.ID); err != nil {
		return err
	}
	if err := checkAuthor(t.By); err != nil {
		return err
	}
	if strings.Contains(t.By, "|") {
		return fmt.Errorf("%q is no name of an author", t.By)
	}
	if t.Mode != TriggerQueue && t.Mode != TriggerRefuse {
		return fmt.Errorf("mode %q is unknown", t.Mode)
	}
	if t.Instance != "" {
		if t.Items.Len() > 0 {
			return errors.New("items and an instance are named, want one of them")
		}
		if err := checkInstance(t.Instance); err != nil {
			return err
		}
	}
	if t.Parameter != nil && (len(*t.Parameter) > maxParameter || !utf8.ValidString(*t.Parameter)) {
		return fmt.Errorf("its parameter of %d bytes is no UTF-8 text of at most %d", len(*t.Parameter), maxParameter)
	}
	return nil
}

// checkTrigger refuses what is no UUID in its usual form.
func checkTrigger(id string) error {
	if parsed, err := uuid.Parse(id); err != nil || parsed.String() != id {
		return fmt.Errorf("trigger id %q is no UUID in lower case", clip(id))
	}
	return nil
}

// checkManualRun refuses what is neither the id of a trigger nor, as of a run that
// follows one of another job, the run id of an instant.
func checkManualRun(id string) error {
	if _, err := ParseRunID(id); err == nil {
		return nil
	}
	return checkTrigger(id)
}

// maxRefusals bounds the groups of a trigger's refusals: each item its own.
const maxRefusals = maxItemsText + MaxItems*64

// refusals reads "0-3@running@;5@queued@id": items, a reason, and the trigger that
// they wait for.
func (r *reply) refusals() []Refusal {
	text := r.text()
	if r.err != nil || text == "" {
		return nil
	}
	if len(text) > maxRefusals {
		r.fail("refusals of %d bytes", len(text))
		return nil
	}
	var refusals []Refusal
	for part := range strings.SplitSeq(text, ";") {
		fields := strings.Split(part, "@")
		if len(fields) != 3 {
			r.fail("refusal %q has %d parts", clip(part), len(fields))
			return nil
		}
		items, err := ParseItems(fields[0])
		if err == nil && fields[2] != "" {
			err = checkManualRun(fields[2])
		}
		if err != nil {
			r.fail("%v", err)
			return nil
		}
		refusals = append(refusals, Refusal{Items: items, Reason: RefusalReason(clip(fields[1])), Trigger: fields[2]})
	}
	return refusals
}

// TriggerState is what became of a trigger.
type TriggerState struct {
	Job, ID string
	// At and By say when and by whom the job was triggered.
	At   time.Time
	By   string
	Mode TriggerMode
	// Accepted and Refused are as Trigger has answered.
	Accepted Items
	Refused  []Refusal
	// Left are the accepted items that have not ended. The others are in one of the
	// rest.
	Left                         Items
	Succeeded, Failed, Cancelled Items
	// Lost items ran on an instance that died, or exist no longer.
	Lost Items
	// Ended is when the last item ended, zero before.
	Ended time.Time
	// Parameter is that of the trigger while items are left, nil if it has none.
	Parameter *string
}

// TriggerState reads what became of a trigger. It is known while items are left
// and for about an hour afterwards, but for the older ones of a job with very
// many; then the error is ErrUnknownTrigger.
func (p *Partition) TriggerState(ctx context.Context, job, id string) (TriggerState, error) {
	err := checkName(job)
	if err == nil {
		err = checkManualRun(id)
	}
	if err != nil {
		return TriggerState{}, fmt.Errorf("reading trigger %s of job %s: %w: %w", clip(id), clip(job), ErrUnknownTrigger, err)
	}
	text, err := p.config.Client.HGet(ctx, p.keys.triggers(job), id).Result()
	if errors.Is(err, redis.Nil) {
		err = ErrUnknownTrigger
	}
	if err != nil {
		return TriggerState{}, fmt.Errorf("reading trigger %s of job %s: %w", id, job, err)
	}
	state, err := parseTrigger(text)
	if err != nil {
		return TriggerState{}, fmt.Errorf("reading trigger %s of job %s: %w", id, job, err)
	}
	state.Job, state.ID = job, id
	return state, nil
}

// parseTrigger reads what keys.go says of t.
func parseTrigger(text string) (TriggerState, error) {
	if len(text) > maxRefusals+4*maxItemsText+maxParameter {
		return TriggerState{}, fmt.Errorf("it has %d bytes", len(text))
	}
	fields := strings.SplitN(text, "|", 10)
	if len(fields) != 10 {
		return TriggerState{}, fmt.Errorf("it has %d parts, want 10", len(fields))
	}
	values := make([]any, len(fields))
	for i, f := range fields {
		values[i] = f
	}
	r := &reply{source: "the trigger", values: values}
	s := TriggerState{At: r.instant(), Ended: r.instant()}
	if mode := r.text(); len(mode) == 1 {
		s.Mode = TriggerMode(mode[0])
	}
	s.By, s.Accepted, s.Refused, s.Left = r.text(), r.items(), r.refusals(), r.items()
	r.ends(&s)
	if hasParameter := r.flag(); hasParameter {
		s.Parameter = new(r.text())
	} else {
		r.text()
	}
	return s, r.end()
}

// ends reads how items ended: "0-2@S;3@F".
func (r *reply) ends(s *TriggerState) {
	text := r.text()
	if r.err != nil || text == "" {
		return
	}
	for part := range strings.SplitSeq(text, ";") {
		list, outcome, _ := strings.Cut(part, "@")
		items, err := ParseItems(list)
		if err != nil {
			r.fail("%v", err)
			return
		}
		switch outcome {
		case "S":
			s.Succeeded = items
		case "F":
			s.Failed = items
		case "C":
			s.Cancelled = items
		case "L":
			s.Lost = items
		default:
			r.fail("outcome %q is unknown", clip(outcome))
			return
		}
	}
}

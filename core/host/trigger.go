package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/elasticjob-go/elasticjob/core/registry"
)

// Trigger asks that items of a job run once, apart from its schedule.
type Trigger struct {
	Job string
	// Items are the wanted ones, nil for all. Instance names a node instead, as
	// Target does, and means the items that it owns when the trigger is accepted.
	Items    []int
	Instance string
	// Parameter replaces the jobParameter in this run if it is not nil. It has at
	// most 16 KiB.
	Parameter *string
	// Mode is TriggerQueue if it is zero.
	Mode TriggerMode
	// ID names the trigger and is the run id of its items. It is a UUID in lower
	// case, best of version 7. Without one a new id is made; with one, a call whose
	// outcome is not known can be repeated and triggers nothing twice.
	ID string
	// By names who asks: at most 100 bytes without commas and bars; "api" if it is
	// empty.
	By string
}

// TriggerMode says what becomes of items that are busy.
type TriggerMode = registry.TriggerMode

// RefusalReason says why an item was not accepted.
type RefusalReason = registry.RefusalReason

// TriggerRefusal is why items were not accepted.
type TriggerRefusal struct {
	Items  []int
	Reason RefusalReason
	// Trigger is the id of the one that the items wait for, if they do.
	Trigger string
}

// TriggerResult is what was accepted.
type TriggerResult struct {
	// ID is the trigger's, and the run id of its items.
	ID string
	// Accepted items run once each on their owners, as soon as they are free.
	Accepted []int
	Refused  []TriggerRefusal
	// Repeated says that the answer is that of an earlier call with this id.
	Repeated bool
}

// TriggerInfo is what became of a trigger.
type TriggerInfo struct {
	Job, ID string
	// At and By say when and by whom the job was triggered.
	At time.Time
	By string
	// Accepted and Refused are as Trigger has answered.
	Accepted []int
	Refused  []TriggerRefusal
	// Left are the accepted items that have not ended; the others are in one of the
	// lists that follow.
	Left []int
	// Failed are those whose code failed. Cancelled ones were ended by the stop of
	// their node, and Lost ones ran on a node that died, or exist no longer.
	Succeeded, Failed, Cancelled, Lost []int
	// Ended is when the last item ended, zero before.
	Ended time.Time
}

// ErrRefused is the error of a trigger of which no item was accepted. The result
// says why.
var ErrRefused = errors.New("no item was accepted")

// defaultAuthor triggers when nobody is named.
const defaultAuthor = "api"

// Trigger has items of any job run once. The result has the id also with an error
// after which the trigger may have been accepted: repeating it with that id tells.
func (h *Host) Trigger(ctx context.Context, t Trigger) (TriggerResult, error) {
	request := registry.TriggerRequest{
		Job: t.Job, ID: t.ID, Instance: t.Instance, Parameter: t.Parameter, Mode: t.Mode, By: t.By,
	}
	if request.Mode == 0 {
		request.Mode = registry.TriggerQueue
	}
	if request.By == "" {
		request.By = defaultAuthor
	}
	if t.Items != nil {
		if len(t.Items) == 0 {
			return TriggerResult{}, fmt.Errorf("triggering job %q: %w: no item is named", t.Job, registry.ErrNothingToTrigger)
		}
		for _, item := range t.Items {
			if item < 0 || item >= registry.MaxItems {
				return TriggerResult{}, fmt.Errorf("triggering job %q: %w: there is no item %d", t.Job, registry.ErrNothingToTrigger, item)
			}
		}
		request.Items = registry.NewItems(t.Items...)
	}
	if request.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return TriggerResult{}, fmt.Errorf("triggering job %q: making an id: %w", t.Job, err)
		}
		request.ID = id.String()
	}
	result := TriggerResult{ID: request.ID}
	reply, err := h.center.Partition(t.Job).Trigger(ctx, request)
	if err != nil {
		return result, err
	}
	result.Accepted, result.Refused, result.Repeated = reply.Accepted.Slice(), refusals(reply.Refused), reply.Repeated
	if len(result.Accepted) == 0 {
		return result, fmt.Errorf("triggering job %q: %w: %s", t.Job, ErrRefused, describeRefusals(reply.Refused))
	}
	return result, nil
}

// describeRefusals says why items were refused, in words.
func describeRefusals(refused []registry.Refusal) string {
	parts := make([]string, len(refused))
	for i, r := range refused {
		switch r.Reason {
		case registry.RefusedJobDisabled:
			parts[i] = "the job is disabled"
		case registry.RefusedItemDisabled:
			parts[i] = "disabled: " + r.Items.String()
		case registry.RefusedQueued:
			parts[i] = "already queued by " + r.Trigger + ": " + r.Items.String()
		case registry.RefusedRunning:
			parts[i] = "running: " + r.Items.String()
		default:
			parts[i] = string(r.Reason) + ": " + r.Items.String()
		}
	}
	return strings.Join(parts, "; ")
}

// TriggerState returns what became of a trigger: it is known while items are left
// and for about an hour afterwards, else the error is registry.ErrUnknownTrigger.
func (h *Host) TriggerState(ctx context.Context, job, id string) (TriggerInfo, error) {
	s, err := h.center.Partition(job).TriggerState(ctx, job, id)
	if err != nil {
		return TriggerInfo{}, err
	}
	return TriggerInfo{
		Job: s.Job, ID: s.ID, At: s.At, By: s.By, Ended: s.Ended, Accepted: s.Accepted.Slice(), Refused: refusals(s.Refused), Left: s.Left.Slice(),
		Succeeded: s.Succeeded.Slice(), Failed: s.Failed.Slice(), Cancelled: s.Cancelled.Slice(), Lost: s.Lost.Slice(),
	}, nil
}

func refusals(refused []registry.Refusal) []TriggerRefusal {
	var list []TriggerRefusal
	for _, r := range refused {
		list = append(list, TriggerRefusal{Items: r.Items.Slice(), Reason: r.Reason, Trigger: r.Trigger})
	}
	return list
}

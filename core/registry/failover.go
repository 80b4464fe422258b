package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

// MaxCheckpoint bounds a checkpoint, in bytes.
const MaxCheckpoint = 64 << 10

// ClaimRequest asks for items that dead instances were running.
type ClaimRequest struct {
	Lease Lease
	Job   string
	// Most is how many items the caller has room for. It gets no more than its part
	// of what waits, rounded up, if several sessions live; it may ask again.
	Most int
	// Busy are items that it leaves to others, because their code runs on it although
	// no mark says so.
	Busy Items
	// Request makes a repeated request known, so that it gets the same answer. It is a
	// letter and a number that rises, see BeginRequest.
	Request string
}

// ClaimReply is what a claim has got: items of one run, the earliest that waits.
type ClaimReply struct {
	// Code is CodeOK, CodeNone, CodeDisabled or CodeUnknownJob.
	Code  Code
	Fence int64
	Items Items
	// Instant is that of the run which was cut short; of a manual run, when it was
	// triggered.
	Instant time.Time
	// Run names it where runs are gathered; see CompleteRequest.
	Run string
	// Trigger is the id of a manual run and Parameter what replaces the job's if it
	// is not nil.
	Trigger   string
	Parameter *string
	// Former are the instances that have died. It is empty if the answer is that of
	// an earlier request.
	Former []Orphan
	// More says that items are left, of this run or of others.
	More bool
	// Checkpoints are what the items have saved last in the run.
	Checkpoints map[int][]byte
	// LeaseDeadline is the end of the caller's lease by the server's clock.
	LeaseDeadline time.Time
}

// Claim takes over items of one job. See ClaimAll.
func (p *Partition) Claim(ctx context.Context, r ClaimRequest) (ClaimReply, error) {
	replies, err := p.ClaimAll(ctx, []ClaimRequest{r})
	if err != nil {
		return ClaimReply{}, err
	}
	return replies[0], nil
}

// ClaimAll takes over items of several jobs for one session, fifty jobs in a
// script: no item goes to two callers, and the caller need not own it. The errors
// are ErrLeaseLost, ErrQuarantined and those of the connection; replies then has
// the answers made before, and the others are to be asked again with the same
// requests.
func (p *Partition) ClaimAll(ctx context.Context, requests []ClaimRequest) (replies []ClaimReply, err error) {
	for batch := range batches(requests) {
		claimed := replies
		lease, names := batch[0].Lease, make([]string, 0, len(batch))
		args := []any{lease.Instance, lease.Epoch, len(batch)}
		for _, c := range batch {
			if err := c.check(lease); err != nil {
				return replies, fmt.Errorf("claiming items of job %s: %w", clip(c.Job), err)
			}
			names = append(names, c.Job)
			args = append(args, c.Job, c.Most, c.Busy.String(), c.Request)
		}
		r, err := p.callFiring(ctx, p.scripts.claim, p.keys.with(names...), args...)
		if err != nil {
			return replies, fmt.Errorf("claiming items of %s: %w", describeJobs(names), err)
		}
		deadline := r.instant()
		for range batch {
			r.list(func(one *reply) {
				c := readClaim(one)
				c.LeaseDeadline = deadline
				replies = append(replies, c)
			})
		}
		if err := r.end(); err != nil {
			return claimed, fmt.Errorf("claiming items of %s: %w", describeJobs(names), err)
		}
	}
	return replies, nil
}

func (c *ClaimRequest) check(lease Lease) error {
	if err := checkName(c.Job); err != nil {
		return err
	}
	switch {
	case c.Lease != lease:
		return errors.New("claims of several sessions in one call")
	case c.Most < 1:
		return fmt.Errorf("at most %d items are wanted", c.Most)
	}
	return checkNumbered(c.Request)
}

// readClaim leaves a fault in r for its owner to find.
func readClaim(r *reply) ClaimReply {
	c := ClaimReply{Code: r.answer()}
	switch c.Code {
	case CodeOK:
		c.Fence, c.Items, c.Instant, c.Trigger = r.number(), r.items(), r.instant(), r.text()
		c.Parameter, c.Former, c.More = r.parameter(), r.orphans(), r.flag()
		c.Checkpoints = r.checkpoints(c.Items)
		if c.Run = c.Trigger; c.Run == "" {
			c.Run = millis(c.Instant)
		}
		if c.Fence == 0 || c.Items.Len() == 0 {
			r.fail("fence %d and items %q", c.Fence, c.Items)
		}
		if err := checkManualRun(c.Trigger); c.Trigger != "" && err != nil {
			r.fail("%v", err)
		}
	case CodeNone:
		c.More = r.flag()
	case CodeDisabled, CodeUnknownJob:
	default:
		r.fail("unknown code %d", int(c.Code))
	}
	return c
}

// checkpoints reads which of some items have one, and those.
func (r *reply) checkpoints(of Items) map[int][]byte {
	saved := r.items()
	if saved.Len() == 0 {
		return nil
	}
	by := make(map[int][]byte, saved.Len())
	for item := range saved.All() {
		data, err := decodeCheckpoint(r.text())
		if err != nil || !of.Contains(item) {
			r.fail("the checkpoint of item %d among %s: %v", item, of, err)
			return nil
		}
		by[item] = data
	}
	return by
}

func encodeCheckpoint(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

func decodeCheckpoint(text string) ([]byte, error) {
	if len(text) > base64.StdEncoding.EncodedLen(MaxCheckpoint) {
		return nil, fmt.Errorf("it has %d characters", len(text))
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("it is no base64: %w", err)
	}
	return data, nil
}

// CheckpointRequest is what a running item saves, for whoever runs it next in the
// same run.
type CheckpointRequest struct {
	Lease Lease
	Job   string
	// Fence is that of the item's mark.
	Fence int64
	Item  int
	Data  []byte
}

// SaveCheckpoint keeps it until the item ends. The errors are ErrLeaseLost, also if
// the item does not run under the fence any more, and those of the connection; it
// may be repeated.
func (p *Partition) SaveCheckpoint(ctx context.Context, c CheckpointRequest) error {
	if err := checkName(c.Job); err != nil {
		return fmt.Errorf("saving a checkpoint: %w", err)
	}
	if len(c.Data) > MaxCheckpoint || c.Item < 0 || c.Item >= MaxItems {
		return fmt.Errorf("saving a checkpoint of item %d of job %s: %d bytes", c.Item, c.Job, len(c.Data))
	}
	r, err := p.call(ctx, p.scripts.checkpoint, p.keys.with(c.Job), c.Lease.Instance, c.Lease.Epoch, c.Job, c.Fence, c.Item, encodeCheckpoint(c.Data))
	if err == nil {
		err = r.end()
	}
	if err == nil && r.code == CodeNone {
		err = ErrLeaseLost
	}
	if err != nil {
		return fmt.Errorf("saving a checkpoint of item %d of job %s: %w", c.Item, c.Job, err)
	}
	return nil
}

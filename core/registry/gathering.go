package registry

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// Turn says what an instance does about the listeners of a run that are called
// once.
type Turn int

// The turns; the numbers are those of the scripts. Of all instances of a run at
// most one gets TurnCall for each moment, and at most one TurnExpired or
// TurnForsaken. The same question has the same answer when it is repeated.
const (
	// TurnGo: there is nothing to wait for, the calls are made or given up.
	TurnGo Turn = 1
	// TurnWait: others have items to begin or to end, or make the calls.
	TurnWait Turn = 2
	// TurnCall: this instance makes the calls and reports that by MeetAll.
	TurnCall Turn = 3
	// TurnExpired: this instance has given up the calls; it tells of that.
	TurnExpired Turn = 4
	// TurnForsaken: the instance that was to make the calls died before it said
	// that it has, or the registry has lost the run; this instance tells of that.
	TurnForsaken Turn = 5
)

// String is the turn's name.
func (t Turn) String() string {
	switch t {
	case TurnGo:
		return "go"
	case TurnWait:
		return "wait"
	case TurnCall:
		return "call"
	case TurnExpired:
		return "expired"
	case TurnForsaken:
		return "forsaken"
	}
	return "turn " + strconv.Itoa(int(t))
}

// Gathering is a run of a job whose listeners are called once, as it is on all
// instances together.
type Gathering struct {
	// Run names it in later requests.
	Run  string
	Turn Turn
	// Items are all items of the run, and how they ended. Those in none of the
	// three did not run in it, or have not ended. They are told with TurnCall only.
	Items, Succeeded, Failed, Cancelled Items
}

// Moment is when listeners are called.
type Moment byte

// The moments.
const (
	// MomentBefore is when all items of the run have begun.
	MomentBefore Moment = 'b'
	// MomentAfter is when all of them have ended.
	MomentAfter Moment = 'a'
)

// Act is what Meet is for.
type Act byte

// The acts.
const (
	// ActAsk asks for the turn, after a wait.
	ActAsk Act = 'A'
	// ActDone says that the calls are made.
	ActDone Act = 'D'
	// ActExpire asks for the turn and, if that is still to wait, gives the calls up
	// for all instances.
	ActExpire Act = 'X'
)

// MeetRequest is an instance's part in the calls of a run.
type MeetRequest struct {
	Lease Lease
	Job   string
	// Run and Fence are those of the begin.
	Run    string
	Fence  int64
	Moment Moment
	Act    Act
}

// Meet asks or tells how far the calls of a run are. See MeetAll.
func (p *Partition) Meet(ctx context.Context, r MeetRequest) (Gathering, error) {
	replies, err := p.MeetAll(ctx, []MeetRequest{r})
	if err != nil {
		return Gathering{}, err
	}
	return replies[0], nil
}

// MeetAll asks or tells of several jobs of one session how far the calls of
// their runs are, fifty in a script. It may be repeated. The errors are
// ErrLeaseLost and those of the connection; replies then has those made before.
func (p *Partition) MeetAll(ctx context.Context, requests []MeetRequest) (replies []Gathering, err error) {
	for batch := range batches(requests) {
		met := replies
		lease, names := batch[0].Lease, make([]string, 0, len(batch))
		args := []any{lease.Instance, lease.Epoch, len(batch)}
		for _, b := range batch {
			if err := b.check(lease); err != nil {
				return replies, fmt.Errorf("meeting for job %s: %w", clip(b.Job), err)
			}
			names = append(names, b.Job)
			args = append(args, b.Job, b.Run, b.Fence, string(b.Moment), string(b.Act))
		}
		r, err := p.callFiring(ctx, p.scripts.meet, p.keys.with(names...), args...)
		if err != nil {
			return replies, fmt.Errorf("meeting for %s: %w", describeJobs(names), err)
		}
		for range batch {
			g := r.gathering()
			if g == nil {
				r.fail("nothing about a run")
				break
			}
			replies = append(replies, *g)
		}
		if err := r.end(); err != nil {
			return met, fmt.Errorf("meeting for %s: %w", describeJobs(names), err)
		}
	}
	return replies, nil
}

func (b *MeetRequest) check(lease Lease) error {
	if err := checkName(b.Job); err != nil {
		return err
	}
	if b.Lease != lease {
		return errors.New("runs of several sessions in one call")
	}
	if b.Moment != MomentBefore && b.Moment != MomentAfter {
		return fmt.Errorf("moment %q is unknown", b.Moment)
	}
	switch b.Act {
	case ActAsk, ActDone, ActExpire:
	default:
		return fmt.Errorf("act %q is unknown", b.Act)
	}
	if b.Run == "" {
		return errors.New("no run is named")
	}
	return checkRun(b.Run)
}

// checkRun refuses what is no name of a gathered run.
func checkRun(run string) error {
	if run == "" {
		return nil
	}
	return checkRequest(run)
}

// gathering reads what is to be done about a run; zero is nothing.
func (r *reply) gathering() *Gathering {
	if r.err == nil && r.at < len(r.values) {
		if n, isNumber := r.values[r.at].(int64); isNumber && n == 0 {
			r.at++
			return nil
		}
	}
	var g *Gathering
	r.list(func(one *reply) {
		g = &Gathering{
			Run: one.text(), Turn: Turn(one.number()), Items: one.items(), Succeeded: one.items(), Failed: one.items(), Cancelled: one.items(),
		}
		if g.Turn < TurnGo || g.Turn > TurnForsaken {
			one.fail("unknown turn %d", int(g.Turn))
		}
		if err := checkRun(g.Run); err != nil {
			one.fail("%v", err)
		}
	})
	if r.err != nil {
		return nil
	}
	return g
}

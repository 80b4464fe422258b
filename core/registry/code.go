package registry

import (
	"strconv"
	"time"
)

// Code is the answer of the registry center about one job.
type Code int

// The numbers are those of the scripts.
const (
	// CodeOK: done; of Begin, items run under the fence.
	CodeOK Code = 1
	// CodePending: living owners of an unmonitored job may not give items away
	// again before the last change is over; what others had has moved, if the
	// generation is a new one.
	CodePending Code = 2
	// CodeOver: other jobs have been told that the run has ended; nothing begins in it
	// any more.
	CodeOver Code = 3
	// CodeNone: nothing to do; of Begin, no item is free to run; of a commit, the
	// assignment was so already.
	CodeNone Code = 0
	// CodeStale: the generation (of a commit: or the definition) is another one;
	// the caller reads again.
	CodeStale Code = -2
	// CodeDisabled: the job is disabled, here or everywhere.
	CodeDisabled Code = -3
	// CodeDuplicate: this instant or a later one was decided before.
	CodeDuplicate Code = -5
	// CodeEarly: the instant has not come by far, by the server's clock.
	CodeEarly Code = -10
	// CodeUnknownJob: there is no such job.
	CodeUnknownJob Code = -8
	// CodeOwnerGone: an instance of the plan has no session.
	CodeOwnerGone Code = -9
)

// Refusals of a whole call; they become errors.
const (
	codeLost        Code = -1
	codeQuarantined Code = -4
	codeConflict    Code = -6
	codeNotLeader   Code = -7
	codeGone        Code = -9
)

// String is the code's name.
func (c Code) String() string {
	switch c {
	case CodeOK:
		return "ok"
	case CodePending:
		return "pending"
	case CodeOver:
		return "over"
	case CodeNone:
		return "none"
	case CodeStale:
		return "stale"
	case CodeDisabled:
		return "disabled"
	case CodeDuplicate:
		return "duplicate"
	case CodeEarly:
		return "early"
	case CodeUnknownJob:
		return "unknown job"
	case CodeOwnerGone:
		return "owner gone"
	}
	return "code " + strconv.Itoa(int(c))
}

// ItemsAt is a group of items that share an instant.
type ItemsAt struct {
	Items Items
	At    time.Time
}

// millis is an instant as scripts take it; the zero time is zero.
func millis(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}

func durationMillis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func number(n int64) string { return strconv.FormatInt(n, 10) }

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

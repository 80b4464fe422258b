package schedule

import (
	"time"

	"github.com/robfig/cron/v3"
)

// Gap is a stretch of instants of one schedule.
type Gap struct {
	// Count is how many there are; counting stops at [MaxCount].
	Count int
	// First and Last are the outermost ones and BeforeLast is the one before
	// Last; zero where there is none.
	First, BeforeLast, Last time.Time
}

// MaxCount bounds the work of counting, which is under a millisecond then: a
// job of every second reaches it after three hours.
const MaxCount = 10_000

// Missed returns the instants of the schedule after the first time and not
// after the second.
func Missed(schedule cron.Schedule, after, until time.Time) Gap {
	var gap Gap
	instant := schedule.Next(after)
	for !instant.IsZero() && !instant.After(until) {
		if gap.Count == 0 {
			gap.First = instant.UTC()
		}
		if gap.Count == MaxCount {
			gap.BeforeLast, gap.Last = lastTwo(schedule, instant, until)
			return gap
		}
		gap.Count++
		gap.BeforeLast, gap.Last = gap.Last, instant.UTC()
		instant = schedule.Next(instant)
	}
	return gap
}

// Latest returns the last instants of the schedule after the first time and not
// after the second, in order and in UTC: at most this many, of [MaxCount].
func Latest(schedule cron.Schedule, after, until time.Time, most int) []time.Time {
	most = min(most, MaxCount)
	// Too many follow after many, too few after few.
	many, few := after, until
	for from := after; ; from = many.Add(few.Sub(many) / 2) {
		found, isAll := upTo(schedule, from, until)
		switch {
		case !isAll:
			many = from
		case len(found) >= most || from.Equal(after) || few.Sub(from) <= time.Millisecond:
			return found[max(0, len(found)-most):]
		default:
			few = from
		}
	}
}

// upTo returns the instants between the two, or says that there are more than
// MaxCount.
func upTo(schedule cron.Schedule, after, until time.Time) (found []time.Time, isAll bool) {
	for at := schedule.Next(after); !at.IsZero() && !at.After(until); at = schedule.Next(at) {
		if len(found) == MaxCount {
			return nil, false
		}
		found = append(found, at.UTC())
	}
	return found, true
}

// lastTwo finds the last two instants not after until by looking back in
// steps that double; known is one of the instants.
func lastTwo(schedule cron.Schedule, known, until time.Time) (beforeLast, last time.Time) {
	for back := time.Second; ; back *= 2 {
		from := until.Add(-back)
		if from.Before(known) {
			from = known
		}
		second := schedule.Next(from)
		if second.IsZero() || second.After(until) {
			if from.Equal(known) {
				return time.Time{}, known.UTC()
			}
			continue
		}
		first := from
		if !first.Equal(known) {
			first, second = second, schedule.Next(second)
			if second.IsZero() || second.After(until) {
				continue
			}
		}
		for {
			third := schedule.Next(second)
			if third.IsZero() || third.After(until) {
				return first.UTC(), second.UTC()
			}
			first, second = second, third
		}
	}
}

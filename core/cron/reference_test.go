package cron_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/elasticjob-go/elasticjob/core/cron"
)

// A reference is an expression built together with what it means: a text for
// Parse, and predicates that know nothing of the parser and its sets. It answers
// by trying every date, hour, minute and second.
type reference struct {
	text                          string
	second, minute, hour, mon, yr func(int) bool
	day                           func(date time.Time) bool
}

// fires returns the first n matching wall times after start, in UTC, trying no
// more than the given number of days.
func (r *reference) fires(start time.Time, n, days int) []time.Time {
	var times []time.Time
	midnight := start.Truncate(24 * time.Hour)
	for range days {
		if r.yr(midnight.Year()) && r.mon(int(midnight.Month())) && r.day(midnight) {
			for h := range 24 {
				for m := range 60 {
					if !r.hour(h) || !r.minute(m) {
						continue
					}
					for s := range 60 {
						at := midnight.Add(time.Duration(h*3600+m*60+s) * time.Second)
						if r.second(s) && at.After(start) {
							if times = append(times, at); len(times) == n {
								return times
							}
						}
					}
				}
			}
		}
		midnight = midnight.AddDate(0, 0, 1)
	}
	return times
}

// randomReference draws an expression.
func randomReference(r *rand.Rand) *reference {
	ref := &reference{}
	texts := make([]string, 0, 7)
	draw := func(low, high int, names []string) func(int) bool {
		text, match := randomList(r, low, high, names)
		texts = append(texts, text)
		return match
	}
	ref.second, ref.minute, ref.hour = draw(0, 59, nil), draw(0, 59, nil), draw(0, 23, nil)
	byWeekday := r.IntN(2) == 0
	if byWeekday {
		texts = append(texts, "?")
	} else {
		text, match := randomMonthDays(r)
		texts, ref.day = append(texts, text), match
	}
	ref.mon = draw(1, 12, strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"))
	if byWeekday {
		text, match := randomWeekdays(r)
		texts, ref.day = append(texts, text), match
	} else {
		texts = append(texts, "?")
	}
	ref.yr = func(int) bool { return true }
	switch r.IntN(4) {
	case 0:
		first, step := 1990+r.IntN(40), 1+r.IntN(5)
		texts = append(texts, fmt.Sprintf("%d/%d", first, step))
		ref.yr = func(y int) bool { return y >= first && (y-first)%step == 0 }
	case 1:
		texts = append(texts, "*")
	}
	ref.text = strings.Join(texts, " ")
	return ref
}

// randomList draws a list of values, ranges and steps of a field.
func randomList(r *rand.Rand, low, high int, names []string) (string, func(int) bool) {
	if r.IntN(3) == 0 {
		return "*", func(int) bool { return true }
	}
	var items []string
	var matches []func(int) bool
	for range 1 + r.IntN(3) {
		a, b, step := low+r.IntN(high-low+1), low+r.IntN(high-low+1), 1+r.IntN(high)
		write := strconv.Itoa
		if names != nil && r.IntN(2) == 0 {
			write = func(v int) string { return names[v-low] }
		}
		// The distance from a, going up and over the end.
		from := func(v int) int { return (v - a + high - low + 1) % (high - low + 1) }
		switch r.IntN(5) {
		case 0:
			items = append(items, write(a))
			matches = append(matches, func(v int) bool { return v == a })
		case 1:
			items = append(items, write(a)+"-"+write(b))
			matches = append(matches, func(v int) bool { return from(v) <= from(b) })
		case 2:
			items = append(items, fmt.Sprintf("%d-%d/%d", a, b, step))
			matches = append(matches, func(v int) bool { return from(v) <= from(b) && from(v)%step == 0 })
		case 3:
			items = append(items, fmt.Sprintf("%d/%d", a, step))
			matches = append(matches, func(v int) bool { return v >= a && (v-a)%step == 0 })
		case 4:
			items = append(items, []string{"*/", "/"}[r.IntN(2)]+strconv.Itoa(step))
			matches = append(matches, func(v int) bool { return (v-low)%step == 0 })
		}
	}
	return strings.Join(items, ","), func(v int) bool {
		return slices.ContainsFunc(matches, func(match func(int) bool) bool { return match(v) })
	}
}

func randomMonthDays(r *rand.Rand) (string, func(time.Time) bool) {
	if r.IntN(2) == 0 {
		text, match := randomList(r, 1, 31, nil)
		return text, func(date time.Time) bool { return match(date.Day()) }
	}
	var items []string
	var matches []func(time.Time) bool
	for range 1 + r.IntN(3) {
		n := 1 + r.IntN(31)
		switch r.IntN(4) {
		case 0:
			items = append(items, strconv.Itoa(n)+"W")
			matches = append(matches, func(date time.Time) bool { return isNearestWeekday(date, n) })
		case 1:
			items = append(items, fmt.Sprintf("L-%d", n-1))
			matches = append(matches, func(date time.Time) bool { return date.Day() == lastDay(date)-(n-1) })
		case 2:
			items = append(items, fmt.Sprintf("L-%dW", n-1))
			matches = append(matches, func(date time.Time) bool { return isNearestWeekday(date, lastDay(date)-(n-1)) })
		case 3:
			items = append(items, strconv.Itoa(n))
			matches = append(matches, func(date time.Time) bool { return date.Day() == n })
		}
	}
	return strings.Join(items, ","), func(date time.Time) bool {
		return slices.ContainsFunc(matches, func(match func(time.Time) bool) bool { return match(date) })
	}
}

func randomWeekdays(r *rand.Rand) (string, func(time.Time) bool) {
	names := strings.Fields("SUN MON TUE WED THU FRI SAT")
	weekday, nth := r.IntN(7), 1+r.IntN(5)
	name := names[weekday]
	if r.IntN(2) == 0 {
		name = strconv.Itoa(weekday + 1)
	}
	is := func(date time.Time) bool { return date.Weekday() == time.Weekday(weekday) }
	switch r.IntN(4) {
	case 0:
		return fmt.Sprintf("%s#%d", name, nth), func(date time.Time) bool {
			return is(date) && (date.Day()+6)/7 == nth
		}
	case 1:
		return name + "L", func(date time.Time) bool {
			return is(date) && date.AddDate(0, 0, 7).Month() != date.Month()
		}
	default:
		text, match := randomList(r, 1, 7, names)
		return text, func(date time.Time) bool { return match(int(date.Weekday()) + 1) }
	}
}

func lastDay(date time.Time) int {
	day := date.Day()
	for date.AddDate(0, 0, 1).Month() == date.Month() {
		date = date.AddDate(0, 0, 1)
		day = date.Day()
	}
	return day
}

// isNearestWeekday says whether no weekday of the month is nearer to the given
// day than date, which is one itself, and whether the month has that day.
func isNearestWeekday(date time.Time, day int) bool {
	isWeekday := func(d int) bool {
		w := date.AddDate(0, 0, d-date.Day()).Weekday()
		return w != time.Saturday && w != time.Sunday
	}
	if day < 1 || day > lastDay(date) || !isWeekday(date.Day()) {
		return false
	}
	distance := max(date.Day()-day, day-date.Day())
	for d := max(day-distance+1, 1); d < day+distance && d <= lastDay(date); d++ {
		if isWeekday(d) {
			return false
		}
	}
	return true
}

func TestNextAgainstReference(t *testing.T) {
	t.Parallel()
	rounds := 1000
	if testing.Short() {
		rounds = 200
	}
	r := rand.New(rand.NewPCG(1, 2))
	const wanted, days = 12, 800
	total := 0
	for range rounds {
		ref := randomReference(r)
		e, err := cron.Parse(ref.text, time.UTC)
		if err != nil {
			t.Errorf("Parse(%q) = %v, want no error", ref.text, err)
			continue
		}
		start := time.Date(1995+r.IntN(60), 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.Int64N(365*24*3600)) * time.Second)
		want := ref.fires(start, wanted, days)
		got := fires(e, start, wanted)
		limit := start.Truncate(24*time.Hour).AddDate(0, 0, days)
		got = slices.DeleteFunc(got, func(at time.Time) bool { return !at.Before(limit) })
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q from %v (-want +got):\n%s", ref.text, start, diff)
		}
		total += len(want)
	}
	if total < 5*rounds {
		t.Errorf("fires compared = %d in %d rounds, want 5 in each: the draw is too sparse", total, rounds)
	}
}

// Around every change of the clock: an expression that fires each minute of some
// hours does so at exactly those instants whose wall time matches and does not
// come again.
func TestNextAcrossClockChanges(t *testing.T) {
	t.Parallel()
	starts := map[string][]time.Time{
		"America/New_York":    {time.Date(2025, 3, 8, 12, 0, 0, 0, time.UTC), time.Date(2025, 11, 1, 12, 0, 0, 0, time.UTC), time.Date(2048, 10, 31, 12, 0, 0, 0, time.UTC)},
		"Europe/Dublin":       {time.Date(2025, 3, 29, 12, 0, 0, 0, time.UTC), time.Date(2025, 10, 25, 12, 0, 0, 0, time.UTC)},
		"Australia/Lord_Howe": {time.Date(2025, 4, 4, 12, 0, 0, 0, time.UTC), time.Date(2025, 10, 3, 12, 0, 0, 0, time.UTC)},
		"Antarctica/Troll":    {time.Date(2025, 3, 29, 12, 0, 0, 0, time.UTC), time.Date(2025, 10, 25, 12, 0, 0, 0, time.UTC)},
		"America/Sao_Paulo":   {time.Date(2018, 11, 3, 12, 0, 0, 0, time.UTC), time.Date(2019, 2, 16, 12, 0, 0, 0, time.UTC)},
		"Africa/Casablanca":   {time.Date(2025, 2, 22, 12, 0, 0, 0, time.UTC), time.Date(2025, 4, 5, 12, 0, 0, 0, time.UTC)},
		"Pacific/Apia":        {time.Date(2011, 12, 28, 12, 0, 0, 0, time.UTC)},
		"Pacific/Kwajalein":   {time.Date(1993, 8, 19, 12, 0, 0, 0, time.UTC)},
		"Asia/Tehran":         {time.Date(2022, 3, 21, 0, 0, 0, 0, time.UTC), time.Date(2022, 9, 21, 0, 0, 0, 0, time.UTC), time.Date(2040, 12, 30, 12, 0, 0, 0, time.UTC)},
		"UTC":                 {time.Date(2040, 12, 30, 12, 0, 0, 0, time.UTC)},
		"GMT-03:30":           {time.Date(2040, 12, 30, 12, 0, 0, 0, time.UTC)},
	}
	r := rand.New(rand.NewPCG(3, 4))
	for name, list := range starts {
		loc, err := cron.Zone(name)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, start := range list {
			for range 6 {
				minutes, isMinute := randomList(r, 0, 59, nil)
				hours, isHour := randomList(r, 0, 23, nil)
				expr := fmt.Sprintf("0 %s %s * * ?", minutes, hours)
				e, err := cron.Parse(expr, loc)
				if err != nil {
					t.Error(err)
					continue
				}
				const span = 60 * time.Hour
				want := wallFires(loc, start, span, isHour, isMinute)
				var got []time.Time
				for at := e.Next(start); at.Before(start.Add(span)); at = e.Next(at) {
					if got = append(got, at); at.IsZero() || len(got) > len(want) {
						break
					}
				}
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%q in %s from %v (-want +got):\n%s", expr, name, start, diff)
				}
			}
		}
	}
}

// wallFires walks through the instants minute by minute, and takes those that
// match and whose wall time none of the following 26 hours shows again.
func wallFires(loc *time.Location, start time.Time, span time.Duration, isHour, isMinute func(int) bool) []time.Time {
	const wallFormat = "2006-01-02 15:04"
	lastShown := make(map[string]time.Time)
	for at := start; at.Before(start.Add(span + 26*time.Hour)); at = at.Add(time.Minute) {
		lastShown[at.In(loc).Format(wallFormat)] = at
	}
	var times []time.Time
	for at := start.Add(time.Minute); at.Before(start.Add(span)); at = at.Add(time.Minute) {
		wall := at.In(loc)
		if isHour(wall.Hour()) && isMinute(wall.Minute()) && lastShown[wall.Format(wallFormat)].Equal(at) {
			times = append(times, at)
		}
	}
	return times
}

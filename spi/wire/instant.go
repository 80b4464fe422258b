package wire

import "time"

// instantForm is how an instant is written: RFC 3339 in UTC with milliseconds.
// Formatting and parsing it here keeps those of package time, with their
// layouts and zones, out of guests.
const instantForm = "2006-01-02T15:04:05.000Z"

const (
	millisPerSecond = 1000
	millisPerDay    = 24 * 60 * 60 * millisPerSecond
)

// appendInstant adds t to the millisecond. Instants before the year 0 and
// after 9999 are written as the nearest of these years.
func appendInstant(b []byte, t time.Time) []byte {
	const (
		first = -719_528 * millisPerDay // 0000-01-01, counted from 1970-01-01
		last  = 2_932_897*millisPerDay - 1
	)
	millis := min(max(t.UnixMilli(), first), last)
	day := millis / millisPerDay
	if millis%millisPerDay < 0 {
		day--
	}
	year, month, dayOfMonth := civil(int(day))
	rest := int(millis - day*millisPerDay)
	b = append(appendDigits(b, year, 4), '-')
	b = append(appendDigits(b, month, 2), '-')
	b = append(appendDigits(b, dayOfMonth, 2), 'T')
	seconds := rest / millisPerSecond
	b = append(appendDigits(b, seconds/3600, 2), ':')
	b = append(appendDigits(b, seconds/60%60, 2), ':')
	b = append(appendDigits(b, seconds%60, 2), '.')
	return append(appendDigits(b, rest%millisPerSecond, 3), 'Z')
}

// maxMillis is the longest duration of a message: 24 days.
const maxMillis = 1<<31 - 1

// appendMillis adds a duration that is above zero, rounded up to milliseconds.
func appendMillis(b []byte, name string, d time.Duration) []byte {
	if d <= 0 {
		return b
	}
	return appendInt(b, name, min(int64((d-1)/time.Millisecond)+1, maxMillis))
}

// millis reads what appendMillis writes.
//
//go:noinline
func millis(into *time.Duration) func(raw) *mismatch {
	return func(value raw) *mismatch {
		var n int64
		bad := integer(&n, 0, maxMillis)(value)
		*into = time.Duration(n) * time.Millisecond
		return bad
	}
}

// parseInstant reads what appendInstant writes.
func parseInstant(text string) (t time.Time, ok bool) {
	if len(text) != len(instantForm) {
		return time.Time{}, false
	}
	day := dayNumber(digits(text[0:4]), digits(text[5:7]), digits(text[8:10]))
	seconds := (digits(text[11:13])*60+digits(text[14:16]))*60 + digits(text[17:19])
	millis := int64(day)*millisPerDay + int64(seconds)*millisPerSecond + int64(digits(text[20:23]))
	t = time.UnixMilli(millis).UTC()
	// Only what is written back equally was well formed and a real date.
	return t, string(appendInstant(nil, t)) == text
}

func appendDigits(b []byte, n, width int) []byte {
	for place := len(b) + width - 1; len(b) <= place; {
		b = append(b, '0')
	}
	for i := len(b) - 1; n > 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

func digits(text string) int {
	n := 0
	for i := range len(text) {
		n = n*10 + int(text[i]) - '0'
	}
	return n
}

// The two conversions below count years from March, so that the leap day is
// the last of its year, and days in eras of 400 years; the method is
// described in Howard Hinnant's "chrono-Compatible Low-Level Date
// Algorithms". They hold for years from 0 on.
const (
	daysPerEra     = 146_097
	daysPerCentury = 36_524
	daysPer4Years  = 1_460
	daysPerYear    = 365
	epochShift     = 719_468 // days from 0000-03-01 to 1970-01-01
)

// civil returns the date of a day counted from 1970-01-01.
func civil(day int) (year, month, dayOfMonth int) {
	// One era is added and taken away, for the two months before 0000-03-01.
	day += epochShift + daysPerEra
	era := day / daysPerEra
	dayOfEra := day % daysPerEra
	yearOfEra := (dayOfEra - dayOfEra/daysPer4Years + dayOfEra/daysPerCentury - dayOfEra/(daysPerEra-1)) / daysPerYear
	dayOfYear := dayOfEra - (daysPerYear*yearOfEra + yearOfEra/4 - yearOfEra/100)
	monthFromMarch := (5*dayOfYear + 2) / 153
	dayOfMonth = dayOfYear - (153*monthFromMarch+2)/5 + 1
	year = yearOfEra + (era-1)*400
	month = monthFromMarch + 3
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, dayOfMonth
}

// dayNumber returns the day of a date, counted from 1970-01-01.
func dayNumber(year, month, dayOfMonth int) int {
	month -= 3
	if month < 0 {
		month += 12
		year--
	}
	year += 400
	dayOfYear := (153*month+2)/5 + dayOfMonth - 1
	yearOfEra := year % 400
	return (year/400-1)*daysPerEra + yearOfEra*daysPerYear + yearOfEra/4 - yearOfEra/100 + dayOfYear - epochShift
}

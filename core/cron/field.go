package cron

import (
	"math"
	"strings"
)

// The years an expression can fire in. The last one keeps every search bounded
// and leaves the documented range of Quartz (to 2099) well inside.
const (
	firstYear = 1970
	lastYear  = 2299
)

// A field is one of the seven fields of an expression, in order.
type field uint8

const (
	seconds field = iota
	minutes
	hours
	dayOfMonth
	month
	dayOfWeek
	year
	fieldCount
)

const (
	monthNames   = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"
	weekdayNames = "SUNMONTUEWEDTHUFRISAT"
	nameLength   = 3
)

// String returns the name of the field as messages use it.
func (f field) String() string {
	switch f {
	case seconds:
		return "seconds"
	case minutes:
		return "minutes"
	case hours:
		return "hours"
	case dayOfMonth:
		return "day-of-month"
	case month:
		return "month"
	case dayOfWeek:
		return "day-of-week"
	case year:
		return "year"
	default:
		return ""
	}
}

// bounds returns the least and the greatest value of the field.
func (f field) bounds() (low, high int) {
	switch f {
	case hours:
		return 0, 23
	case dayOfMonth:
		return 1, 31
	case month:
		return 1, 12
	case dayOfWeek:
		return 1, 7
	case year:
		return firstYear, lastYear
	default:
		return 0, 59
	}
}

// maxStep returns the greatest step of the field. Quartz puts no limit on the
// step of a year.
func (f field) maxStep() int {
	if f == year {
		return math.MaxInt32
	}
	_, high := f.bounds()
	return high
}

// allowed describes what the field takes.
func (f field) allowed() string {
	switch f {
	case seconds, minutes:
		return "0-59 and , - * /"
	case hours:
		return "0-23 and , - * /"
	case dayOfMonth:
		return "1-31 and , - * / ? L L-n LW L-nW nW"
	case month:
		return "1-12 or JAN-DEC and , - * /"
	case dayOfWeek:
		return "1-7 (1 is SUN) or SUN-SAT and , - * / ? L nL n#k"
	case year:
		return "1970-2299 and , - * /"
	default:
		return ""
	}
}

// number returns the value of an upper-case name of the field.
func (f field) number(name string) (int, bool) {
	var names string
	switch f {
	case month:
		names = monthNames
	case dayOfWeek:
		names = weekdayNames
	default:
		return 0, false
	}
	if len(name) != nameLength {
		return 0, false
	}
	for i := 0; i < len(names); i += nameLength {
		if strings.HasPrefix(names[i:], name) {
			return i/nameLength + 1, true
		}
	}
	return 0, false
}

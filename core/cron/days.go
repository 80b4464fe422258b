package cron

import (
	"math/bits"
	"time"
)

// days says which days of a month an expression takes: days of the month if
// weekdays is empty, else days of the week.
type days struct {
	plain       uint32 // bit n: the day n
	nearest     uint32 // bit n: the weekday nearest to the day n (nW)
	last        uint32 // bit n: n days before the last day (L, L-n)
	lastNearest uint32 // bit n: the weekday nearest to that day (LW, L-nW)

	weekdays uint8 // bit n: the time.Weekday n
	nth      uint8 // 0: each such weekday; 1 to 5: the n-th; lastWeekday: the last
}

// lastWeekday as days.nth stands for nL.
const lastWeekday = 6

// of returns the days of the month as a set; bit n stands for the day n.
func (d *days) of(year int, month time.Month) uint32 {
	length := monthLength(year, month)
	all := uint32(uint64(1)<<(length+1) - 2)
	if d.weekdays == 0 && d.nearest|d.last|d.lastNearest == 0 {
		return d.plain & all
	}
	first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).Weekday()
	if d.weekdays != 0 {
		return d.byWeekday(first, length) & all
	}
	set := d.plain
	for rest := d.nearest & all; rest != 0; rest &= rest - 1 {
		set |= 1 << nearestWeekday(bits.TrailingZeros32(rest), first, length)
	}
	for rest := d.last; rest != 0; rest &= rest - 1 {
		if day := length - bits.TrailingZeros32(rest); day > 0 {
			set |= 1 << day
		}
	}
	for rest := d.lastNearest; rest != 0; rest &= rest - 1 {
		if day := length - bits.TrailingZeros32(rest); day > 0 {
			set |= 1 << nearestWeekday(day, first, length)
		}
	}
	return set & all
}

// byWeekday returns the days of a month that begins on the weekday first. The
// set may hold days past the end of the month.
func (d *days) byWeekday(first time.Weekday, length int) uint32 {
	// The week from day 1 on, repeated five times.
	week := (uint64(d.weekdays)>>first | uint64(d.weekdays)<<(7-first)) & (1<<7 - 1)
	set := uint32(week * (1 | 1<<7 | 1<<14 | 1<<21 | 1<<28) << 1)
	const sevenDays = 1<<7 - 1
	switch d.nth {
	case 0:
		return set
	case lastWeekday:
		return set & (sevenDays << (length - 6))
	default:
		return set & uint32(uint64(sevenDays)<<(7*(d.nth-1)+1))
	}
}

// nearestWeekday returns the day from Monday to Friday nearest to the given day
// without leaving the month.
func nearestWeekday(day int, first time.Weekday, length int) int {
	switch (first + time.Weekday(day-1)) % 7 {
	case time.Saturday:
		if day == 1 {
			return day + 2
		}
		return day - 1
	case time.Sunday:
		if day == length {
			return day - 2
		}
		return day + 1
	default:
		return day
	}
}

func monthLength(year int, month time.Month) int {
	switch month {
	case time.April, time.June, time.September, time.November:
		return 30
	case time.February:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	default:
		return 31
	}
}

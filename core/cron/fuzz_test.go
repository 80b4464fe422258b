package cron

import (
	"errors"
	"testing"
	"time"
	_ "time/tzdata"
	"unicode/utf8"
)

func FuzzParse(f *testing.F) {
	for _, expr := range []string{
		"0 0 12 * * ?", "0/5 * 9-17 ? JAN-MAR,SEP MON-FRI 2026/2", "0 0 0 L-3W,15W,31 * ?",
		"0 15 10 ? * 6#3", "30 45 2 ? * frıL", "0 0 22-2/2 ? NOV-FEB FRI-MON", "0 0 0 30 2 ?",
		"*/15 * * * *", "@hourly", "1,,2 0 12 * * ?", "0 0 0 1 1 ? 203,2500", "\xff 0 0 1 1 ?",
	} {
		f.Add(expr, int64(1_762_063_200), uint8(1))
	}
	locs := make([]*time.Location, 0, 4)
	for _, name := range []string{"UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"} {
		loc, err := Zone(name)
		if err != nil {
			f.Fatal(err)
		}
		locs = append(locs, loc)
	}
	f.Fuzz(func(t *testing.T, expr string, start int64, zone uint8) {
		loc := locs[int(zone)%len(locs)]
		e, err := Parse(expr, loc)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("Parse(%q) = error %T, want a SyntaxError", expr, err)
			}
			if most := utf8.RuneCountInString(expr) + 1; syntax.Column < 1 || syntax.Column > most {
				t.Errorf("Parse(%q) = error in column %d, want 1 to %d", expr, syntax.Column, most)
			}
			return
		}
		if again, err := Parse(e.String(), loc); err != nil || *again != *e {
			t.Errorf("Parse(%q).String() parses to %+v, %v, want %+v", expr, again, err, e)
		}
		for _, from := range []int64{start, 0, 951_782_399, lastWall - secondsPerDay} {
			at := time.Unix(from, 0)
			for range 5 {
				next := e.Next(at)
				if next.IsZero() {
					break
				}
				if !next.After(at) {
					t.Fatalf("%q: Next(%v) = %v, want a later instant", expr, at, next)
				}
				if next.Year() < firstYear || next.Year() > lastYear {
					t.Errorf("%q: Next(%v) = %v, want a year within %d-%d", expr, at, next, firstYear, lastYear)
				}
				if !e.matches(next) {
					t.Errorf("%q: Next(%v) = %v, want an instant that matches the fields", expr, at, next)
				}
				at = next
			}
		}
	})
}

// matches says whether the wall clock at an instant fits every field.
func (e *Expression) matches(at time.Time) bool {
	n := at.Year() - firstYear
	return e.seconds>>at.Second()&1 == 1 && e.minutes>>at.Minute()&1 == 1 && e.hours>>at.Hour()&1 == 1 &&
		e.months>>at.Month()&1 == 1 && e.years[n/64]>>(n%64)&1 == 1 &&
		e.days.of(at.Year(), at.Month())>>at.Day()&1 == 1
}

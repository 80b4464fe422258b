package cron_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/cron"
)

func TestParseErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		expr    string
		field   string
		column  int
		message string // a part of it
	}{
		{"", "", 1, "empty"},
		{" \t", "", 3, "empty"},
		{"0 12 * * ?", "", 11, "add a seconds field in front"},
		{"*/5 * * * *", "", 12, "5 as in Unix cron"},
		{"0 0 12 ?", "", 9, "this has 4"},
		{"@hourly", "", 1, "every hour is"},
		{" @every 5m", "", 2, "names with @"},
		{"0 0 12 * * ? 2026 *", "", 19, "not more"},
		{"0 0 12\n* * ?", "hours", 7, "separated by spaces or tabs"},
		{"0 0 12 * * ?\n", "day-of-week", 13, "separated by spaces or tabs"},
		{"0 0 12 * ü ?", "month", 10, "JAN-DEC"},
		{"ü 0 12 X * ?", "seconds", 1, "not allowed"},
		{"60 0 12 * * ?", "seconds", 1, "60 is out of range; allowed are 0-59"},
		{"0 0-60 12 * * ?", "minutes", 5, "60 is out of range"},
		{"0 0 99 * * ?", "hours", 5, "0-23"},
		{"0 0 12 0 * ?", "day-of-month", 8, "0 is out of range"},
		{"0 0 12 0W * ?", "day-of-month", 8, "0 is out of range"},
		{"0 0 12 32W * ?", "day-of-month", 8, "32 is out of range"},
		{"0 0 12 1 13 ?", "month", 10, "13 is out of range"},
		{"0 0 12 ? * 0-6", "day-of-week", 12, "1 is SUN"},
		{"0 0 12 1 1 ? 99", "year", 14, "99 is no year"},
		{"0 0 12 ? * MONDAY", "day-of-week", 12, `"MONDAY" is not a value`},
		{"0 0 12 1 JANFEB ?", "month", 10, `"JANFEB" is not a value`},
		{"0 0 12 MON * ?", "day-of-month", 8, `"MON" is not a value`},
		{"0 0 12 ? * FR", "day-of-week", 12, `"FR" is not a value`},
		{"0 0 12 ? * UNM", "day-of-week", 12, `"UNM" is not a value`},
		{"0 0 12 ? * MON-6", "day-of-week", 16, "two numbers or two names"},
		{"0 0 12 ? * 2-FRI", "day-of-week", 14, "two numbers or two names"},
		{"0 0 12 1 JAN/3 ?", "month", 13, "no step after a name"},
		{"0 0 12 1 JAN-MAR/2 ?", "month", 17, "no step after a name"},
		{"1,,2 0 12 * * ?", "seconds", 3, "missing beside the comma"},
		{"1, 0 12 * * ?", "seconds", 3, "missing beside the comma"},
		{",1 0 12 * * ?", "seconds", 1, "missing beside the comma"},
		{"1- 0 12 * * ?", "seconds", 3, "a number is missing after '-'"},
		{"-1 0 12 * * ?", "seconds", 1, "unexpected '-'"},
		{"1-2-3 0 12 * * ?", "seconds", 4, "unexpected '-'"},
		{"0/5/5 0 12 * * ?", "seconds", 4, "unexpected '/'"},
		{"*6 0 12 * * ?", "seconds", 2, "unexpected '6'"},
		{"0 0 12 15WL * ?", "day-of-month", 11, "unexpected 'L'"},
		{"0 0 12 15#2 * ?", "day-of-month", 10, "unexpected '#'"},
		{"0 0 12 15L * ?", "day-of-month", 10, "unexpected 'L'"},
		{"0 0 12 1-5W * ?", "day-of-month", 11, "unexpected 'W'"},
		{"0 0 12 L- * ?", "day-of-month", 10, "a number is missing after '-'"},
		{"0 0 12 L-W * ?", "day-of-month", 10, "unexpected 'W'"},
		{"0 0 12 L-31 * ?", "day-of-month", 10, "at most 30 days"},
		{"0 0 12 LW-1 * ?", "day-of-month", 10, "unexpected '-'"},
		{"0 0 L * * ?", "hours", 5, `"L" is not a value`},
		{"0 0 12 1 L ?", "month", 10, `"L" is not a value`},
		{"*/0 0 12 * * ?", "seconds", 3, "the step 0 is not within 1-59"},
		{"0-30/99 0 12 * * ?", "seconds", 6, "the step 99 is not within 1-59"},
		{"0 0 /24 * * ?", "hours", 6, "not within 1-23"},
		{"0 0 12 1/ * ?", "day-of-month", 10, "a number is missing after '/'"},
		{"0 0 12 1/32 * ?", "day-of-month", 10, "not within 1-31"},
		{"0 0 12 1 */13 ?", "month", 12, "not within 1-12"},
		{"0 0 12 ? * */8", "day-of-week", 14, "not within 1-7"},
		{"0 0 12 99999999999999999999 * ?", "day-of-month", 8, "too large"},
		{"0 0 12 ? * 6#0", "day-of-week", 14, "1 to 5, not 0"},
		{"0 0 12 ? * 6#6", "day-of-week", 14, "1 to 5, not 6"},
		{"0 0 12 ? * 6#", "day-of-week", 14, "a number is missing after '#'"},
		{"0 0 12 ? * 8#1", "day-of-week", 12, "8 is out of range"},
		{"0 0 12 ? * 3#1,6#3", "day-of-week", 13, "n#k cannot be part of a list"},
		{"0 0 12 ? * 2,6L", "day-of-week", 15, "nL cannot be part of a list"},
		{"0 0 12 ? * L,2", "day-of-week", 12, "L cannot be part of a list"},
		{"0 0 12 ? * 2-6L", "day-of-week", 15, "unexpected 'L'"},
		{"0 0 12 ? * 2-6#1", "day-of-week", 15, "unexpected '#'"},
		{"0 0 12 ? * LW", "day-of-week", 13, "unexpected 'W'"},
		{"0 0 12 ?,1 * MON", "day-of-month", 8, "? stands alone"},
		{"0 0 12 ?6 * MON", "day-of-month", 8, "? stands alone"},
		{"0 0 ? * * ?", "hours", 5, "? is for day-of-month and day-of-week only"},
		{"0 0 12 1 1 ? ?", "year", 14, "? is for"},
		{"* * * * * *", "day-of-week", 11, "both given; put ? in one"},
		{"0 0 12 ? * ?", "day-of-week", 12, "one of the two day fields only"},
		{"0 0 12 1 1 ? 2030-2026", "year", 14, "cannot run backwards"},
		{"0 0 12 1 1 ? 2300/2", "year", 14, "after 2299"},
		{"0 0 12 1 1 ? 2026/0", "year", 19, "the step 0"},
	}
	for _, test := range tests {
		e, err := cron.Parse(test.expr, time.UTC)
		var syntax *cron.SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("Parse(%q) = %v, %v, want a SyntaxError", test.expr, e, err)
			continue
		}
		if syntax.Expr != test.expr || syntax.Field != test.field || syntax.Column != test.column {
			t.Errorf("Parse(%q) = error at %q column %d of %q, want %q column %d",
				test.expr, syntax.Field, syntax.Column, syntax.Expr, test.field, test.column)
		}
		if !strings.Contains(syntax.Message, test.message) {
			t.Errorf("Parse(%q) = message %q, want it to contain %q", test.expr, syntax.Message, test.message)
		}
	}
}

func TestSyntaxErrorText(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"0 0 24 * * ?": `cron expression "0 0 24 * * ?", column 5 (hours): 24 is out of range; allowed are 0-23 and , - * /`,
		"0 0 24":       `cron expression "0 0 24", column 7: an expression has 6 or 7 fields, this has 3: seconds minutes hours day-of-month month day-of-week [year]`,
	}
	for expr, want := range tests {
		_, err := cron.Parse(expr, time.UTC)
		if err == nil || err.Error() != want {
			t.Errorf("Parse(%q) = error %v, want %s", expr, err, want)
		}
	}
}

// Spellings of one expression fire at the same instants.
func TestParseSpellings(t *testing.T) {
	t.Parallel()
	tests := [][]string{
		{"0 0 12 * * ?", " 0\t0  12 * * ? ", "00 000 12 * * ? *", "0 0 12 ? * *", "0 0 12 */1 * ?", "0 0 12 1-31 1-12 ? 1970-2299"},
		{"0 0 12 ? * MON", "0 0 12 ? * mon", "0 0 12 ? * 2", "0 0 12 ? * 2-2"},
		{"0 0 12 ? * FRI-MON", "0 0 12 ? * 6-2", "0 0 12 ? * 1,2,6,7", "0 0 12 ? * frı-mon"},
		{"0 0 12 ? * L", "0 0 12 ? * SAT", "0 0 12 ? * 7"},
		{"0 0 12 ? * friL", "0 0 12 ? * 6L"},
		{"0 0 12 ? * thu#2", "0 0 12 ? * 5#2"},
		{"0 0 12 l * ?", "0 0 12 L * ?", "0 0 12 L-0 * ?"},
		{"0 0 12 lw,1w * ?", "0 0 12 1W,LW * ?", "0 0 12 L-0W,1W * ?"},
		{"0 0 12 1 NOV-FEB ?", "0 0 12 1 11-2 ?", "0 0 12 1 1,2,11,12 ?"},
		{"0 0 22-2/2 * * ?", "0 0 0,2,22 * * ?"},
		{"0 0 12 1 1 ? 1960/20", "0 0 12 1 1 ? 1980,2000,2020/20"},
		{"0 0 12 1 1 ? 203,2040,2500", "0 0 12 1 1 ? 2040"},
		{"0 0 12 1 1 ? 3-1990,2290-9000", "0 0 12 1 1 ? 1970-1990,2290-2299"},
	}
	for _, spellings := range tests {
		var want []time.Time
		for i, expr := range spellings {
			e, err := cron.Parse(expr, time.UTC)
			if err != nil {
				t.Error(err)
				continue
			}
			if e.String() != expr {
				t.Errorf("Parse(%q).String() = %q, want the source", expr, e.String())
			}
			got := fires(e, time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC), 40)
			if i == 0 {
				want = got
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q differs from %q (-want +got):\n%s", expr, spellings[0], diff)
			}
		}
	}
}

func TestParseWithoutLocationMeansUTC(t *testing.T) {
	t.Parallel()
	e, err := cron.Parse("0 0 12 * * ?", nil)
	if err != nil {
		t.Fatal(err)
	}
	got, want := e.Next(time.Unix(0, 0)), time.Date(1970, 1, 1, 12, 0, 0, 0, time.UTC)
	if !got.Equal(want) || got.Location() != time.UTC {
		t.Errorf("Next(epoch) = %v, want %v", got, want)
	}
}

func TestExtremeStarts(t *testing.T) {
	t.Parallel()
	e, err := cron.Parse("* * * * * ?", time.FixedZone("far", -23*3600))
	if err != nil {
		t.Fatal(err)
	}
	first := time.Date(1970, 1, 1, 0, 0, 0, 0, time.FixedZone("far", -23*3600))
	for _, start := range []time.Time{{}, time.Unix(math.MinInt64/2, 0), first.Add(-time.Second)} {
		if got := e.Next(start); !got.Equal(first) {
			t.Errorf("Next(%v) = %v, want %v", start, got, first)
		}
	}
	last := time.Date(2299, 12, 31, 23, 59, 59, 0, time.FixedZone("far", -23*3600))
	if got := e.Next(last.Add(-1)); !got.Equal(last) {
		t.Errorf("Next(%v) = %v, want %v", last.Add(-1), got, last)
	}
	for _, start := range []time.Time{last, last.Add(time.Hour), time.Unix(math.MaxInt64, 0), time.Unix(math.MaxInt64/2, 0)} {
		if got := e.Next(start); !got.IsZero() {
			t.Errorf("Next(%v) = %v, want the zero time", start, got)
		}
	}
}

// fires returns the first n instants after start, fewer when it ends.
func fires(s interface{ Next(time.Time) time.Time }, start time.Time, n int) []time.Time {
	var times []time.Time
	for at := s.Next(start); !at.IsZero() && len(times) < n; at = s.Next(at) {
		times = append(times, at)
	}
	return times
}

package cron_test

import (
	"testing"
	"time"
	"unsafe"

	"github.com/elasticjob-go/elasticjob/core/cron"
)

func mustParse(tb testing.TB, expr, zone string) *cron.Expression {
	tb.Helper()
	loc, err := cron.Zone(zone)
	if err != nil {
		tb.Fatal(err)
	}
	e, err := cron.Parse(expr, loc)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func TestNextThatNeverComes(t *testing.T) {
	t.Parallel()
	for _, expr := range []string{
		"0 0 0 30 2 ?",
		"0 0 0 31 2,4,6,9,11 ?",
		"0 0 0 31W 4 ?",
		"0 0 0 L-30 2 ?",
		"0 0 0 L-29W 2 ?",
		"0 0 0 29 2 ? 2025/4",
		"0 0 0 ? 2 2#5 2025-2043",
		"0 0 0 1 1 ? 2500",
		"0 0 0 1 1 ? 1",
		"* * * * * ? 2024",
		"0 30 2 ? 3 1#2 2007/400", // the clock jumps over it
	} {
		e := mustParse(t, expr, "America/New_York")
		if got := e.Next(time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)); !got.IsZero() {
			t.Errorf("Next of %q = %v, want the zero time", expr, got)
		}
	}
}

// A wall time that is jumped over each year has to be tried year by year.
func TestNextThatIsAlwaysJumpedOver(t *testing.T) {
	t.Parallel()
	e := mustParse(t, "0 30 2 ? 3 1#2", "America/New_York")
	if got := e.Next(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)); !got.IsZero() {
		t.Errorf("Next of %q = %v, want the zero time", e, got)
	}
}

func TestNextOfTheZeroExpression(t *testing.T) {
	t.Parallel()
	if got := new(cron.Expression).Next(time.Now()); !got.IsZero() {
		t.Errorf("Next of the zero Expression = %v, want the zero time", got)
	}
}

// Not parallel: AllocsPerRun counts those of the whole process.
func TestNextAllocatesNothing(t *testing.T) {
	for _, expr := range []string{
		"* * * * * ?", "0 0/5 14,18 * * ?", "0 0 0 L-3W * ?", "0 0 0 ? * 6#3", "0 0 0 30 2 ?", "0 30 2 ? 3 1#2",
	} {
		for _, zone := range []string{"UTC", "GMT+05:30", "America/New_York", "Asia/Shanghai"} {
			e := mustParse(t, expr, zone)
			at := time.Date(2026, 3, 7, 23, 0, 0, 0, time.UTC)
			if got := testing.AllocsPerRun(20, func() { e.Next(at) }); got != 0 {
				t.Errorf("allocations of Next of %q in %s = %v, want 0", expr, zone, got)
			}
		}
	}
}

func TestExpressionIsSmall(t *testing.T) {
	t.Parallel()
	if got, want := unsafe.Sizeof(cron.Expression{}), uintptr(128); got > want {
		t.Errorf("size of an Expression = %d bytes, want at most %d", got, want)
	}
}

func BenchmarkNext(b *testing.B) {
	for _, bench := range []struct{ name, expr, zone string }{
		{"every second in UTC", "* * * * * ?", "UTC"},
		{"every second in Shanghai", "* * * * * ?", "Asia/Shanghai"},
		{"workdays in New York", "0 0/30 9-17 ? * MON-FRI", "America/New_York"},
		{"last weekday of the month", "0 0 12 LW * ?", "America/New_York"},
		{"29 February", "0 0 0 29 2 ?", "UTC"},
		{"never", "0 0 0 30 2 ?", "UTC"},
		{"always jumped over", "0 30 2 ? 3 1#2", "America/New_York"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			e := mustParse(b, bench.expr, bench.zone)
			start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			at := start
			b.ReportAllocs()
			for b.Loop() {
				if at = e.Next(at); at.IsZero() {
					at = start
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, expr := range []string{"0/5 * * * * ?", "0 15,45 9-17 ? JAN-MAR,SEP MON-FRI 2026-2030"} {
		b.Run(expr, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cron.Parse(expr, time.UTC); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

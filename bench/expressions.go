package main

import (
	"context"
	"runtime"
	"time"

	robfig "github.com/robfig/cron/v3"

	"github.com/elasticjob-go/elasticjob/core/cron"
)

// measureCron measures parsing and evaluating expressions that both dialects
// have.
func measureCron(_ context.Context, s *settings) ([]result, error) {
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		return nil, err
	}
	if err := s.hot(); err != nil {
		return nil, err
	}
	var results []result
	for _, e := range []struct {
		row, expression string
		zone            *time.Location
	}{
		{"every second, UTC", "* * * * * ?", time.UTC},
		{"workdays, New York", "0 0/30 9-17 ? * MON-FRI", newYork},
		{"29 February, UTC", "0 0 0 29 2 ?", time.UTC},
	} {
		parser := robfigParser()
		for _, p := range []struct {
			who   string
			parse func() (robfig.Schedule, error)
		}{
			{whoOurs, func() (robfig.Schedule, error) { return cron.Parse(e.expression, e.zone) }},
			{whoRobfig, func() (robfig.Schedule, error) { return parser.Parse(e.expression) }},
		} {
			values, err := measureExpression(p.parse, e.zone)
			if err != nil {
				return nil, err
			}
			results = append(results, result{Group: "cron", Row: e.row, Who: p.who, Values: values})
		}
	}
	return results, nil
}

func measureExpression(parse func() (robfig.Schedule, error), zone *time.Location) ([]value, error) {
	s, err := parse()
	if err != nil {
		return nil, err
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, zone)
	at := start
	next, nextAllocs := repeat(func() {
		if at = s.Next(at); at.IsZero() || at.Year() > 2100 {
			at = start
		}
	})
	parsing, parseAllocs := repeat(func() {
		// It was parsed before without an error.
		_, _ = parse()
	})
	return []value{
		known("next", "ns", next),
		known("next", "allocs", nextAllocs),
		known("parse", "ns", parsing),
		known("parse", "allocs", parseAllocs),
	}, nil
}

// repeating is how long an operation is repeated.
const repeating = 300 * time.Millisecond

// repeat runs f for a while and returns nanoseconds and allocations of one run.
func repeat(f func()) (nanoseconds, allocations float64) {
	const round = 100 // runs between two looks at the clock
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin, runs := time.Now(), 0
	for time.Since(begin) < repeating {
		for range round {
			f()
		}
		runs += round
	}
	took := time.Since(begin)
	runtime.ReadMemStats(&after)
	return float64(took.Nanoseconds()) / float64(runs), float64((after.Mallocs - before.Mallocs) / uint64(runs))
}

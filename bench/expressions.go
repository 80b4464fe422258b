package main

import (
	"context"
	"flag"
	"testing"
	"time"

	robfig "github.com/robfig/cron/v3"

	"github.com/elasticjob-go/elasticjob/core/cron"
)

// measureCron measures parsing and evaluating expressions that both dialects
// have.
func measureCron(_ context.Context, s *settings) ([]result, error) {
	if err := s.hot(); err != nil {
		return nil, err
	}
	// A second for each of twelve benchmarks would be a minute with their ramps.
	testing.Init()
	if err := flag.Set("test.benchtime", "300ms"); err != nil {
		return nil, err
	}
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
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
	next := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			// Years without an end would leave the range of the zone's rules.
			if at = s.Next(at); at.IsZero() || at.Year() > 2100 {
				at = start
			}
		}
	})
	parsing := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parse(); err != nil {
				b.Fatal(err)
			}
		}
	})
	return []value{
		{"next", "ns", perOperation(next)},
		{"next", "allocs", float64(next.AllocsPerOp())},
		{"parse", "ns", perOperation(parsing)},
		{"parse", "allocs", float64(parsing.AllocsPerOp())},
	}, nil
}

func perOperation(r testing.BenchmarkResult) float64 {
	return float64(r.T.Nanoseconds()) / float64(r.N)
}

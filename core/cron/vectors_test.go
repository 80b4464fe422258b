package cron_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/cron"
)

// A vector is one line of testdata/cron.jsonl: what org.quartz.CronExpression
// answered. Tiers: core and dst bind; lenient and broken is what Quartz accepts
// by accident; version is where its releases 2.3.2 and 2.5.2 differ; env is
// what depends on the day of the call.
type vector struct {
	ID    string `json:"id"`
	Expr  string `json:"expr"`
	Zone  string `json:"tz"`
	Start int64  `json:"start"` // epoch milliseconds, exclusive
	N     int    `json:"n"`
	Tier  string `json:"tier"`
	Must  bool   `json:"must"`

	Expect      outcome            `json:"expect"`
	ByVersion   map[string]outcome `json:"by_version"`
	SpecVersion string             `json:"spec_agrees"`
}

type outcome struct {
	Status string  `json:"status"`
	Times  []int64 `json:"times"`
}

func readVectors(t *testing.T) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/cron.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatalf("reading %s: %v", lines.Text(), err)
		}
		vectors = append(vectors, v)
	}
	return vectors
}

// run returns what this package makes of a vector.
func run(t *testing.T, v vector) outcome {
	t.Helper()
	loc, err := cron.Zone(v.Zone)
	if err != nil {
		t.Fatal(err)
	}
	e, err := cron.Parse(v.Expr, loc)
	if err != nil {
		return outcome{Status: "parse_error", Times: []int64{}}
	}
	got := outcome{Status: "fires", Times: []int64{}}
	for at := time.UnixMilli(v.Start); len(got.Times) < v.N; {
		if at = e.Next(at); at.IsZero() {
			got.Status = "exhausted"
			break
		}
		got.Times = append(got.Times, at.UnixMilli())
	}
	return got
}

func TestVectorsThatBind(t *testing.T) {
	t.Parallel()
	count := 0
	for _, v := range readVectors(t) {
		if !v.Must {
			continue
		}
		count++
		if v.Expect.Times == nil {
			v.Expect.Times = []int64{}
		}
		if diff := cmp.Diff(v.Expect, run(t, v)); diff != "" {
			t.Errorf("%s: %q in %s from %d (-want +got):\n%s", v.ID, v.Expr, v.Zone, v.Start, diff)
		}
	}
	if want := 971; count != want {
		t.Errorf("vectors = %d, want %d", count, want)
	}
}

// Where the releases of Quartz differ we go with the one that does what the
// documentation says.
func TestVectorsOfVersions(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t) {
		want, ok := v.ByVersion[v.SpecVersion]
		if !ok {
			continue
		}
		if diff := cmp.Diff(want, run(t, v)); diff != "" {
			t.Errorf("%s: %q in %s from %d (-want +got):\n%s", v.ID, v.Expr, v.Zone, v.Start, diff)
		}
	}
}

func TestVectorsOfAccidents(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t) {
		if v.Tier != "lenient" && v.Tier != "broken" {
			continue
		}
		if got := run(t, v); got.Status != "parse_error" {
			t.Errorf("%s: Parse(%q) = %s, want an error", v.ID, v.Expr, got.Status)
		}
	}
}

// Our last year is later than the one of Quartz, which moves with the calendar.
func TestVectorsOfTheYearLimit(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t) {
		if v.Tier != "env" {
			continue
		}
		got := run(t, v)
		if len(got.Times) < len(v.Expect.Times) {
			t.Errorf("%s: %q fires %d times, want at least %d", v.ID, v.Expr, len(got.Times), len(v.Expect.Times))
			continue
		}
		if diff := cmp.Diff(v.Expect.Times, got.Times[:len(v.Expect.Times)]); diff != "" {
			t.Errorf("%s: %q in %s from %d (-want +got):\n%s", v.ID, v.Expr, v.Zone, v.Start, diff)
		}
	}
}

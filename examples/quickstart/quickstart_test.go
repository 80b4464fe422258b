// Package quickstart_test checks that the items of the quickstart's jobs add
// up to the whole data.
package quickstart_test

import (
	"bytes"
	"encoding/csv"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/examples/quickstart/routes"
)

func TestItemsAddUpToTheWhole(t *testing.T) {
	t.Parallel()
	want := whole(t)
	if want.Routes < 5000 {
		t.Fatalf("the data has %d records, want at least 5000", want.Routes)
	}
	config, err := os.ReadFile("elasticjob.yaml")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`shardingItemParameters: (.*)`).FindAllStringSubmatch(string(config), -1)
	if len(lines) != 2 {
		t.Fatalf("elasticjob.yaml has %d lines of item parameters, want 2", len(lines))
	}
	jobs := []struct {
		name string
		sum  func(part string) (routes.Total, error)
	}{
		{"departures", func(part string) (routes.Total, error) { return routes.Departures(part, 1) }},
		{"arrivals", routes.Arrivals},
	}
	for i, job := range jobs {
		var got routes.Total
		for parameter := range strings.SplitSeq(lines[i][1], ",") {
			_, part, _ := strings.Cut(parameter, "=")
			total, err := job.sum(part)
			if err != nil {
				t.Fatalf("%s(%q): %v", job.name, part, err)
			}
			if total.Routes == 0 {
				t.Errorf("%s(%q) has no routes, want some for every item", job.name, part)
			}
			got.Routes += total.Routes
			got.Flights += total.Flights
		}
		if got != want {
			t.Errorf("items of %s add up to %+v, want %+v", job.name, got, want)
		}
	}
}

func TestTheREADMEShowsTheSums(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for item, part := range []string{"A-C", "D-I", "J-N", "O-Z"} {
		departures, err := routes.Departures(part, 1)
		if err != nil {
			t.Fatal(err)
		}
		arrivals, err := routes.Arrivals(part)
		if err != nil {
			t.Fatal(err)
		}
		row := "| " + strings.Join([]string{strconv.Itoa(item), part, grouped(departures.Flights), grouped(arrivals.Flights)}, " | ") + " |"
		if !strings.Contains(string(readme), row) {
			t.Errorf("README.md does not hold the row %s", row)
		}
	}
}

// grouped writes a number with a comma before each three digits.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// whole sums up the data file by other means than the jobs do.
func whole(t *testing.T) routes.Total {
	t.Helper()
	file, err := os.ReadFile("routes/flights-airport.csv")
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var total routes.Total
	for _, record := range records[1:] {
		flights, err := strconv.Atoi(record[2])
		if err != nil {
			t.Fatal(err)
		}
		total.Routes++
		total.Flights += flights
	}
	return total
}

func TestLeastLeavesRoutesOut(t *testing.T) {
	t.Parallel()
	all, err := routes.Departures("A-Z", 1)
	if err != nil {
		t.Fatal(err)
	}
	some, err := routes.Departures("A-Z", 1000)
	if err != nil {
		t.Fatal(err)
	}
	if some.Routes == 0 || some.Routes >= all.Routes || some.Flights < 1000*some.Routes {
		t.Errorf("Departures(A-Z, 1000) = %+v of %+v, want fewer routes with at least 1000 flights each", some, all)
	}
}

func TestAWrongPartIsAnError(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"", "A", "A-", "C-A", "A..C"} {
		if _, err := routes.Departures(part, 1); err == nil || !strings.Contains(err.Error(), "shardingItemParameters") {
			t.Errorf("Departures(%q) fails with %v, want an error that names shardingItemParameters", part, err)
		}
		if _, err := routes.Arrivals(part); err == nil {
			t.Errorf("Arrivals(%q) succeeds, want an error", part)
		}
	}
}

package job_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/job"
)

// after is a job that depends on others.
func after(name string, upstreams ...string) job.Config {
	c := job.Defaults(name)
	for _, up := range upstreams {
		c.DependsOn = append(c.DependsOn, job.Dependency{Job: up, On: job.OnSuccess})
	}
	return c
}

func TestCircles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		jobs []job.Config
		want [][]string
	}{
		"none":                          {[]job.Config{after("a"), after("b", "a"), after("c", "a", "b"), after("d", "gone")}, nil},
		"of two":                        {[]job.Config{after("a", "b"), after("b", "a")}, [][]string{{"a", "b", "a"}}},
		"that is behind another job":    {[]job.Config{after("z", "y"), after("x", "y"), after("y", "x")}, [][]string{{"x", "y", "x"}}},
		"that is reached in the middle": {[]job.Config{after("z", "c"), after("a", "b"), after("b", "c"), after("c", "a")}, [][]string{{"a", "b", "c", "a"}}},
		"that share a job":              {[]job.Config{after("a", "b", "c"), after("b", "a"), after("c", "a")}, [][]string{{"a", "b", "a"}, {"a", "c", "a"}}},
		"of one":                        {[]job.Config{after("a", "a")}, nil},
	} {
		if diff := cmp.Diff(test.want, job.Circles(test.jobs)); diff != "" {
			t.Errorf("Circles %s differ (-want +got):\n%s", name, diff)
		}
	}
}

// TestCirclesOfManyJobs has a long way without a circle, and more circles than are told.
func TestCirclesOfManyJobs(t *testing.T) {
	t.Parallel()
	const most = 20_000
	way, pairs := make([]job.Config, most), make([]job.Config, most)
	for i := range most {
		way[i] = after(strconv.Itoa(i), strconv.Itoa(i+1), strconv.Itoa(i+2))
		pairs[i] = after(strconv.Itoa(i), strconv.Itoa(i^1))
	}
	at := time.Now()
	if got := job.Circles(way); len(got) > 0 {
		t.Errorf("Circles of a way = %d, want none", len(got))
	}
	if got := job.Circles(pairs); len(got) != 100 {
		t.Errorf("Circles of many = %d, want 100", len(got))
	}
	if took := time.Since(at); took > 10*time.Second {
		t.Errorf("Circles took %v, want a time in proportion to the jobs", took)
	}
}

package docs_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/elasticjob-go/elasticjob"
)

// TestExamplesOfJobTypesAreRight lints the files on the page of the job types.
func TestExamplesOfJobTypesAreRight(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	examples := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllStringSubmatch(page(t, "docs/reference/job-types.md"), -1)
	if len(examples) < 2 {
		t.Fatalf("there are %d examples, want one for each larger type", len(examples))
	}
	functions := []elasticjob.Option{
		elasticjob.WithFunc("reconcile", func(context.Context, *elasticjob.Job) error { return nil }),
		elasticjob.WithDataflow("shipOrders",
			func(context.Context, *elasticjob.Job, string) ([]int, string, error) { return nil, "", nil },
			func(context.Context, *elasticjob.Job, []int) error { return nil }),
	}
	// What the environment is to have, but not $${…}, which stays.
	fromEnvironment := regexp.MustCompile(`([^$])\$\{\w+\}`)
	for i, example := range examples {
		file := filepath.Join(dir, strconv.Itoa(i)+".yaml")
		if err := os.WriteFile(file, []byte(fromEnvironment.ReplaceAllString(example[1], "${1}x")), 0o600); err != nil {
			t.Fatal(err)
		}
		config, problems := elasticjob.LoadFile(file)
		if problems == nil {
			problems = elasticjob.Lint(t.Context(), config, true, functions...)
		}
		for _, p := range problems {
			t.Errorf("the example\n%s\nhas a problem: %s", example[1], p)
		}
	}
}

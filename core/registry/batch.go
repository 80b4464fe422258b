package registry

import (
	"iter"
	"slices"
	"strconv"
)

// batches cuts a list into the parts that one script call handles.
func batches[T any](list []T) iter.Seq[[]T] { return slices.Chunk(list, batchJobs) }

// describeJobs names the jobs of a batch in an error.
func describeJobs(names []string) string {
	if len(names) == 1 {
		return "job " + names[0]
	}
	return strconv.Itoa(len(names)) + " jobs from " + names[0]
}

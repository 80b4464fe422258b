package dial

import "slices"

// Needs are the commands that Open checks, sorted.
func Needs(cluster bool) []string {
	var names []string
	for _, call := range needs(cluster) {
		names = append(names, commandOf(call))
	}
	slices.Sort(names)
	return names
}

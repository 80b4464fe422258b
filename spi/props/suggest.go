package props

import "strings"

// Suggest returns the one of the known words that is most likely meant by what
// was written, and whether one is near enough: it differs by case and
// separators only, or by at most a third of its letters (insertions, deletions,
// substitutions and swaps of neighbours). Of equally near words the first wins.
func Suggest(written string, known []string) (string, bool) {
	const longest = 64 // beyond it a word is no typing mistake, and comparing costs the square of the length
	if len(written) > longest {
		return "", false
	}
	from := bare(written)
	best, nearest := "", 1000
	for _, word := range known {
		to := bare(word)
		if d := distance(from, to); d < nearest && d <= max(1, len(to)/3) && d < len(to) {
			best, nearest = word, d
		}
	}
	return best, best != ""
}

// bare drops what people get wrong most: case and separators.
func bare(word string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "", ".", "", " ", "").Replace(word))
}

// distance is the optimal string alignment distance of two texts in bytes, the
// restricted form of Damerau's measure, computed with three rows.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

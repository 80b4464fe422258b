package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Position is a place in a file. The zero Position is no place: a configuration
// that was built in Go has none.
type Position struct {
	// File is the name under which the file was read.
	File string
	// Line and Column count from 1, columns in characters.
	Line, Column int
}

// Problem is one thing wrong with a configuration.
type Problem struct {
	// File, Line and Column are the place. Line and Column are zero when the
	// problem has none: the file cannot be read, or there is no file.
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	// Rule is the stable name of the rule that is broken; see the package comment.
	Rule string `json:"rule"`
	// Message says in one sentence what is wrong and what to write instead. It
	// never holds the value of a placeholder.
	Message string `json:"message"`
}

// String returns "file:line:column: rule: message", without the parts that are unknown.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
	}
	if p.Line != 0 {
		b.WriteString(strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column) + ":")
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(p.Rule + ": " + p.Message)
	return b.String()
}

// Problems is a list of problems, sorted by place.
type Problems []Problem

var _ error = Problems(nil)

// Error returns one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns the problems as an error, nil when there is none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Sort puts the problems in the order of their places and drops repeated ones.
// Problems found later, by those who know plugins and job types, are added to
// those of this package with append and Sort.
func (p Problems) Sort() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message),
		)
	})
	return slices.Compact(p)
}

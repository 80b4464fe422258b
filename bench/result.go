package main

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// result is one row of the table.
type result struct {
	Group  string  `json:"group"`
	Row    string  `json:"row"`
	Who    string  `json:"who"`
	Values []value `json:"values"`
}

// value is one number of a row.
type value struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit,omitempty"`
	Number float64 `json:"number"`
	// Unknown says that there was nothing to measure; Number is then 0.
	Unknown bool `json:"unknown,omitempty"`
}

// known returns a value that was measured.
func known(name, unit string, number float64) value {
	return value{Name: name, Unit: unit, Number: number}
}

// The names of those that are measured.
const (
	whoOurs   = "elasticjob"
	whoRobfig = "robfig/cron"
	whoGocron = "gocron"
	whoLocked = "gocron + lock"
	whoAsynq  = "asynq"
	whoWazero = "bare wazero"
)

// table lays the results out in aligned columns: one header a group, texts to
// the left and numbers to the right.
func table(results []result) string {
	lines := tableLines(results)
	var widths []int
	for _, line := range lines {
		for i, cell := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, line := range lines {
		var text strings.Builder
		for i, cell := range line {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < textColumns {
				text.WriteString(cell + gap)
			} else {
				text.WriteString("  " + gap + cell)
			}
			if i == 0 {
				text.WriteString("  ")
			}
		}
		b.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
	return b.String()
}

// textColumns is how many columns of the table are text.
const textColumns = 2

func tableLines(results []result) [][]string {
	var lines [][]string
	header := ""
	for _, r := range results {
		head := []string{strings.ToUpper(r.Group), ""}
		cells := []string{r.Row, r.Who}
		for _, v := range r.Values {
			name := v.Name
			if v.Unit != "" {
				name += " " + v.Unit
			}
			head = append(head, name)
			cells = append(cells, v.text())
		}
		if joined := strings.Join(head, "\x00"); joined != header {
			header = joined
			lines = append(lines, []string{""}, head)
		}
		lines = append(lines, cells)
	}
	return lines
}

// text is how the table shows the value.
func (v value) text() string {
	if v.Unknown {
		return "-"
	}
	return format(v.Number)
}

// format shows three digits of small numbers and all of large ones.
func format(n float64) string {
	size := math.Abs(n)
	switch {
	case n == math.Trunc(n) || size >= 100:
		return strconv.FormatFloat(n, 'f', 0, 64)
	case size >= 10:
		return strconv.FormatFloat(n, 'f', 1, 64)
	case size >= 1:
		return strconv.FormatFloat(n, 'f', 2, 64)
	}
	return strconv.FormatFloat(n, 'f', 3, 64)
}

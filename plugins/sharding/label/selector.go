package label

import (
	"fmt"
	"slices"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
)

// selector is a list of requirements of which an instance meets all.
type selector []requirement

// requirement is what a label has to be.
type requirement struct {
	label string
	// values are the allowed or, if negated, the forbidden ones; none asks only
	// whether there is the label.
	values  []string
	negated bool
}

// maxRequirements bounds a selector.
const maxRequirements = 64

// parseSelector reads requirements separated by commas: key=value, key=value|other,
// key!=value, key (there is the label) and !key (there is not). Space around keys
// and values does not count.
func parseSelector(text string) (selector, error) {
	var s selector
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		key, value, hasValue := strings.Cut(part, "=")
		r := requirement{}
		switch {
		case hasValue:
			key, r.negated = strings.CutSuffix(key, "!")
			for one := range strings.SplitSeq(strings.TrimPrefix(value, "="), "|") {
				r.values = append(r.values, strings.TrimSpace(one))
			}
		default:
			key, r.negated = strings.CutPrefix(part, "!")
		}
		r.label = strings.TrimSpace(key)
		if r.label == "" || strings.ContainsAny(r.label, "!|") {
			return nil, fmt.Errorf("requirement %q has no label: write key=value, key!=value, key or !key, separated by commas", part)
		}
		if s = append(s, r); len(s) > maxRequirements {
			return nil, fmt.Errorf("there are more than %d requirements", maxRequirements)
		}
	}
	return s, nil
}

// selects reports whether the instance meets every requirement.
func (s selector) selects(instance spi.Instance) bool {
	for _, r := range s {
		value, has := instance.Labels[r.label]
		meets := has && (len(r.values) == 0 || slices.Contains(r.values, value))
		if meets == r.negated {
			return false
		}
	}
	return true
}

package job

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseItemParameters reads the parameters of sharding items, written
// "0=A,1=B": pairs separated by commas, white space around pairs, items and
// values ignored. Each pair has exactly two parts that are not empty, each item
// is given at most once and lies in 0 to total-1. Blank text is no parameters.
//
// ElasticJob takes the last of two pairs for one item and ignores items outside
// the range; both are errors here.
//
// The error joins everything that is wrong, in the order of the pairs.
func ParseItemParameters(text string, total int) (map[int]string, error) {
	params, faults := parseItemParameters(text, total)
	if len(faults) == 0 {
		return params, nil
	}
	messages := make([]string, len(faults))
	for i, f := range faults {
		messages[i] = f.message
	}
	return nil, errors.New(strings.Join(messages, "; "))
}

// pairFault is what is wrong with the pair that begins at a column, from 1.
type pairFault struct {
	column  int
	message string
}

func parseItemParameters(text string, total int) (map[int]string, []pairFault) {
	params := map[int]string{}
	if strings.TrimSpace(text) == "" {
		return params, nil
	}
	var faults []pairFault
	column := 1
	for whole := range strings.SplitSeq(text, ",") {
		pair := strings.TrimSpace(whole)
		item, value, message := parsePair(pair, text, total)
		if _, twice := params[item]; message == "" && twice {
			message = fmt.Sprintf("item %d is given twice", item)
		}
		if message == "" {
			params[item] = value
		} else {
			space := len(whole) - len(strings.TrimLeftFunc(whole, unicode.IsSpace))
			faults = append(faults, pairFault{column + utf8.RuneCountInString(whole[:space]), message})
		}
		column += utf8.RuneCountInString(whole) + 1
	}
	return params, faults
}

// parsePair returns an item with its value, or what is wrong with the pair.
func parsePair(pair, text string, total int) (item int, value, fault string) {
	if pair == "" {
		return 0, "", "there is an empty pair in " + quote(text)
	}
	key, value, found := strings.Cut(pair, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !found || key == "" || value == "" || strings.Contains(value, "=") {
		return 0, "", quote(pair) + " is not item=value"
	}
	item, err := strconv.Atoi(key)
	switch {
	case err != nil:
		return 0, "", quote(key) + " in " + quote(pair) + " is not a whole number"
	case item < 0:
		return 0, "", fmt.Sprintf("item %d is negative", item)
	case item >= total:
		return 0, "", fmt.Sprintf("there is no item %d when shardingTotalCount is %d: items count from 0", item, total)
	}
	return item, value, ""
}

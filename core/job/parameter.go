package job

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseItemParameters reads the parameters of sharding items, written
// "0=A,1=B": pairs separated by commas, white space around pairs, items and
// values ignored. Each pair has exactly two parts that are not empty, each item
// is given at most once and lies in 0 to total-1. Blank text is no parameters.
//
// ElasticJob takes the last of two pairs for one item and ignores items outside
// the range; both are errors here.
func ParseItemParameters(text string, total int) (map[int]string, error) {
	params := map[int]string{}
	if strings.TrimSpace(text) == "" {
		return params, nil
	}
	for pair := range strings.SplitSeq(text, ",") {
		pair = strings.TrimSpace(pair)
		if pair == "" {
			return nil, fmt.Errorf("there is an empty pair in %s", quote(text))
		}
		key, value, found := strings.Cut(pair, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !found || key == "" || value == "" || strings.Contains(value, "=") {
			return nil, fmt.Errorf("%s is not item=value", quote(pair))
		}
		item, err := strconv.Atoi(key)
		if err != nil {
			return nil, fmt.Errorf("%s in %s is not a whole number", quote(key), quote(pair))
		}
		if item < 0 {
			return nil, fmt.Errorf("item %d is negative", item)
		}
		if item >= total {
			return nil, fmt.Errorf("there is no item %d when shardingTotalCount is %d: items count from 0", item, total)
		}
		if _, twice := params[item]; twice {
			return nil, fmt.Errorf("item %d is given twice", item)
		}
		params[item] = value
	}
	return params, nil
}

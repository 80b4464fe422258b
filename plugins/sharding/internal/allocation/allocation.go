// Package allocation holds what several sharding strategies have in common: the
// hash that ElasticJob spreads jobs by, its allocation in runs of items, and
// quotas of which as much as possible stays where it is.
package allocation

import (
	"unicode/utf16"

	"github.com/elasticjob-go/elasticjob/spi"
)

// JavaHash is Java's String.hashCode: 31*h + unit over the UTF-16 units of s, in
// 32 bits that overflow.
func JavaHash(s string) int32 {
	var h int32
	for _, unit := range utf16.Encode([]rune(s)) {
		h = 31*h + int32(unit)
	}
	return h
}

// Offset is |JavaHash(name)| modulo count, which is at least 1. The absolute value
// of the smallest hash is 2^31, where Java's stays negative.
func Offset(name string, count int) int {
	h := int64(JavaHash(name))
	return int(max(h, -h) % int64(count))
}

// Average splits the items 0 to total-1 as ElasticJob's
// AverageAllocationJobShardingStrategy: of n items on m instances, instance j gets
// the items j*(n/m) up to (j+1)*(n/m), and item m*(n/m)+c goes to instance c.
func Average(instances []spi.Instance, total int) map[string][]int {
	assignment := make(map[string][]int, len(instances))
	count := len(instances)
	if count == 0 {
		return assignment
	}
	each := total / count
	for i, instance := range instances {
		items := make([]int, 0, each+1)
		for item := i * each; item < (i+1)*each; item++ {
			items = append(items, item)
		}
		if extra := count*each + i; extra < total {
			items = append(items, extra)
		}
		assignment[instance.ID] = items
	}
	return assignment
}

// Rotated returns the instances from the one at offset on, followed by those
// before it.
func Rotated(instances []spi.Instance, offset int) []spi.Instance {
	rotated := make([]spi.Instance, 0, len(instances))
	return append(append(rotated, instances[offset:]...), instances[:offset]...)
}

// Everything gives all items 0 to total-1 to one instance.
func Everything(owner spi.Instance, total int) map[string][]int {
	items := make([]int, total)
	for i := range items {
		items[i] = i
	}
	return map[string][]int{owner.ID: items}
}

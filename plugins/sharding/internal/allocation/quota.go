package allocation

import (
	"cmp"
	"slices"

	"github.com/elasticjob-go/elasticjob/spi"
)

// Quotas divides total items by weight, in the order of the instances, and returns
// how many each gets. It is the method of largest remainders (Hamilton's): every
// share is rounded down, and the items left over go one each to the largest
// fractions. Of equal fractions those count first that had more than their share
// before, so that with equal weights nothing moves without need. Weights are 0 to
// 1,000,000 and not all 0.
func Quotas(req spi.ShardRequest, weights []int) []int {
	total, sum := int64(req.ShardingTotalCount), int64(0)
	for _, w := range weights {
		sum += int64(w)
	}
	quotas, fractions := make([]int, len(weights)), make([]int64, len(weights))
	order := make([]int, len(weights))
	left := req.ShardingTotalCount
	for i, w := range weights {
		order[i] = i
		quotas[i] = int(total * int64(w) / sum)
		fractions[i] = total * int64(w) % sum
		left -= quotas[i]
	}
	has := make([]int, len(weights))
	for i, instance := range req.Instances {
		if Had(req, instance.ID) > quotas[i] {
			has[i] = 1
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(fractions[b], fractions[a]), cmp.Compare(has[b], has[a]))
	})
	for _, i := range order[:left] {
		quotas[i]++
	}
	return quotas
}

// Had is how many of the job's items an instance had before.
func Had(req spi.ShardRequest, instance string) int {
	had := 0
	for _, item := range req.Previous[instance] {
		if item >= 0 && item < req.ShardingTotalCount {
			had++
		}
	}
	return had
}

// Keep assigns each instance as many items as its quota says; the quotas add up to
// the total. Items stay with their owner up to its quota, the smallest first; the
// others go to whoever has room, in order.
func Keep(req spi.ShardRequest, quotas []int) map[string][]int {
	assignment := make(map[string][]int, len(req.Instances))
	taken := make([]bool, req.ShardingTotalCount)
	for i, instance := range req.Instances {
		items := make([]int, 0, quotas[i])
		for _, item := range slices.Sorted(slices.Values(req.Previous[instance.ID])) {
			if len(items) < quotas[i] && item >= 0 && item < len(taken) && !taken[item] {
				taken[item] = true
				items = append(items, item)
			}
		}
		assignment[instance.ID] = items
	}
	next := 0
	for i, instance := range req.Instances {
		for items := assignment[instance.ID]; len(items) < quotas[i]; {
			for taken[next] {
				next++
			}
			taken[next] = true
			items = append(items, next)
			assignment[instance.ID] = items
		}
	}
	return assignment
}

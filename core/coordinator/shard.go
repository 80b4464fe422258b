package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// shardTimeout bounds a call of a strategy.
const shardTimeout = 10 * time.Second

// InstanceOf returns what a strategy is told of the instance with this id: its
// IP is what stands before the first "@-@".
func InstanceOf(id string, labels map[string]string) spi.Instance {
	ip, _, _ := strings.Cut(id, "@-@")
	return spi.Instance{ID: id, IP: ip, Labels: labels}
}

// SortInstances sorts instances as strategies expect them: ascending by IP and
// then by id; those without an IP come after, by id as text.
func SortInstances(instances []spi.Instance) {
	addresses := make(map[string]netip.Addr, len(instances))
	for _, i := range instances {
		if address, err := netip.ParseAddr(i.IP); err == nil {
			addresses[i.IP] = address
		}
	}
	slices.SortStableFunc(instances, func(a, b spi.Instance) int {
		aAddress, aIsIP := addresses[a.IP]
		bAddress, bIsIP := addresses[b.IP]
		switch {
		case aIsIP && bIsIP:
			if order := aAddress.Compare(bAddress); order != 0 {
				return order
			}
		case aIsIP:
			return -1
		case bIsIP:
			return 1
		}
		return cmp.Compare(a.ID, b.ID)
	})
}

// Shard asks a strategy to spread the items of a job and checks its answer:
// every item exactly once, and only instances that were offered. The answer
// names every offered instance, with its items in ascending order; without
// instances it is empty. The instances of the request are sorted in place.
func Shard(ctx context.Context, strategy spi.ShardingStrategy, req spi.ShardRequest) (map[string][]int, error) {
	if len(req.Instances) == 0 {
		return map[string][]int{}, nil
	}
	SortInstances(req.Instances)
	if req.Items == nil {
		req.Items = make([]spi.Item, req.ShardingTotalCount)
		for i := range req.Items {
			req.Items[i].Item = i
		}
	}
	response, err := callStrategy(ctx, strategy, req)
	if err != nil {
		return nil, err
	}
	return checkAssignment(req, response.Assignment)
}

// Broadcast returns the request to a strategy with the capability broadcast: there
// are as many items as instances. They keep the parameters that they have.
func Broadcast(req spi.ShardRequest) spi.ShardRequest {
	items := make([]spi.Item, len(req.Instances))
	for i := range items {
		items[i].Item = i
	}
	for _, item := range req.Items {
		if item.Item < len(items) {
			items[item.Item].Parameter = item.Parameter
		}
	}
	req.ShardingTotalCount, req.Items = len(items), items
	return req
}

// callStrategy calls a strategy. One that ignores its context is left behind
// when its time is over: it must not hold up the leader.
func callStrategy(ctx context.Context, strategy spi.ShardingStrategy, req spi.ShardRequest) (spi.ShardResponse, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, shardTimeout, spi.ErrTimeout)
	defer cancel()
	type answer struct {
		response spi.ShardResponse
		err      error
	}
	answers := make(chan answer, 1)
	go func() {
		a := answer{err: errors.New("strategy ended its goroutine")}
		defer func() {
			if p := recover(); p != nil {
				a.err = fmt.Errorf("strategy panicked: %v", p)
			}
			answers <- a
		}()
		a.response, a.err = strategy.Shard(ctx, req)
	}()
	select {
	case a := <-answers:
		return a.response, a.err
	case <-ctx.Done():
		return spi.ShardResponse{}, fmt.Errorf("strategy did not answer: %w", context.Cause(ctx))
	}
}

func checkAssignment(req spi.ShardRequest, assignment map[string][]int) (map[string][]int, error) {
	checked := make(map[string][]int, len(req.Instances))
	for _, i := range req.Instances {
		checked[i.ID] = []int{}
	}
	owner := make(map[int]string, req.ShardingTotalCount)
	for id, items := range assignment {
		if _, offered := checked[id]; !offered {
			return nil, fmt.Errorf("strategy gave items to %q, which it was not offered", id)
		}
		for _, item := range items {
			if item < 0 || item >= req.ShardingTotalCount {
				return nil, fmt.Errorf("strategy gave item %d to %q, but items are 0 to %d", item, id, req.ShardingTotalCount-1)
			}
			if first, twice := owner[item]; twice {
				return nil, fmt.Errorf("strategy gave item %d to both %q and %q", item, first, id)
			}
			owner[item] = id
		}
		checked[id] = slices.Sorted(slices.Values(items))
		if checked[id] == nil {
			checked[id] = []int{}
		}
	}
	for item := range req.ShardingTotalCount {
		if _, ok := owner[item]; !ok {
			return nil, fmt.Errorf("strategy gave item %d to nobody", item)
		}
	}
	return checked, nil
}

package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ItemState is one sharding item as the registry center sees it.
type ItemState struct {
	Item int
	// Owner is the instance that it is assigned to, empty if it is nobody's.
	Owner string
	// Running are the marks that hold it: at most one, as long as nobody but this
	// package writes. An item that the job no longer has may still run.
	Running []RunningItem
	// Disabled says that the item is, apart from its job and its owner.
	Disabled bool
	// Missed is the latest instant that waits to be caught up, zero if none does.
	Missed time.Time
	// Failover says that it waits for another node to take it over.
	Failover bool
}

// RunningItem says by whom an item runs.
type RunningItem struct {
	Instance string
	// Run is the run id, see FormatRunID; of a manual run, its trigger's id.
	Run  string
	Kind Kind
}

// Items are the items of a job in order: all that it has, see JobState.Total, and others
// that still run. Marks are those of monitored jobs only. An unknown job is
// ErrUnknownJob.
func (p *Partition) Items(ctx context.Context, job string) ([]ItemState, error) {
	if err := checkName(job); err != nil {
		return nil, fmt.Errorf("reading items: %w", err)
	}
	var head *redis.SliceCmd
	var owners, marks, missed, failover *redis.MapStringStringCmd
	_, err := p.config.Client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		head = pipe.HMGet(ctx, p.keys.job(job), "n", "dn", "an", "how")
		owners = pipe.HGetAll(ctx, p.keys.assignments(job))
		marks = pipe.HGetAll(ctx, p.keys.marks(job))
		missed = pipe.HGetAll(ctx, p.keys.missed(job))
		failover = pipe.HGetAll(ctx, p.keys.failovers(job))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the items of job %s: %w", job, err)
	}
	if head.Val()[0] == nil {
		return nil, fmt.Errorf("reading the items of job %s: %w", job, ErrUnknownJob)
	}
	items, err := readItems(orEmpty(head.Val()), owners.Val(), marks.Val(), missed.Val(), failover.Val())
	if err != nil {
		return nil, fmt.Errorf("reading the items of job %s: %w", job, err)
	}
	return items, nil
}

func readItems(head []any, owners, marks, missed, failover map[string]string) ([]ItemState, error) {
	r := &reply{source: "the job", values: head}
	n, off := r.number(), r.items()
	total, _ := r.total()
	if err := r.end(); err != nil {
		return nil, err
	}
	if total > 0 {
		n = int64(total)
	}
	if n > MaxItems {
		return nil, fmt.Errorf("%d items, want at most %d", n, MaxItems)
	}
	states := make([]ItemState, n)
	at := func(item int) *ItemState {
		for len(states) <= item {
			states = append(states, ItemState{})
		}
		return &states[item]
	}
	for item := range off.All() {
		at(item).Disabled = true
	}
	for id, text := range owners {
		groups, err := parseGroups(text)
		if err != nil {
			return nil, fmt.Errorf("items of %s: %w", strconv.Quote(clip(id)), err)
		}
		for item := range union(groups).All() {
			at(item).Owner = id
		}
	}
	for _, id := range slices.Sorted(maps.Keys(marks)) {
		running, err := parseMarks(marks[id])
		if err != nil {
			return nil, fmt.Errorf("marks of %s: %w", strconv.Quote(clip(id)), err)
		}
		for _, m := range running {
			for item := range m.items.All() {
				s := at(item)
				s.Running = append(s.Running, RunningItem{Instance: id, Run: m.run(), Kind: m.kind})
			}
		}
	}
	for text, value := range missed {
		item, err := parseItem(text)
		if err != nil {
			return nil, err
		}
		r := &reply{source: "the missed instant of item " + text, values: []any{value}}
		at(item).Missed = r.instant()
		if err := r.end(); err != nil {
			return nil, err
		}
	}
	for text := range failover {
		item, err := parseItem(text)
		if err != nil {
			return nil, err
		}
		at(item).Failover = true
	}
	kept := states[:0]
	for item, s := range states {
		s.Item = item
		if item < int(n) || len(s.Running) > 0 {
			kept = append(kept, s)
		}
	}
	return kept, nil
}

// mark is what keys.go says of r.
type mark struct {
	fence, epoch, generation int64
	kind                     Kind
	trigger, request         string
	items                    Items
}

// run is the run id of a mark.
func (m *mark) run() string {
	if ms := parseNumber(m.trigger); ms >= 0 && m.kind != KindOneOff {
		return FormatRunID(instantOf(ms))
	}
	return m.trigger
}

// maxMarks is the number of marks that one node has of a job at most.
const maxMarks = 64

func parseMarks(text string) ([]mark, error) {
	if len(text) > maxMarks*(maxItemsText+maxRequest*3) {
		return nil, fmt.Errorf("marks of %d bytes", len(text))
	}
	var marks []mark
	for part := range strings.SplitSeq(text, ";") {
		fields := strings.Split(part, "|")
		if len(fields) != 7 || len(fields[3]) != 1 {
			return nil, fmt.Errorf("mark %s has %d parts", strconv.Quote(clip(part)), len(fields))
		}
		r := &reply{source: "mark " + strconv.Quote(clip(part)), values: []any{fields[0], fields[1], fields[2], fields[6]}}
		m := mark{
			fence: r.number(), epoch: r.number(), generation: r.number(), items: r.items(),
			kind: Kind(fields[3][0]), trigger: fields[4], request: fields[5],
		}
		if err := r.end(); err != nil {
			return nil, err
		}
		if marks = append(marks, m); len(marks) > maxMarks {
			return nil, fmt.Errorf("more than %d marks", maxMarks)
		}
	}
	return marks, nil
}

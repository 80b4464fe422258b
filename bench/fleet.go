package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
)

func fleetMeasurements() []measurement {
	return []measurement{
		{name: "fleet/joins", run: measureJoins},
		{name: "fleet/idle", run: func(ctx context.Context, s *settings) ([]result, error) { return measureIdle(ctx, s, 0) }},
		{name: "fleet/idle with items", large: true, run: func(ctx context.Context, s *settings) ([]result, error) { return measureIdle(ctx, s, idleItems) }},
	}
}

const (
	joinedJobs  = 1000
	joinedItems = 10
	joinedNodes = 5
	// joinPatience bounds how long the items may take to settle.
	joinPatience = 60 * time.Second
)

// measureJoins measures how long it takes from the last join of a fleet until
// every node has adopted its share of every job.
func measureJoins(ctx context.Context, s *settings) (results []result, err error) {
	var n nodes
	defer func() {
		if stopErr := n.stop(ctx); err == nil {
			err = stopErr
		}
	}()
	config, err := n.config(ctx, true)
	if err != nil {
		return nil, err
	}
	for i := range joinedJobs {
		config.Jobs = append(config.Jobs, rareJob(i))
	}
	if err := s.hot(); err != nil {
		return nil, err
	}
	plugin := elasticjob.WithPlugins(probePlugin([]*probe{{}}))
	shares := &shares{want: joinedItems / joinedNodes, settled: make(chan struct{}), open: joinedNodes * joinedJobs}
	first := time.Now()
	var last time.Time
	for range joinedNodes {
		last = time.Now()
		logger := slog.New(&shareHandler{shares: shares, has: make(map[string]bool)})
		if err := n.start(ctx, config, plugin, elasticjob.WithLogger(logger)); err != nil {
			return nil, err
		}
	}
	lastUp := time.Now()
	bounded, cancel := context.WithTimeout(ctx, joinPatience)
	defer cancel()
	select {
	case <-shares.settled:
	case <-bounded.Done():
		return nil, fmt.Errorf("the items were not shared evenly within %v of the last join", joinPatience)
	}
	settled := time.Now()
	return []result{{Group: "fleet", Row: "1k jobs of 10 items, 5 nodes join", Who: whoOurs, Values: []value{
		known("first start to last up", "s", lastUp.Sub(first).Seconds()),
		known("last start to all adopted", "s", settled.Sub(last).Seconds()),
		known("last up to all adopted", "s", max(settled.Sub(lastUp), 0).Seconds()),
		known("redis cpu", "s", n.redis.used(ctx).cpu.Seconds()),
	}}}, nil
}

// rareJob is the n-th job that is not due while anything is measured.
func rareJob(n int) job.Config {
	j := job.Defaults(fmt.Sprintf("job-%06d", n))
	j.Type, j.Cron, j.TimeZone, j.ShardingTotalCount = probeType, rarely, "UTC", joinedItems
	j.Props[propProbe] = "0"
	return j
}

// shares waits until every node has as many items of every job as it should.
type shares struct {
	want    int
	settled chan struct{}

	mu   sync.Mutex
	open int // jobs of nodes that have another number of items
	done bool
}

// shareHandler reads the records of one node for its shares.
type shareHandler struct {
	shares *shares
	has    map[string]bool // jobs of which the node has its share, guarded by the lock of shares
}

var _ slog.Handler = (*shareHandler)(nil)

// Enabled reports whether records of the level are of interest.
func (h *shareHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

// WithAttrs returns h: only attributes of the record itself count.
func (h *shareHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup returns h, likewise.
func (h *shareHandler) WithGroup(string) slog.Handler { return h }

// Handle takes note of an assignment.
func (h *shareHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "items assigned" {
		return nil
	}
	var name string
	var items registry.Items
	var err error
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "job":
			name = a.Value.String()
		case "items":
			items, err = registry.ParseItems(a.Value.String())
		}
		return true
	})
	if err != nil {
		return err
	}
	h.shares.mu.Lock()
	defer h.shares.mu.Unlock()
	is := items.Len() == h.shares.want
	if is == h.has[name] {
		return nil
	}
	h.has[name] = is
	if is {
		h.shares.open--
	} else {
		h.shares.open++
	}
	if h.shares.open == 0 && !h.shares.done {
		h.shares.done = true
		close(h.shares.settled)
	}
	return nil
}

const (
	idleSessions = 100
	idleTime     = 10 * time.Second
	// idleItems are those of jobs of ten, which are due once a year.
	idleItems = 10_000
)

// measureIdle measures what nodes without anything to do cost their Redis, and
// themselves, and what of that their Redis would do without them.
func measureIdle(ctx context.Context, s *settings, items int) (results []result, err error) {
	var n nodes
	defer func() {
		if stopErr := n.stop(ctx); err == nil {
			err = stopErr
		}
	}()
	config, err := n.config(ctx, true)
	if err != nil {
		return nil, err
	}
	alone, err := n.redis.during(ctx, idleTime)
	if err != nil {
		return nil, err
	}
	for i := range items / joinedItems {
		config.Jobs = append(config.Jobs, rareJob(i))
	}
	for range idleSessions {
		if err := n.start(ctx, config, elasticjob.WithPlugins(probePlugin([]*probe{{}}))); err != nil {
			return nil, err
		}
	}
	if err := waitUntil(ctx, time.Now().Add(settle)); err != nil {
		return nil, err
	}
	if err := s.hot(); err != nil {
		return nil, err
	}
	cpuBefore := processorTime()
	used, err := n.redis.during(ctx, idleTime)
	if err != nil {
		return nil, err
	}
	cpu := processorTime() - cpuBefore
	row := "100 nodes without jobs"
	if items > 0 {
		row = fmt.Sprintf("100 nodes, %d items", items)
	}
	return []result{{Group: "idle", Row: row, Who: whoOurs, Values: []value{
		known("redis cpu", "ms/s", millis(used.cpu)/idleTime.Seconds()),
		known("without nodes", "ms/s", millis(alone.cpu)/idleTime.Seconds()),
		known("script calls/s", "", float64(used.calls(scriptCalls...))/idleTime.Seconds()),
		known("nodes' cpu", "ms/s", millis(cpu)/idleTime.Seconds()),
	}}}, nil
}

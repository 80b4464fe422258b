package main

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// load is the jobs of one row of the lateness table.
type load struct {
	row       string
	jobs      int
	monitored bool
	// spread fires each job once a minute instead of every second.
	spread bool
	// redis lets our node use a Redis instead of the registry inside it; nodes
	// is how many nodes, or schedulers, share the jobs, one if it is zero.
	redis bool
	nodes int
	large bool
}

// expression is the cron expression of the n-th job, which all engines read
// alike.
func (l load) expression(n int) string {
	if l.spread {
		return fmt.Sprintf("%d * * * * ?", n%60)
	}
	return "* * * * * ?"
}

// engine starts a job for each probe.
type engine struct {
	who   string
	start func(ctx context.Context, s *settings, l load, probes []*probe) (started, error)
}

// started are jobs that fire.
type started struct {
	stop func(ctx context.Context) error
	// redis is the server that they use, nil if none, and sends the commands that
	// they send to it.
	redis *redisServer
	sends []string
	// prepared is how long it took until the server could be used.
	prepared time.Duration
}

func latenessMeasurements() []measurement {
	ours := engine{whoOurs, startNodes}
	all := []engine{ours, {whoRobfig, startRobfig}, {whoGocron, startGocron}}
	var list []measurement
	add := func(l load, engines ...engine) {
		for _, e := range engines {
			list = append(list, measurement{
				name: "lateness/" + l.row + "/" + e.who, large: l.large,
				run: func(ctx context.Context, s *settings) ([]result, error) { return measureLateness(ctx, s, l, e) },
			})
		}
	}
	add(load{row: "1k jobs every second", jobs: 1_000, redis: true}, all...)
	add(load{row: "10k jobs every second", jobs: 10_000, redis: true}, all...)
	add(load{row: "100k jobs every second", jobs: 100_000, redis: true, large: true}, all...)
	add(load{row: "100k jobs over 60 s", jobs: 100_000, redis: true, spread: true, large: true}, all...)
	add(load{row: "1k jobs, monitored", jobs: 1_000, redis: true, monitored: true}, ours)
	add(load{row: "10k jobs, monitored", jobs: 10_000, redis: true, monitored: true}, ours)
	add(load{row: "1k jobs on 3 nodes, monitored or locked", jobs: 1_000, redis: true, monitored: true, nodes: 3}, ours, engine{whoLocked, startLocked})
	add(load{row: "500 jobs, monitored, embedded", jobs: 500, monitored: true}, ours)
	add(load{row: "1k jobs, monitored, embedded", jobs: 1_000, monitored: true}, ours)
	return list
}

const (
	// settle is how long jobs fire before the window opens.
	settle = 2 * time.Second
	// patience is how long after the window its last fires may come. Later ones
	// count as lost.
	patience = 5 * time.Second
)

func measureLateness(ctx context.Context, s *settings, l load, e engine) ([]result, error) {
	length := s.window
	perJob := int64(length / time.Second)
	if l.spread {
		length, perJob = maxWindow, 1
	}
	expected := int64(l.jobs) * perJob
	w := &window{seconds: int64(length / time.Second), late: newSamples(int(expected))}
	probes := make([]*probe, l.jobs)
	for i := range probes {
		probes[i] = &probe{window: w}
	}

	heapBefore, begin := heap(), time.Now()
	jobs, err := e.start(ctx, s, l, probes)
	if err != nil {
		return nil, fmt.Errorf("starting %d jobs: %w", l.jobs, err)
	}
	startTook := time.Since(begin) - jobs.prepared
	heapAfter := heap()

	from := time.Now().Add(settle).Truncate(time.Second).Add(time.Second)
	w.from.Store(from.UnixNano())
	err = waitUntil(ctx, from.Add(-100*time.Millisecond))
	if err == nil {
		err = s.hot()
	}
	cpuBefore, redisBefore := processorTime(), jobs.redis.used(ctx)
	if err == nil {
		err = waitUntil(ctx, from.Add(length))
	}
	for end := from.Add(length + patience); err == nil && w.late.count() < expected && time.Now().Before(end); {
		err = waitUntil(ctx, time.Now().Add(100*time.Millisecond))
	}
	used, redisUsed := processorTime()-cpuBefore, jobs.redis.used(ctx).since(redisBefore)
	late := w.late.sorted()
	runtime.KeepAlive(probes)
	if stopErr := jobs.stop(context.WithoutCancel(ctx)); err == nil {
		err = stopErr
	}
	if err != nil {
		return nil, err
	}
	redisCalls, redisCPU := value{Name: "calls/fire", Unknown: true}, value{Name: "redis µs/fire", Unknown: true}
	if n := float64(len(late)); jobs.redis != nil && n > 0 {
		redisCalls = known(redisCalls.Name, "", float64(redisUsed.calls(jobs.sends...))/n)
		redisCPU = known(redisCPU.Name, "", micros(redisUsed.cpu)/n)
	}
	// ofSeen is a value that means nothing when no fire was seen.
	ofSeen := func(name, unit string, number float64) value {
		if len(late) == 0 {
			return value{Name: name, Unit: unit, Unknown: true}
		}
		return known(name, unit, number)
	}
	return []result{{Group: "lateness", Row: l.row, Who: e.who, Values: []value{
		ofSeen("p50", "ms", millis(quantile(late, 0.5))),
		ofSeen("p99", "ms", millis(quantile(late, 0.99))),
		ofSeen("p999", "ms", millis(quantile(late, 0.999))),
		ofSeen("max", "ms", millis(quantile(late, 1))),
		known("expected", "", float64(expected)),
		known("seen", "", float64(len(late))),
		known("lost", "", float64(expected-int64(len(late)))),
		known("twice", "", float64(w.twice.Load())),
		ofSeen("cpu/fire", "µs", micros(used)/float64(max(len(late), 1))),
		redisCalls,
		redisCPU,
		known("start", "s", startTook.Seconds()),
		known("heap/job", "B", perJobBytes(heapBefore, heapAfter, l.jobs)),
	}}}, nil
}

// waitUntil returns at the time, or earlier with the cause when ctx ends.
func waitUntil(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// heap returns the bytes of live objects.
func heap() uint64 {
	// The second collection frees what finalizers and pools kept from the first.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func perJobBytes(before, after uint64, jobs int) float64 {
	return (float64(after) - float64(before)) / float64(jobs)
}

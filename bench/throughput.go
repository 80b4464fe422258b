package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// flow is one row: something that has much to run.
type flow struct {
	row, who string
	// start starts it; each item that runs adds one to ran.
	start func(ctx context.Context, ran *atomic.Int64) (flowing, error)
}

// flowing is what runs items.
type flowing struct {
	redis *redisServer
	sends []string // the commands that are sent to it
	stop  func(ctx context.Context) error
}

func flowMeasurements() []measurement {
	rows := []flow{
		// More than it runs, as are the tasks below.
		{"jobs of 1 item", whoOurs, startFlow(20_000, 1)},
		{"jobs of 10 items", whoOurs, startFlow(6000, 10)},
		{"jobs of 100 items", whoOurs, startFlow(1500, 100)},
		{"tasks", whoAsynq, startTasks(400_000)},
	}
	list := make([]measurement, len(rows))
	for i, f := range rows {
		list[i] = measurement{name: "throughput/" + f.row + "/" + f.who, run: func(ctx context.Context, s *settings) ([]result, error) {
			return measureFlow(ctx, s, f)
		}}
	}
	return list
}

// measureFlow measures how many items that do nothing run in a second, and what each
// costs.
func measureFlow(ctx context.Context, s *settings, f flow) (results []result, err error) {
	var ran atomic.Int64
	running, err := f.start(ctx, &ran)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, running.stop(context.WithoutCancel(ctx))) }()
	if err := s.hot(); err != nil {
		return nil, err
	}
	begin, before, cpuBefore, redisBefore := time.Now(), ran.Load(), processorTime(), running.redis.used(ctx)
	if err := waitUntil(ctx, begin.Add(s.window)); err != nil {
		return nil, err
	}
	took, n, cpu, used := time.Since(begin), float64(ran.Load()-before), processorTime()-cpuBefore, running.redis.used(ctx).since(redisBefore)
	if n == 0 {
		return nil, errors.New("no item ran")
	}
	return []result{{Group: "throughput", Row: f.row, Who: f.who, Values: []value{
		known("items/s", "", n/took.Seconds()),
		known("cpu/item", "µs", micros(cpu)/n),
		known("redis µs/item", "", micros(used.cpu)/n),
		known("calls/item", "", float64(used.calls(running.sends...))/n),
	}}}, nil
}

const (
	flowType = "NOTHING"
	// flowEvery is how often the jobs are due.
	flowEvery = time.Second
	// flowWorkers is how many tasks of asynq run at once.
	flowWorkers = 64
)

// startFlow starts a node with jobs that are due every second, all at once. They have
// marks, as by default, and do not make up for what they miss.
func startFlow(jobs, items int) func(context.Context, *atomic.Int64) (flowing, error) {
	return func(ctx context.Context, ran *atomic.Int64) (flowing, error) {
		var n nodes
		c, err := n.config(ctx, true)
		for i := range jobs {
			j := job.Defaults(fmt.Sprintf("job-%06d", i))
			j.Type, j.Every, j.ShardingTotalCount = flowType, flowEvery, items
			j.Misfire = false
			c.Jobs = append(c.Jobs, j)
		}
		if err == nil {
			err = n.start(ctx, c, elasticjob.WithPlugins(flowPlugin(ran)))
		}
		if err == nil {
			err = waitUntil(ctx, time.Now().Add(settle))
		}
		if err != nil {
			return flowing{}, errors.Join(err, n.stop(ctx))
		}
		return flowing{redis: n.redis, sends: scriptCalls, stop: n.stop}, nil
	}
}

// flowPlugin is the job type whose items do nothing.
func flowPlugin(ran *atomic.Int64) spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind: spi.KindJobType, Type: flowType, Version: "1", Description: "Does nothing.", Capabilities: []string{spi.CapabilityExecute},
		},
		JobType: func(context.Context, props.Values) (spi.JobType, error) {
			return spi.JobTypeFunc(func(context.Context, spi.ExecuteRequest) (spi.ExecuteResponse, error) {
				ran.Add(1)
				return spi.ExecuteResponse{}, nil
			}), nil
		},
	}
}

// startTasks fills a queue of asynq, then starts a server that empties it.
func startTasks(tasks int) func(context.Context, *atomic.Int64) (flowing, error) {
	return func(ctx context.Context, ran *atomic.Int64) (flowing, error) {
		redis, err := startRedis(ctx)
		if err != nil {
			return flowing{}, err
		}
		at := asynq.RedisClientOpt{Addr: redis.addr}
		client := asynq.NewClient(at)
		for n := 0; n < tasks && err == nil; n++ {
			_, err = client.EnqueueContext(ctx, asynq.NewTask(flowType, nil))
		}
		if err = errors.Join(err, client.Close()); err != nil {
			return flowing{}, errors.Join(err, redis.stop())
		}
		server := asynq.NewServer(at, asynq.Config{Concurrency: flowWorkers, LogLevel: asynq.FatalLevel})
		if err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
			ran.Add(1)
			return nil
		})); err != nil {
			return flowing{}, errors.Join(err, redis.stop())
		}
		return flowing{redis: redis, sends: scriptCalls, stop: func(context.Context) error {
			server.Shutdown()
			return redis.stop()
		}}, nil
	}
}

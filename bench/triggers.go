package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

const (
	triggeredJob = "import"
	// manyTriggers are measured where one takes milliseconds, fewTriggers where it
	// takes half a second.
	manyTriggers, fewTriggers = 1000, 60
	// coldTriggers come before, and are not measured.
	coldTriggers = 20
	// triggerPause lets everything of a trigger be over before the next one.
	triggerPause = 5 * time.Millisecond
	// triggerPatience bounds the wait for a run that was triggered.
	triggerPatience = 30 * time.Second
)

// triggering is one row: who is asked to run something once.
type triggering struct {
	row, who string
	count    int
	// start starts something whose code sends the time at which it begins.
	start func(ctx context.Context, begun chan<- time.Time) (triggered, error)
}

// triggered is what can be asked to run.
type triggered struct {
	call func(ctx context.Context) (id string, err error)
	// await waits until the run has ended; nil if the caller cannot know.
	await func(ctx context.Context, id string) error
	stop  func(ctx context.Context) error
}

func triggerMeasurements() []measurement {
	// Its shortest pause is far below the default of a second.
	const tuned = 10 * time.Millisecond
	rows := []triggering{
		{"embedded", whoOurs, manyTriggers, startTriggered(false, 1, true)},
		{"Redis, same node", whoOurs, manyTriggers, startTriggered(true, 1, true)},
		{"Redis, another node is asked", whoOurs, manyTriggers, startTriggered(true, 2, false)},
		{"Redis", whoAsynq, fewTriggers, startAsynq(0)},
		{fmt.Sprintf("Redis, looking every %v", tuned), whoAsynq, manyTriggers, startAsynq(tuned)},
	}
	list := make([]measurement, len(rows))
	for i, t := range rows {
		list[i] = measurement{name: "trigger/" + t.row + "/" + t.who, run: func(ctx context.Context, s *settings) ([]result, error) {
			return measureTriggers(ctx, s, t)
		}}
	}
	return list
}

// measureTriggers measures how long it takes from the call of a trigger until the
// code begins, until the call returns, and until one who waits knows that it has
// ended.
func measureTriggers(ctx context.Context, s *settings, t triggering) (results []result, err error) {
	begun := make(chan time.Time, 1)
	asked, err := t.start(ctx, begun)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, asked.stop(context.WithoutCancel(ctx))) }()
	begins, returns, ends := newSamples(t.count), newSamples(t.count), newSamples(t.count)
	for i := range coldTriggers + t.count {
		if i == coldTriggers {
			if err := s.hot(); err != nil {
				return nil, err
			}
		}
		if err := waitUntil(ctx, time.Now().Add(triggerPause)); err != nil {
			return nil, err
		}
		one, err := asked.once(ctx, begun)
		if err != nil {
			return nil, err
		}
		if i >= coldTriggers {
			begins.add(one.begun)
			returns.add(one.returned)
			ends.add(one.ended)
		}
	}
	sorted, known50, known99 := begins.sorted(), value{Name: "end known p50", Unit: "ms", Unknown: true}, value{Name: "end known p99", Unit: "ms", Unknown: true}
	if asked.await != nil {
		known50 = known(known50.Name, known50.Unit, millis(quantile(ends.sorted(), 0.5)))
		known99 = known(known99.Name, known99.Unit, millis(quantile(ends.sorted(), 0.99)))
	}
	return []result{{Group: "trigger to start", Row: t.row, Who: t.who, Values: []value{
		known("triggers", "", float64(len(sorted))),
		known("p50", "ms", millis(quantile(sorted, 0.5))),
		known("p99", "ms", millis(quantile(sorted, 0.99))),
		known("max", "ms", millis(quantile(sorted, 1))),
		known("call p50", "ms", millis(quantile(returns.sorted(), 0.5))),
		known50, known99,
	}}}, nil
}

// took is how long after the call of a trigger its code began, the call returned
// and the end was known.
type took struct{ begun, returned, ended time.Duration }

// once triggers once, and returns when the run has ended, or begun if its end cannot
// be known.
func (t triggered) once(ctx context.Context, begun <-chan time.Time) (took, error) {
	ctx, cancel := context.WithTimeout(ctx, triggerPatience)
	defer cancel()
	var one took
	called := time.Now()
	id, err := t.call(ctx)
	one.returned = time.Since(called)
	if err != nil {
		return one, err
	}
	if t.await != nil {
		if err := t.await(ctx, id); err != nil {
			return one, err
		}
		one.ended = time.Since(called)
	}
	select {
	case at := <-begun:
		one.begun = at.Sub(called)
		return one, nil
	case <-ctx.Done():
		return one, fmt.Errorf("waiting for the run of a trigger: %w", context.Cause(ctx))
	}
}

// startTriggered starts nodes with a job of one item. The node that is asked owns it,
// or another does.
func startTriggered(onRedis bool, count int, owns bool) func(context.Context, chan<- time.Time) (triggered, error) {
	return func(ctx context.Context, begun chan<- time.Time) (triggered, error) {
		var n nodes
		c, err := n.config(ctx, onRedis)
		j := job.Defaults(triggeredJob)
		j.Type, j.ShardingTotalCount = begunType, 1
		c.Jobs = append(c.Jobs, j)
		for i := 0; i < count && err == nil; i++ {
			err = n.start(ctx, c, elasticjob.WithPlugins(begunPlugin(begun)))
		}
		if err != nil {
			return triggered{}, errors.Join(err, n.stop(ctx))
		}
		asked, err := n.ownerOf(ctx, triggeredJob, owns)
		if err != nil {
			return triggered{}, errors.Join(err, n.stop(ctx))
		}
		return triggered{
			call: func(ctx context.Context) (string, error) {
				result, err := asked.Trigger(ctx, elasticjob.Trigger{Job: triggeredJob, By: "bench"})
				return result.ID, err
			},
			await: func(ctx context.Context, id string) error {
				_, err := asked.AwaitTrigger(ctx, triggeredJob, id)
				return err
			},
			stop: n.stop,
		}, nil
	}
}

// ownerOf returns the node that owns item 0 of a job, or one that does not.
func (n *nodes) ownerOf(ctx context.Context, name string, owns bool) (*elasticjob.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, joinPatience)
	defer cancel()
	for {
		items, err := n.list[0].Items(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, node := range n.list {
			if items[0].Owner != "" && (items[0].Owner == node.Instance()) == owns {
				return node, nil
			}
		}
		if err := waitUntil(ctx, time.Now().Add(10*time.Millisecond)); err != nil {
			return nil, fmt.Errorf("looking for the owner of job %s: %w", name, err)
		}
	}
}

const begunType = "BEGUN"

// begunPlugin is the job type whose items say when they begin.
func begunPlugin(begun chan<- time.Time) spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind: spi.KindJobType, Type: begunType, Version: "1", Description: "Says when it begins.",
			Capabilities: []string{spi.CapabilityExecute},
		},
		JobType: func(context.Context, props.Values) (spi.JobType, error) {
			return spi.JobTypeFunc(func(context.Context, spi.ExecuteRequest) (spi.ExecuteResponse, error) {
				begun <- time.Now()
				return spi.ExecuteResponse{}, nil
			}), nil
		},
	}
}

// startAsynq starts a server of asynq that looks for tasks every pause, its default
// if that is zero, and a client.
func startAsynq(pause time.Duration) func(context.Context, chan<- time.Time) (triggered, error) {
	return func(ctx context.Context, begun chan<- time.Time) (triggered, error) {
		redis, err := startRedis(ctx)
		if err != nil {
			return triggered{}, err
		}
		at := asynq.RedisClientOpt{Addr: redis.addr}
		server := asynq.NewServer(at, asynq.Config{Concurrency: 10, TaskCheckInterval: pause, LogLevel: asynq.FatalLevel})
		err = server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
			begun <- time.Now()
			return nil
		}))
		if err != nil {
			return triggered{}, errors.Join(err, redis.stop())
		}
		client := asynq.NewClient(at)
		return triggered{
			call: func(ctx context.Context) (string, error) {
				info, err := client.EnqueueContext(ctx, asynq.NewTask(triggeredJob, nil))
				if err != nil {
					return "", err
				}
				return info.ID, nil
			},
			stop: func(context.Context) error {
				server.Shutdown()
				return errors.Join(client.Close(), redis.stop())
			},
		}, nil
	}
}

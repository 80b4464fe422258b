package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

const (
	triggeredJob = "import"
	// triggers is how many are measured, after the first few which find nothing warm.
	triggers     = 1000
	coldTriggers = 50
	// triggerPause lets everything of a trigger be over before the next one.
	triggerPause = 5 * time.Millisecond
	// triggerPatience bounds the wait for a run that was triggered.
	triggerPatience = 30 * time.Second
)

// triggering is one row: who is asked, and who runs.
type triggering struct {
	row     string
	redis   bool
	nodes   int
	another bool // the node that is asked does not own the item
}

func triggerMeasurements() []measurement {
	var list []measurement
	for _, t := range []triggering{
		{row: "embedded", nodes: 1},
		{row: "Redis, same node", redis: true, nodes: 1},
		{row: "Redis, another node is asked", redis: true, nodes: 2, another: true},
	} {
		list = append(list, measurement{name: "trigger/" + t.row + "/" + whoOurs, run: func(ctx context.Context, s *settings) ([]result, error) {
			return measureTriggers(ctx, s, t)
		}})
	}
	return list
}

// measureTriggers measures how long it takes from the call of a trigger until the
// code of the item begins, until the call returns, and until one who waits knows
// that it has ended.
func measureTriggers(ctx context.Context, s *settings, t triggering) (results []result, err error) {
	var n nodes
	defer func() {
		if stopErr := n.stop(ctx); err == nil {
			err = stopErr
		}
	}()
	c, err := n.config(ctx, t.redis)
	if err != nil {
		return nil, err
	}
	j := job.Defaults(triggeredJob)
	j.Type, j.ShardingTotalCount = begunType, 1
	c.Jobs = append(c.Jobs, j)
	begun := make(chan time.Time, 1)
	for range t.nodes {
		if err := n.start(ctx, c, elasticjob.WithPlugins(begunPlugin(begun))); err != nil {
			return nil, err
		}
	}
	asked, err := n.ownerOf(ctx, triggeredJob, !t.another)
	if err != nil {
		return nil, err
	}
	begins, returns, ends := newSamples(triggers), newSamples(triggers), newSamples(triggers)
	for i := range coldTriggers + triggers {
		if i == coldTriggers {
			if err := s.hot(); err != nil {
				return nil, err
			}
		}
		if err := waitUntil(ctx, time.Now().Add(triggerPause)); err != nil {
			return nil, err
		}
		called := time.Now()
		result, err := asked.Trigger(ctx, elasticjob.Trigger{Job: triggeredJob, By: "bench"})
		returned := time.Now()
		if err != nil {
			return nil, err
		}
		bounded, cancel := context.WithTimeout(ctx, triggerPatience)
		_, err = asked.AwaitTrigger(bounded, triggeredJob, result.ID)
		cancel()
		if err != nil {
			return nil, err
		}
		if i >= coldTriggers {
			begins.add((<-begun).Sub(called))
			returns.add(returned.Sub(called))
			ends.add(time.Since(called))
		} else {
			<-begun
		}
	}
	sorted := begins.sorted()
	return []result{{Group: "trigger to start", Row: t.row, Who: whoOurs, Values: []value{
		known("p50", "ms", millis(quantile(sorted, 0.5))),
		known("p99", "ms", millis(quantile(sorted, 0.99))),
		known("max", "ms", millis(quantile(sorted, 1))),
		known("call p50", "ms", millis(quantile(returns.sorted(), 0.5))),
		known("end known p50", "ms", millis(quantile(ends.sorted(), 0.5))),
		known("end known p99", "ms", millis(quantile(ends.sorted(), 0.99))),
	}}}, nil
}

// ownerOf returns the node that owns item 0 of a job, or one that does not.
func (n *nodes) ownerOf(ctx context.Context, name string, owns bool) (*elasticjob.Node, error) {
	bounded, cancel := context.WithTimeout(ctx, joinPatience)
	defer cancel()
	for {
		items, err := n.list[0].Items(bounded, name)
		if err != nil {
			return nil, err
		}
		for _, node := range n.list {
			if items[0].Owner != "" && (items[0].Owner == node.Instance()) == owns {
				return node, nil
			}
		}
		if err := waitUntil(bounded, time.Now().Add(10*time.Millisecond)); err != nil {
			return nil, errors.Join(fmt.Errorf("looking for the owner of job %s: %w", name, err), bounded.Err())
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

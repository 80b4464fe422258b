package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/go-co-op/gocron/v2"
	robfig "github.com/robfig/cron/v3"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// startNodes starts whole nodes that share the jobs: one on the registry inside
// its process, or as many as the load says on a Redis.
func startNodes(ctx context.Context, s *settings, l load, probes []*probe) (started, error) {
	var n nodes
	begin := time.Now()
	config, err := n.config(ctx, l.redis)
	prepared := time.Since(begin)
	if err != nil {
		return started{}, errors.Join(err, n.stop(ctx))
	}
	for i := range probes {
		j := job.Defaults(fmt.Sprintf("job-%06d", i))
		j.Type, j.Cron, j.TimeZone = probeType, l.expression(i), "UTC"
		j.ShardingTotalCount = 1
		j.MonitorExecution = l.monitored
		j.Props[propProbe] = strconv.Itoa(i)
		config.Jobs = append(config.Jobs, j)
	}
	options := []elasticjob.Option{elasticjob.WithPlugins(probePlugin(probes))}
	if s.records != "" {
		file, err := os.Create(s.records)
		if err != nil {
			return started{}, errors.Join(fmt.Errorf("writing the log: %w", err), n.stop(ctx))
		}
		n.closers = append(n.closers, file.Close)
		options = append(options, elasticjob.WithLogger(slog.New(slog.NewJSONHandler(file, nil))))
	}
	for range max(l.nodes, 1) {
		if err := n.start(ctx, config, options...); err != nil {
			return started{}, errors.Join(err, n.stop(ctx))
		}
	}
	return started{stop: n.stop, redis: n.redis, sends: scriptCalls, prepared: prepared}, nil
}

const (
	probeType = "PROBE"
	propProbe = "bench.probe"
)

// probePlugin is the job type whose items tell the probe of their job.
func probePlugin(probes []*probe) spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind: spi.KindJobType, Type: probeType, Version: "1",
			Description:  "Notes how late it runs.",
			Capabilities: []string{spi.CapabilityExecute},
			Props:        props.Schema{{Name: propProbe, Type: props.Int, Required: true, Description: "The number of the probe.", Example: "0"}},
		},
		JobType: func(_ context.Context, values props.Values) (spi.JobType, error) {
			n, err := strconv.Atoi(values[propProbe])
			if err != nil || n < 0 || n >= len(probes) {
				return nil, fmt.Errorf("there is no probe %q", values[propProbe])
			}
			p := probes[n]
			return spi.JobTypeFunc(func(_ context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
				p.fired(req.Context.FireTime.UnixNano())
				return spi.ExecuteResponse{}, nil
			}), nil
		},
	}
}

// startRobfig starts the jobs in robfig/cron.
func startRobfig(_ context.Context, _ *settings, l load, probes []*probe) (started, error) {
	parser := robfigParser()
	c := robfig.New(robfig.WithParser(parser), robfig.WithLocation(time.UTC))
	for i, p := range probes {
		schedule, err := parser.Parse(l.expression(i))
		if err != nil {
			return started{}, err
		}
		t := &tracked{schedule: schedule, probe: p}
		c.Schedule(t, robfig.FuncJob(t.run))
	}
	c.Start()
	return started{stop: func(context.Context) error {
		<-c.Stop().Done()
		return nil
	}}, nil
}

// robfigParser reads six fields, as the other engines do.
func robfigParser() robfig.Parser {
	return robfig.NewParser(robfig.Second | robfig.Minute | robfig.Hour | robfig.Dom | robfig.Month | robfig.Dow)
}

// startGocron starts the jobs in gocron.
func startGocron(_ context.Context, _ *settings, l load, probes []*probe) (started, error) {
	scheduler, err := newGocron(l, probes, nil)
	if err != nil {
		return started{}, err
	}
	scheduler.Start()
	return started{stop: func(context.Context) error { return stopGocron(scheduler) }}, nil
}

// newGocron returns a scheduler with the jobs that is not started. With a locker
// each run takes a lock first.
func newGocron(l load, probes []*probe, locker *locker) (gocron.Scheduler, error) {
	options := []gocron.SchedulerOption{gocron.WithLocation(time.UTC), gocron.WithStopTimeout(time.Second)}
	if locker != nil {
		options = append(options, gocron.WithDistributedLocker(locker))
	}
	scheduler, err := gocron.NewScheduler(options...)
	if err != nil {
		return nil, err
	}
	parser := robfigParser()
	for i, p := range probes {
		schedule, err := parser.Parse(l.expression(i))
		if err != nil {
			return nil, errors.Join(err, scheduler.Shutdown())
		}
		t := &tracked{schedule: schedule, probe: p, skipsPast: true}
		name, run := fmt.Sprintf("job-%06d", i), t.run
		if locker != nil {
			locker.jobs[name], run = t, t.runLocked
		}
		if _, err := scheduler.NewJob(gocron.CronJob(l.expression(i), true), gocron.NewTask(run), gocron.WithName(name),
			gocron.WithCronImplementation(gocronSchedule{t})); err != nil {
			return nil, errors.Join(err, scheduler.Shutdown())
		}
	}
	return scheduler, nil
}

func stopGocron(scheduler gocron.Scheduler) error {
	if err := scheduler.Shutdown(); err != nil && !errors.Is(err, gocron.ErrStopJobsTimedOut) && !errors.Is(err, gocron.ErrStopExecutorTimedOut) {
		return err
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// startNode starts a whole node with the jobs.
func startNode(ctx context.Context, s *settings, l load, probes []*probe) (func() error, error) {
	dir, err := os.MkdirTemp("", "elasticjob-bench-")
	if err != nil {
		return nil, err
	}
	config := elasticjob.Defaults()
	config.DataDir = dir
	for i := range probes {
		j := job.Defaults(fmt.Sprintf("job-%06d", i))
		j.Type, j.Cron, j.TimeZone = probeType, l.expression(i), "UTC"
		j.ShardingTotalCount = 1
		j.MonitorExecution = l.monitored
		j.Props[propProbe] = strconv.Itoa(i)
		config.Jobs = append(config.Jobs, j)
	}
	options := []elasticjob.Option{elasticjob.WithPlugins(probePlugin(probes))}
	if s.records {
		records := slog.NewJSONHandler(io.Discard, nil) //nolint:sloglint // what formatting them costs is the question
		options = append(options, elasticjob.WithLogger(slog.New(records)))
	}
	node, err := elasticjob.New(ctx, config, options...)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	stop := func() error {
		return errors.Join(node.Stop(context.WithoutCancel(ctx)), os.RemoveAll(dir))
	}
	if err := node.Start(ctx); err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
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
func startRobfig(_ context.Context, _ *settings, l load, probes []*probe) (func() error, error) {
	parser := robfigParser()
	c := robfig.New(robfig.WithParser(parser), robfig.WithLocation(time.UTC))
	for i, p := range probes {
		schedule, err := parser.Parse(l.expression(i))
		if err != nil {
			return nil, err
		}
		t := &tracked{schedule: schedule, probe: p}
		c.Schedule(t, robfig.FuncJob(t.run))
	}
	c.Start()
	return func() error {
		<-c.Stop().Done()
		return nil
	}, nil
}

// robfigParser reads six fields, as the other engines do.
func robfigParser() robfig.Parser {
	return robfig.NewParser(robfig.Second | robfig.Minute | robfig.Hour | robfig.Dom | robfig.Month | robfig.Dow)
}

// startGocron starts the jobs in gocron.
func startGocron(_ context.Context, _ *settings, l load, probes []*probe) (func() error, error) {
	scheduler, err := gocron.NewScheduler(gocron.WithLocation(time.UTC), gocron.WithStopTimeout(time.Second))
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
		if _, err := scheduler.NewJob(gocron.CronJob(l.expression(i), true), gocron.NewTask(t.run), gocron.WithCronImplementation(gocronSchedule{t})); err != nil {
			return nil, errors.Join(err, scheduler.Shutdown())
		}
	}
	scheduler.Start()
	return func() error {
		if err := scheduler.Shutdown(); err != nil && !errors.Is(err, gocron.ErrStopJobsTimedOut) && !errors.Is(err, gocron.ErrStopExecutorTimedOut) {
			return err
		}
		return nil
	}, nil
}

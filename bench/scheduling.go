package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/go-co-op/gocron/v2"
	robfig "github.com/robfig/cron/v3"

	"github.com/elasticjob-go/elasticjob/core/cron"
	"github.com/elasticjob-go/elasticjob/core/schedule"
)

// scheduledJobs is how many jobs are held when the heap is measured.
const scheduledJobs = 100_000

// rarely is the expression of jobs that are held and do not fire.
const rarely = "0 0 0 1 1 ?"

// holder keeps scheduled jobs.
type holder struct {
	who string
	// late is how many jobs are added, one by one, to the running full holder.
	late int
	make func() (timetable, error)
}

// timetable is what a holder made.
type timetable struct {
	add   func(name string) error
	start func() error
	stop  func() error
}

func schedulingMeasurements() []measurement {
	var list []measurement
	for _, h := range []holder{
		{whoOurs, 1000, oursTimetable},
		{whoRobfig, 20, robfigTimetable}, // each takes as long as sorting them all
		{whoGocron, 1000, gocronTimetable},
	} {
		list = append(list, measurement{
			name: "schedule/" + h.who,
			run:  func(_ context.Context, s *settings) ([]result, error) { return measureScheduling(s, h) },
		})
	}
	return list
}

// measureScheduling measures the timers alone: what a job takes in them, and
// how long adding one takes. Names are made before.
func measureScheduling(s *settings, h holder) (results []result, err error) {
	names := make([]string, scheduledJobs+h.late)
	for i := range names {
		names[i] = fmt.Sprintf("job-%06d", i)
	}
	if err := s.hot(); err != nil {
		return nil, err
	}
	before := heap()
	t, err := h.make()
	if err != nil {
		return nil, err
	}
	defer func() {
		if stopErr := t.stop(); err == nil {
			err = stopErr
		}
	}()
	begin := time.Now()
	for _, name := range names[:scheduledJobs] {
		if err := t.add(name); err != nil {
			return nil, err
		}
	}
	addEarly := time.Since(begin) / scheduledJobs
	if err := t.start(); err != nil {
		return nil, err
	}
	after := heap()
	begin = time.Now()
	for _, name := range names[scheduledJobs:] {
		if err := t.add(name); err != nil {
			return nil, err
		}
	}
	addLate := time.Since(begin) / time.Duration(h.late)
	runtime.KeepAlive(names)
	return []result{{Group: "timer alone", Row: "100k jobs held", Who: h.who, Values: []value{
		known("heap/job", "B", perJobBytes(before, after, scheduledJobs)),
		known("add before start", "µs", micros(addEarly)),
		known("add to 100k running", "µs", micros(addLate)),
	}}}, nil
}

// nobody is the target of jobs that do not fire.
type nobody struct{}

var _ schedule.Target = nobody{}

func (nobody) Fire(schedule.Due) {}

func oursTimetable() (timetable, error) {
	timer := schedule.NewTimer(time.Now)
	ctx := context.Background()
	return timetable{
		add: func(name string) error {
			expression, err := cron.Parse(rarely, time.UTC)
			if err != nil {
				return err
			}
			timer.Set(name, expression, time.Now(), nobody{})
			return nil
		},
		start: func() error { return timer.Start(ctx) },
		stop:  func() error { return timer.Stop(ctx) },
	}, nil
}

func robfigTimetable() (timetable, error) {
	c := robfig.New(robfig.WithParser(robfigParser()), robfig.WithLocation(time.UTC))
	nothing := func() {}
	return timetable{
		add: func(string) error {
			_, err := c.AddFunc(rarely, nothing)
			return err
		},
		start: func() error { c.Start(); return nil },
		stop:  func() error { <-c.Stop().Done(); return nil },
	}, nil
}

func gocronTimetable() (timetable, error) {
	scheduler, err := gocron.NewScheduler(gocron.WithLocation(time.UTC), gocron.WithStopTimeout(time.Second))
	if err != nil {
		return timetable{}, err
	}
	nothing := func() {}
	return timetable{
		add: func(name string) error {
			_, err := scheduler.NewJob(gocron.CronJob(rarely, true), gocron.NewTask(nothing), gocron.WithName(name))
			return err
		},
		start: func() error { scheduler.Start(); return nil },
		stop:  scheduler.Shutdown,
	}, nil
}

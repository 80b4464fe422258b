// Command dependencies runs jobs after another one: a report when that has succeeded, an
// alarm when it has not. The lesson: a job says after which jobs it runs, and each of
// their runs is followed once, or the registry knows why not.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/elasticjob-go/elasticjob"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, configuration(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// configuration has three jobs. The first could as well have a cron.
func configuration() elasticjob.Config {
	extract, report, alarm := elasticjob.NewJob("extract"), elasticjob.NewJob("report"), elasticjob.NewJob("alarm")
	extract.ShardingTotalCount, extract.ShardingItemParameters = 3, "0=products,1=customers,2=orders"
	report.DependsOn = []elasticjob.Dependency{{Job: "extract", On: elasticjob.OnSuccess}}
	alarm.DependsOn = []elasticjob.Dependency{{Job: "extract", On: elasticjob.OnFailure}}
	config := elasticjob.Defaults()
	config.Jobs = []elasticjob.JobConfig{extract, report, alarm}
	return config
}

// run starts a node, lets the first job run twice, waits for what follows, and stops the
// node.
func run(ctx context.Context, config elasticjob.Config, out io.Writer) (err error) {
	type start struct{ job, run string }
	followed := make(chan start)
	follow := func(ctx context.Context, job *elasticjob.Job) error {
		select {
		case followed <- start{job.JobName, job.RunID}:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	node, err := elasticjob.New(ctx, config, elasticjob.WithFunc("extract", extract),
		elasticjob.WithFunc("report", follow), elasticjob.WithFunc("alarm", follow))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Stop(context.WithoutCancel(ctx))) }()
	if err := node.Start(ctx); err != nil {
		return err
	}
	for _, missing := range []string{"nothing", "orders"} {
		result, err := node.Trigger(ctx, elasticjob.Trigger{Job: "extract", Parameter: &missing, By: "example"})
		if err != nil {
			return err
		}
		select {
		case got := <-followed:
			_, _ = fmt.Fprintf(out, "with %s missing: %s under the same run id: %t\n", missing, got.job, got.run == result.ID)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	runs, err := node.JobRuns(ctx, "alarm")
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out, "before that, alarm was", runs[0].State, "as extract had", runs[0].Before["extract"])
	return nil
}

// extract is the job whose end the others wait for.
func extract(_ context.Context, job *elasticjob.Job) error {
	if job.ShardingParameter == job.JobParameter {
		return errors.New("there are no " + job.JobParameter)
	}
	return nil
}

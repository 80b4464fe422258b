// Command one-off runs a job that has no schedule, whenever the program wants it:
// all items, not while they run, and those that failed with another parameter. The
// lesson: a trigger says what was accepted, and can be waited for.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

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

// configuration has one job with neither cron, every nor at.
func configuration() elasticjob.Config {
	job := elasticjob.NewJob("rebuildIndex")
	job.ShardingTotalCount, job.ShardingItemParameters = 3, "0=products,1=customers,2=orders"
	job.JobParameter = "everything"
	config := elasticjob.Defaults()
	config.Jobs = []elasticjob.JobConfig{job}
	return config
}

// run starts a node, triggers the job three times and stops the node.
func run(ctx context.Context, config elasticjob.Config, out io.Writer) (err error) {
	node, err := elasticjob.New(ctx, config, elasticjob.WithFunc("rebuildIndex", rebuild))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Stop(context.WithoutCancel(ctx))) }()
	if err := node.Start(ctx); err != nil {
		return err
	}

	all, err := node.Trigger(ctx, elasticjob.Trigger{Job: "rebuildIndex", By: "example"})
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out, "everything: accepted", all.Accepted)

	// They run now. This trigger would rather be refused than wait for them.
	_, err = node.Trigger(ctx, elasticjob.Trigger{Job: "rebuildIndex", Mode: elasticjob.TriggerRefuse, By: "example"})
	_, _ = fmt.Fprintln(out, "once more:  refused", errors.Is(err, elasticjob.ErrRefused))

	info, err := node.AwaitTrigger(ctx, "rebuildIndex", all.ID)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out, "everything: succeeded", info.Succeeded, "failed", info.Failed)

	// What has failed runs again, with another parameter.
	again, err := node.Trigger(ctx, elasticjob.Trigger{Job: "rebuildIndex", Items: info.Failed, Parameter: new("since yesterday"), By: "example"})
	if err != nil {
		return err
	}
	if info, err = node.AwaitTrigger(ctx, "rebuildIndex", again.ID); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out, "again:      succeeded", info.Succeeded, "failed", info.Failed)
	return nil
}

// rebuild is the job: a second of work on one index. The orders cannot be rebuilt
// as a whole.
func rebuild(ctx context.Context, job *elasticjob.Job) error {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if job.ShardingParameter == "orders" && job.JobParameter == "everything" {
		return errors.New("too many orders: say since when")
	}
	return nil
}

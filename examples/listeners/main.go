// Command listeners starts two nodes that share a job of four items, and prints
// what two listeners of the job are told. The lesson: a listener is called by each
// node for its own items, or by one node once for the whole run.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/sdk"
	"github.com/elasticjob-go/elasticjob/spi"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// start runs what the file of the folder says.
func start(ctx context.Context) error {
	config, problems := elasticjob.LoadFile("elasticjob.yaml")
	if len(problems) > 0 {
		return elasticjob.Problems(problems)
	}
	return run(ctx, config, &printer{to: os.Stdout})
}

// run runs two nodes for as long as ctx, or until one of them fails.
func run(ctx context.Context, config elasticjob.Config, p *printer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		mine := config
		mine.Instance.ID = fmt.Sprintf("node-%d", i+1)
		wg.Go(func() {
			defer stop()
			errs[i] = elasticjob.Run(ctx, mine, p.node(mine.Instance.ID)...)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// printer writes what happens on any node, line by line. It is safe for concurrent
// use.
type printer struct {
	mu sync.Mutex

	to io.Writer
}

// print writes a line: the number of the run, which is the second in which it
// fired, the node, and what happened.
func (p *printer) print(fired time.Time, node, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.to, "%s  %s  %s\n", fired.UTC().Format("15:04:05"), node, fmt.Sprintf(format, args...))
}

// node is what one node has: the function of the job, and both listeners.
func (p *printer) node(name string) []elasticjob.Option {
	each := sdk.JobListener("EACH", "Tells of the items of this node.",
		func(_ context.Context, run *sdk.Run) error {
			p.print(run.FireTime, name, "  before my items %s", items(run))
			return nil
		},
		func(_ context.Context, run *sdk.Run) error {
			p.print(run.FireTime, name, "  after my items %s", items(run))
			return nil
		})
	once := sdk.JobListener("ONCE", "Tells of the whole run, on one node.",
		func(_ context.Context, run *sdk.Run) error {
			p.print(run.FireTime, name, "before all items %s", items(run))
			return nil
		},
		func(_ context.Context, run *sdk.Run) error {
			p.print(run.FireTime, name, "after all items %s", items(run))
			return nil
		})
	once.Descriptor.Capabilities = []string{spi.CapabilityDistributeOnce}
	work := func(ctx context.Context, job *elasticjob.Job) error {
		p.print(job.FireTime, name, "    item %d", job.ShardingItem)
		if job.ShardingParameter == "broken" {
			return errors.New("out of order")
		}
		return nil
	}
	return []elasticjob.Option{elasticjob.WithFunc("count", work), elasticjob.WithPlugins(each, once)}
}

// items writes the items of a run, with their outcomes once they have some.
func items(run *sdk.Run) string {
	var parts []string
	for _, item := range run.Items {
		part := strconv.Itoa(item.Item)
		if item.Outcome != "" {
			part += "=" + string(item.Outcome)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " ")
}

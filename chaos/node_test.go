//go:build unix

package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/registry/dial"
	"github.com/elasticjob-go/elasticjob/spi"
)

// nodeCommand is the first argument of a node. The others are its file and the
// address of the resource.
const nodeCommand = "chaos-node"

// jobSpec is a job of every node.
type jobSpec struct {
	name      string
	every     time.Duration
	items     int
	monitored bool
	failover  bool
	// shortest and longest are how long an item runs.
	shortest, longest time.Duration
	// after are the jobs that it runs after instead of by itself.
	after []dependency
	// fails is the part of its items that fail.
	fails float64
}

// jobSpecs are the jobs of a fleet to which everything happens.
func jobSpecs() []jobSpec {
	return append(graphSpecs(), []jobSpec{
		{name: "settle", every: 2 * time.Second, items: 6, monitored: true, failover: true, shortest: 500 * time.Millisecond, longest: 1900 * time.Millisecond},
		{name: "long", every: 5 * time.Second, items: 3, monitored: true, failover: true, shortest: 2 * time.Second, longest: 6 * time.Second},
		{name: "marked", every: time.Second, items: 4, monitored: true, shortest: 10 * time.Millisecond, longest: 800 * time.Millisecond},
		{name: "loose", every: time.Second, items: 4, shortest: 10 * time.Millisecond, longest: 800 * time.Millisecond},
	}...)
}

// brisk is the job that shows soon where an item is.
const brisk = "brisk"

// calmSpecs are the jobs of a fleet to which one thing happens at a time.
func calmSpecs() []jobSpec {
	return []jobSpec{
		{name: brisk, every: 100 * time.Millisecond, items: 4, monitored: true, failover: true, shortest: time.Millisecond, longest: 5 * time.Millisecond},
		{name: "lasting", every: 2 * time.Second, items: 8, monitored: true, failover: true, shortest: 1800 * time.Millisecond, longest: 1900 * time.Millisecond},
	}
}

// nodeFile is the file of a node with some keys of its regCenter, and jobs.
func nodeFile(center string, specs []jobSpec) string {
	var b strings.Builder
	fmt.Fprintf(&b, "elasticjob:\n  shutdownGraceMilliseconds: 4000\n")
	fmt.Fprintf(&b, "  regCenter: {%s, namespace: chaos, sessionTimeoutMilliseconds: %d, connectionTimeoutMilliseconds: 60000}\n", center, sessionTimeout.Milliseconds())
	fmt.Fprintf(&b, "  jobs:\n")
	for _, j := range specs {
		fmt.Fprintf(&b, "    %s: {elasticJobType: SIMPLE, %s, shardingTotalCount: %d, monitorExecution: %t, failover: %t}\n",
			j.name, j.when(), j.items, j.monitored, j.failover)
	}
	return b.String()
}

// when says in a node's file when the job runs.
func (s jobSpec) when() string {
	if len(s.after) == 0 {
		return fmt.Sprintf("every: %v", s.every)
	}
	list := make([]string, len(s.after))
	for i, d := range s.after {
		list[i] = fmt.Sprintf("{job: %s, on: %s}", d.job, d.on)
	}
	return fmt.Sprintf("dependsOn: [%s]", strings.Join(list, ", "))
}

// note is what an item says of itself, a line of the node's standard output.
type note struct {
	IsEnd  bool      `json:"isEnd"`
	At     time.Time `json:"at"`
	Job    string    `json:"job"`
	Item   int       `json:"item"`
	Run    string    `json:"run"`
	Source string    `json:"source"`
	Fence  int64     `json:"fence"`
	// Cause is how it ended.
	Cause cause `json:"cause"`
}

// cause is how an item ended, as its own code sees it.
type cause string

// The causes. An item whose node was killed has none.
const (
	success   cause = "success"
	fenced    cause = "fenced"
	stopping  cause = "stopping"
	leaseLost cause = "lease lost"
	failed    cause = "failed"
)

// worker is the code of the jobs.
type worker struct {
	resource *resourceClient

	mu  sync.Mutex
	out io.Writer
}

// runNode is the program of a node; it returns its exit status.
func runNode(file, resource string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if err := serveNode(ctx, logger, file, resource); err != nil {
		logger.Error("node failed", "err", err)
		return 1
	}
	return 0
}

func serveNode(ctx context.Context, logger *slog.Logger, file, resource string) error {
	dial.LogTo(logger)
	config, problems := elasticjob.LoadFile(file)
	if len(problems) > 0 {
		return fmt.Errorf("reading %s: %v", file, problems)
	}
	config.DataDir = file + ".data"
	w := &worker{resource: newResourceClient(resource), out: os.Stdout}
	options := []elasticjob.Option{elasticjob.WithLogger(logger)}
	for _, spec := range append(jobSpecs(), calmSpecs()...) {
		options = append(options, elasticjob.WithFunc(spec.name, func(ctx context.Context, job *elasticjob.Job) error { return w.run(ctx, spec, job) }))
	}
	node, err := elasticjob.New(ctx, config, options...)
	if err != nil {
		return err
	}
	err = node.Start(ctx)
	if err == nil {
		<-ctx.Done()
	}
	return errors.Join(err, node.Stop(context.WithoutCancel(ctx)))
}

// steps is how often an item changes the resource.
const steps = 4

// run is one item: it changes the resource again and again until it is done.
func (w *worker) run(ctx context.Context, spec jobSpec, job *elasticjob.Job) error {
	n := note{At: time.Now(), Job: job.JobName, Item: job.ShardingItem, Run: job.RunID, Source: string(job.ExecutionSource), Fence: job.FencingToken}
	if err := w.write(n); err != nil {
		return err
	}
	err := w.work(ctx, n, spec.lengthOf(n)/(steps-1))
	if err == nil && spec.isToFail(n) {
		err = errors.New("this item fails in this run")
	}
	n.IsEnd, n.At, n.Cause = true, time.Now(), failed
	switch at := context.Cause(ctx); {
	case err == nil:
		n.Cause = success
	case errors.Is(err, errFenced):
		n.Cause = fenced
	case errors.Is(at, spi.ErrLeaseLost):
		n.Cause = leaseLost
	case errors.Is(at, spi.ErrStopping):
		n.Cause = stopping
	}
	return errors.Join(err, w.write(n))
}

func (w *worker) work(ctx context.Context, n note, between time.Duration) error {
	for step := range steps {
		if step > 0 {
			select {
			case <-time.After(between):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if err := w.resource.change(ctx, effect{Job: n.Job, Item: n.Item, Run: n.Run, Fence: n.Fence, Step: step, PID: os.Getpid()}); err != nil {
			return err
		}
	}
	return nil
}

// lengthOf is how long an item runs: the same in each of its runs.
func (s jobSpec) lengthOf(n note) time.Duration {
	return s.shortest + time.Duration(n.hash("%s %d %s")%uint64(s.longest-s.shortest))
}

// isToFail reports whether an item fails: the same in each of its runs.
func (s jobSpec) isToFail(n note) bool { return float64(n.hash("%s fails %d %s")%1000) < 1000*s.fails }

// hash is a number made of the job, the item and the run.
func (n note) hash(layout string) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, layout, n.Job, n.Item, n.Run)
	return h.Sum64()
}

// write writes a note in one piece.
func (w *worker) write(n note) error {
	line, err := json.Marshal(n)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err = w.out.Write(append(line, '\n'))
	return err
}

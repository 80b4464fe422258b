package elasticjob_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/sdk"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// A function of the program is a job of three items, fired every 50 ms until the
// program has seen enough.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	config, job := elasticjob.Defaults(), elasticjob.NewJob("hello")
	job.Every, job.ShardingTotalCount, job.ShardingItemParameters = 50*time.Millisecond, 3, "0=Beijing,1=Shanghai,2=Guangzhou"
	config.Jobs = append(config.Jobs, job)
	err := elasticjob.Run(ctx, config, elasticjob.WithFunc("hello", func(ctx context.Context, job *elasticjob.Job) error {
		if job.ShardingItem == 2 {
			fmt.Println("hello,", job.ShardingParameter)
			stop()
		}
		return nil
	}))
	fmt.Println("stopped:", err)
	// Output:
	// hello, Guangzhou
	// stopped: <nil>
}

// greet prints what a job is told.
func greet(_ context.Context, job *elasticjob.Job) error {
	fmt.Println("greeting:", job.JobParameter)
	return nil
}

// orders is a configuration with one job, which calls the function orders once a
// year.
func orders() elasticjob.Config {
	config, job := elasticjob.Defaults(), elasticjob.NewJob("orders")
	job.Cron, job.TimeZone, job.ShardingTotalCount = "0 0 2 1 1 ?", "Asia/Shanghai", 2
	config.Instance.ID = "node-1"
	config.Jobs = append(config.Jobs, job)
	return config
}

// startOrders starts a node of that configuration, with a function that does
// nothing.
func startOrders(ctx context.Context, options ...elasticjob.Option) *elasticjob.Node {
	options = append(options, elasticjob.WithFunc("orders", func(context.Context, *elasticjob.Job) error { return nil }))
	node, err := elasticjob.New(ctx, orders(), options...)
	if err == nil {
		err = node.Start(ctx)
	}
	if err != nil {
		panic(err)
	}
	return node
}

// writeFile writes a configuration file into a directory of its own.
func writeFile(text string) (path string, remove func()) {
	dir, err := os.MkdirTemp("", "example")
	if err == nil {
		path = filepath.Join(dir, "elasticjob.yaml")
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err != nil {
		panic(err)
	}
	return path, func() { _ = os.RemoveAll(dir) }
}

func ExampleRun() {
	// A program would make ctx with signal.NotifyContext.
	ctx, stop := context.WithCancel(context.Background())
	config := orders()
	config.Jobs[0].Cron = "* * * * * ?"
	err := elasticjob.Run(ctx, config, elasticjob.WithFunc("orders", func(context.Context, *elasticjob.Job) error {
		stop()
		return nil
	}))
	fmt.Println(err)
	// Output: <nil>
}

func ExampleNew() {
	ctx := context.Background()
	_, err := elasticjob.New(ctx, orders())
	if problems, ok := errors.AsType[elasticjob.Problems](err); ok {
		fmt.Println(problems[0].Message)
	}

	node, err := elasticjob.New(ctx, orders(), elasticjob.WithFunc("orders", greet))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Stop(ctx) }()
	fmt.Println("made", node.Instance())
	// Output:
	// job "orders": this program has no function "orders" for simple.function; it has none: functions belong to a program that embeds a node and registers them
	// made node-1
}

func ExampleDefaults() {
	config := elasticjob.Defaults()
	fmt.Println(config.ShutdownGrace, config.MaxRunningItems, len(config.Jobs))
	// Output: 30s 256 0
}

func ExampleNewJob() {
	job := elasticjob.NewJob("nightly")
	job.Cron, job.TimeZone = "0 0 2 * * ?", "Asia/Shanghai"
	job.Timeout = 10 * time.Minute
	fmt.Println(job.Type, job.Cron, job.TimeZone, job.Timeout, job.ShardingTotalCount, job.Misfire, job.ErrorHandlerTypes)
	// Output: SIMPLE 0 0 2 * * ? Asia/Shanghai 10m0s 1 true [LOG]
}

func ExampleWithExit() {
	ctx := context.Background()
	config := orders()
	config.OnZombie = "exit"
	// Code that ignores the end of its lease ends with the process, as os.Exit does it.
	node, err := elasticjob.New(ctx, config, elasticjob.WithFunc("orders", greet), elasticjob.WithExit(func() { os.Exit(3) }))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("made", node.Instance())
	fmt.Println(node.Stop(ctx))
	// Output:
	// made node-1
	// <nil>
}

func ExampleLoadFile() {
	path, remove := writeFile(`elasticjob:
  jobs:
    orders: {elasticJobType: SIMPLE, cron: "0 0 * * * ?", shardingTotalCount: 2}
    bills: {elasticJobType: SIMPLE, cron: "0 0 25 * * ?", shardingTotalCount: 2}
`)
	defer remove()
	config, problems := elasticjob.LoadFile(path)
	fmt.Println(len(config.Jobs), "jobs")
	for _, p := range problems {
		fmt.Println(p.Line, p.Rule)
	}
	// Output:
	// 2 jobs
	// 4 cron
}

func ExampleLint() {
	config := orders()
	config.Jobs[0].ErrorHandlerTypes = []string{"LOGG"}
	for _, p := range elasticjob.Lint(context.Background(), config, false, elasticjob.WithFunc("orders", greet)) {
		fmt.Println(p.Rule+":", p.Message)
	}
	// Output: unknown-type: job "orders": no plugin declares error handler "LOGG"; did you mean LOG?
}

func ExamplePlugins() {
	infos, problems := elasticjob.Plugins(context.Background(), orders())
	for _, info := range infos {
		if info.Descriptor.Kind == spi.KindJobType && info.Descriptor.Type == "SIMPLE" {
			fmt.Println(info.Descriptor.Type, info.Provenance, len(info.Wants))
		}
	}
	fmt.Println(len(problems), "problems")
	// Output:
	// SIMPLE built-in 0
	// 0 problems
}

func ExampleRunLocal() {
	job := elasticjob.NewJob("orders")
	job.ShardingTotalCount, job.ShardingItemParameters, job.JobParameter = 2, "0=Beijing,1=Shanghai", "reconcile"
	config := elasticjob.Defaults()
	config.Jobs = append(config.Jobs, job)
	items, err := elasticjob.RunLocal(context.Background(), config, elasticjob.LocalRun{Job: "orders", Items: []int{1}},
		elasticjob.WithFunc("orders", func(_ context.Context, job *elasticjob.Job) error {
			job.Result = job.JobParameter + " " + job.ShardingParameter
			return nil
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, item := range items {
		fmt.Println(item.Item, item.Outcome, item.Result)
	}
	// Output: 1 success reconcile Shanghai
}

func ExampleWithFunc() {
	job := elasticjob.NewJob("orders")
	job.JobParameter = "hello"
	job.Props["simple.function"] = "greet" // else that of the job's own name
	config := elasticjob.Defaults()
	config.Jobs = append(config.Jobs, job)
	_, err := elasticjob.RunLocal(context.Background(), config, elasticjob.LocalRun{}, elasticjob.WithFunc("greet", greet))
	fmt.Println(err)
	// Output:
	// greeting: hello
	// <nil>
}

func ExampleWithDataflow() {
	type order struct {
		ID   int
		City string
	}
	fetch := func(_ context.Context, job *elasticjob.Job, cursor string) ([]order, string, error) {
		if cursor == "end" {
			return nil, "", nil
		}
		return []order{{1, job.ShardingParameter}, {2, job.ShardingParameter}}, "end", nil
	}
	process := func(_ context.Context, _ *elasticjob.Job, orders []order) error {
		for _, o := range orders {
			fmt.Println("shipping", o.ID, "in", o.City)
		}
		return nil
	}
	job := elasticjob.NewJob("ship")
	job.Type, job.ShardingItemParameters = "DATAFLOW", "0=Beijing"
	job.Props["streaming.process"] = "true"
	config := elasticjob.Defaults()
	config.Jobs = append(config.Jobs, job)
	items, err := elasticjob.RunLocal(context.Background(), config, elasticjob.LocalRun{}, elasticjob.WithDataflow("ship", fetch, process))
	fmt.Println(items[0].Result, err)
	// Output:
	// shipping 1 in Beijing
	// shipping 2 in Beijing
	// batches: 1, data: 2 <nil>
}

func ExampleWithLogger() {
	ctx := context.Background()
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil)).With("program", "shop")
	node := startOrders(ctx, elasticjob.WithLogger(logger))
	_ = node.Stop(ctx)
	fmt.Println(strings.Contains(log.String(), `msg="node started" program=shop instance=node-1`))
	// Output: true
}

func ExampleWithPlugins() {
	// A job type with properties that are checked, made of a function.
	greeting := sdk.JobType("GREETING", "greets a city", func(_ context.Context, job *sdk.Job) error {
		job.Result = job.Props.String("greeting.text") + ", " + job.ShardingParameter
		return nil
	}, props.Field{Name: "greeting.text", Type: props.String, Default: "hello", Max: "20", Description: "the text"})
	job := elasticjob.NewJob("greet")
	job.Type, job.ShardingItemParameters = "GREETING", "0=Beijing"
	config := elasticjob.Defaults()
	config.Jobs = append(config.Jobs, job)
	items, err := elasticjob.RunLocal(context.Background(), config, elasticjob.LocalRun{}, elasticjob.WithPlugins(greeting))
	fmt.Println(items[0].Result, err)
	// Output: hello, Beijing <nil>
}

func ExampleWithNotes() {
	path, remove := writeFile(`elasticjob:
  plugins: [{process: /bin/sh}]
  jobs: {orders: {elasticJobType: ORDERS, every: 1h, shardingTotalCount: 2}}
`)
	defer remove()
	config, _ := elasticjob.LoadFile(path)
	// Offline nobody asks the program, which may bring the type.
	problems := elasticjob.Lint(context.Background(), config, true, elasticjob.WithNotes(func(note elasticjob.Problem) {
		fmt.Println("note:", note.Message[strings.Index(note.Message, "it may"):])
	}))
	fmt.Println(len(problems), "problems")
	// Output:
	// note: it may come from plugins[0], not started offline
	// 0 problems
}

func ExampleWithObserver() {
	job := elasticjob.NewJob("orders")
	config := elasticjob.Defaults()
	config.Jobs = append(config.Jobs, job)
	observer := elasticjob.Observer{
		Finished: func(e elasticjob.ItemFinished) { fmt.Println(e.Job, e.Item, e.Outcome, e.Error) },
	}
	_, err := elasticjob.RunLocal(context.Background(), config, elasticjob.LocalRun{}, elasticjob.WithObserver(observer),
		elasticjob.WithFunc("orders", func(context.Context, *elasticjob.Job) error { return errors.New("no stock") }))
	fmt.Println(err)
	// Output:
	// orders 0 failure no stock
	// <nil>
}

func ExampleNode_Start() {
	ctx := context.Background()
	node, err := elasticjob.New(ctx, orders(), elasticjob.WithFunc("orders", greet))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := node.Start(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println("up:", node.Instance())
	fmt.Println("stopped:", node.Stop(ctx))
	// Output:
	// up: node-1
	// stopped: <nil>
}

func ExampleNode_Stop() {
	node := startOrders(context.Background())
	// Items that run have five seconds to end before they are cancelled.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fmt.Println(node.Stop(ctx))
	// Output: <nil>
}

func ExampleNode_Instance() {
	ctx := context.Background()
	node := startOrders(ctx)
	defer func() { _ = node.Stop(ctx) }()
	fmt.Println(node.Instance())
	// Output: node-1
}

func ExampleNode_Jobs() {
	ctx := context.Background()
	node := startOrders(ctx)
	defer func() { _ = node.Stop(ctx) }()
	jobs, err := node.Jobs(ctx)
	for _, j := range jobs {
		fmt.Println(j.Name, j.Type, j.Config.Cron, j.Instances)
	}
	fmt.Println(err)
	// Output:
	// orders SIMPLE 0 0 2 1 1 ? [node-1]
	// <nil>
}

func ExampleNode_Job() {
	ctx := context.Background()
	node := startOrders(ctx)
	defer func() { _ = node.Stop(ctx) }()
	job, err := node.Job(ctx, "orders")
	fmt.Println(job.Name, job.Config.ShardingTotalCount, err)
	_, err = node.Job(ctx, "order")
	fmt.Println(errors.Is(err, elasticjob.ErrUnknownJob))
	// Output:
	// orders 2 <nil>
	// true
}

func ExampleNode_Items() {
	ctx := context.Background()
	node := startOrders(ctx)
	defer func() { _ = node.Stop(ctx) }()
	_, _ = node.Disable(ctx, elasticjob.OneItem("orders", 1), "alice")
	items, err := node.Items(ctx, "orders")
	fmt.Println(len(items), items[1].Status, err)
	// Output: 2 DISABLED <nil>
}

func ExampleNode_Instances() {
	ctx := context.Background()
	node := startOrders(ctx)
	defer func() { _ = node.Stop(ctx) }()
	instances, err := node.Instances(ctx)
	for _, i := range instances {
		fmt.Println(i.ID, i.Status)
	}
	fmt.Println(err)
	// Output:
	// node-1 OK
	// <nil>
}

func ExampleNode_Disable() {
	ctx := context.Background()
	node := startOrders(ctx)
	defer func() { _ = node.Stop(ctx) }()
	for range 2 {
		changed, err := node.Disable(ctx, elasticjob.WholeJob("orders"), "alice")
		fmt.Println(changed, err)
	}
	job, _ := node.Job(ctx, "orders")
	fmt.Println(job.Status)
	// Output:
	// true <nil>
	// false <nil>
	// DISABLED
}

func ExampleNode_Enable() {
	ctx := context.Background()
	node := startOrders(ctx)
	defer func() { _ = node.Stop(ctx) }()
	_, _ = node.Disable(ctx, elasticjob.OneInstance("node-1"), "alice")
	changed, err := node.Enable(ctx, elasticjob.OneInstance("node-1"), "bob")
	fmt.Println(changed, err)
	// Output: true <nil>
}

func ExampleNode_Drain() {
	ctx := context.Background()
	node := startOrders(ctx)
	// Nothing fires here any more, and nothing runs: the node can be stopped.
	fmt.Println(node.Drain(ctx))
	fmt.Println(node.Stop(ctx))
	// Output:
	// <nil>
	// <nil>
}

func ExampleNode_Reload() {
	ctx := context.Background()
	node := startOrders(ctx)
	defer func() { _ = node.Stop(ctx) }()
	config := orders()
	config.Jobs[0].Cron = "0 30 2 1 1 ?"
	fmt.Println(node.Reload(ctx, config))
	config.Jobs[0].Cron = "0 30 2 1 13 ?" // there is no month 13
	fmt.Println(node.Reload(ctx, config) != nil)
	// Output:
	// <nil>
	// true
}

func ExampleNode_Trigger() {
	ctx := context.Background()
	job := elasticjob.NewJob("import") // without a schedule it runs when it is triggered
	config := elasticjob.Defaults()
	config.Jobs = append(config.Jobs, job)
	imported := make(chan string)
	node, err := elasticjob.New(ctx, config, elasticjob.WithFunc("import", func(_ context.Context, job *elasticjob.Job) error {
		imported <- job.JobParameter
		return nil
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Stop(ctx) }()
	if err := node.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	file := "orders.csv"
	result, err := node.Trigger(ctx, elasticjob.Trigger{Job: "import", Parameter: &file, By: "alice"})
	fmt.Println(result.Accepted, err)
	fmt.Println("importing", <-imported)
	// Output:
	// [0] <nil>
	// importing orders.csv
}

func ExampleNode_TriggerState() {
	ctx := context.Background()
	node := startOrders(ctx)
	defer func() { _ = node.Stop(ctx) }()
	result, err := node.Trigger(ctx, elasticjob.Trigger{Job: "orders", Items: []int{1}})
	if err != nil {
		fmt.Println(err)
		return
	}
	state, err := node.TriggerState(ctx, "orders", result.ID)
	fmt.Println(state.Accepted, len(state.Left)+len(state.Succeeded), err)
	// Output: [1] 1 <nil>
}

func ExampleNode_AwaitTrigger() {
	ctx := context.Background()
	node := startOrders(ctx)
	defer func() { _ = node.Stop(ctx) }()
	result, err := node.Trigger(ctx, elasticjob.Trigger{Job: "orders"})
	if err != nil {
		fmt.Println(err)
		return
	}
	bounded, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	info, err := node.AwaitTrigger(bounded, "orders", result.ID)
	fmt.Println("succeeded", info.Succeeded, "failed", info.Failed, err)
	// Output: succeeded [0 1] failed [] <nil>
}

func ExampleNode_JobRuns() {
	ctx := context.Background()
	config := orders()
	report, alarm := elasticjob.NewJob("report"), elasticjob.NewJob("alarm")
	report.DependsOn = []elasticjob.Dependency{{Job: "orders", On: elasticjob.OnSuccess}}
	alarm.DependsOn = []elasticjob.Dependency{{Job: "orders", On: elasticjob.OnFailure}}
	config.Jobs = append(config.Jobs, report, alarm)
	reported := make(chan string, 1)
	quiet := func(context.Context, *elasticjob.Job) error { return nil }
	node, err := elasticjob.New(ctx, config, elasticjob.WithFunc("orders", quiet), elasticjob.WithFunc("alarm", quiet),
		elasticjob.WithFunc("report", func(_ context.Context, job *elasticjob.Job) error {
			reported <- job.RunID
			return nil
		}))
	if err == nil {
		err = node.Start(ctx)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Stop(ctx) }()
	result, err := node.Trigger(ctx, elasticjob.Trigger{Job: "orders"})
	fmt.Println("report follows:", err == nil && <-reported == result.ID)
	_, err = node.AwaitTrigger(ctx, "report", result.ID)
	fmt.Println("report has ended:", err)
	runs, err := node.JobRuns(ctx, "alarm")
	for _, run := range runs {
		fmt.Println("alarm:", run.State, run.Reason, run.Before["orders"], err)
	}
	// Output:
	// report follows: true
	// report has ended: <nil>
	// alarm: skipped upstream succeeded <nil>
}

func ExampleNode_UpdateJob() {
	ctx := context.Background()
	node := startOrders(ctx)
	defer func() { _ = node.Stop(ctx) }()
	job, err := node.Job(ctx, "orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	job.Config.ShardingTotalCount = 4
	_, err = node.UpdateJob(ctx, job.Config, job.Version)
	fmt.Println(err)
	// Who read the job before may not overwrite what others have changed since.
	job.Config.ShardingTotalCount = 5
	_, err = node.UpdateJob(ctx, job.Config, job.Version)
	fmt.Println(errors.Is(err, elasticjob.ErrConflict))
	// Output:
	// <nil>
	// true
}

func ExampleNode_RemoveJob() {
	ctx := context.Background()
	node := startOrders(ctx)
	defer func() { _ = node.Stop(ctx) }()
	fmt.Println(node.RemoveJob(ctx, "orders"))
	_, err := node.Job(ctx, "orders")
	fmt.Println(errors.Is(err, elasticjob.ErrUnknownJob))
	// Output:
	// <nil>
	// true
}

func ExampleWholeJob() {
	fmt.Printf("%+v\n", elasticjob.WholeJob("orders"))
	// Output: {Job:orders Item:<nil> Instance:}
}

func ExampleOneItem() {
	target := elasticjob.OneItem("orders", 1)
	fmt.Println(target.Job, *target.Item)
	// Output: orders 1
}

func ExampleOneInstance() {
	// Named by its instance.id or its IP, an instance is meant over its restarts.
	fmt.Println(elasticjob.OneInstance("10.0.0.1").Instance)
	// Output: 10.0.0.1
}

func ExampleJobOnInstance() {
	target := elasticjob.JobOnInstance("orders", "node-1")
	fmt.Println(target.Job, target.Instance)
	// Output: orders node-1
}

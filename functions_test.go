package elasticjob_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
	"github.com/elasticjob-go/elasticjob/spi"
)

// scheduled is a configuration in code with one job that fires often.
func scheduled(t *testing.T, job elasticjob.JobConfig) elasticjob.Config {
	t.Helper()
	job.Every = 50 * time.Millisecond
	c := elasticjob.Defaults()
	c.OverrideDataDir(filepath.Join(t.TempDir(), "data"))
	c.Jobs = append(c.Jobs, job)
	return c
}

func nothing(context.Context, *elasticjob.Job) error { return nil }

// TestAFunctionIsAJob holds what a function sees of its job and its node.
func TestAFunctionIsAJob(t *testing.T) {
	t.Parallel()
	job := elasticjob.NewJob("greet")
	job.ShardingTotalCount, job.ShardingItemParameters, job.JobParameter = 2, "0=Beijing,1=Shanghai", "good morning"
	job.Timeout = time.Minute
	job.Props["punctuation"] = "!"
	_, log := start(t, scheduled(t, job), elasticjob.WithFunc("greet", func(ctx context.Context, job *elasticjob.Job) error {
		if _, ok := ctx.Deadline(); !ok {
			return errors.New("there is no deadline")
		}
		job.Info("greeting", "run", job.RunID)
		job.Result = fmt.Sprintf("%s, %s%s", job.JobParameter, job.ShardingParameter, job.Props.String("punctuation"))
		return errors.Join(
			job.SaveCheckpoint(ctx, []byte("done")),
			job.ReportProgress(ctx, elasticjob.Progress{Done: 1, Total: 1}),
		)
	}))
	for _, r := range log.waitFor(t, "item finished", "greet", 4) {
		want := "good morning, " + map[float64]string{0: "Beijing!", 1: "Shanghai!"}[r["item"].(float64)]
		if r["outcome"] != "success" || r["result"] != want {
			t.Errorf("item %v finished with %v %q (%v), want success %q", r["item"], r["outcome"], r["result"], r["err"], want)
		}
	}
	for _, r := range log.with(t, "plugin output", "greet") {
		if line := fmt.Sprint(r["line"]); r["plugin"] != "SIMPLE" || !strings.HasPrefix(line, "greeting run=") {
			t.Errorf("the log has %q of %v, want the greeting of SIMPLE", line, r["plugin"])
		}
	}
}

func TestThePropertyNamesTheFunction(t *testing.T) {
	t.Parallel()
	job := elasticjob.NewJob("nightly")
	job.Props["simple.function"] = "clean"
	cleaned := make(chan string, 1000)
	start(t, scheduled(t, job),
		elasticjob.WithFunc("nightly", func(context.Context, *elasticjob.Job) error { return errors.New("the wrong function") }),
		elasticjob.WithFunc("clean", func(_ context.Context, job *elasticjob.Job) error {
			cleaned <- job.JobName
			return nil
		}))
	if name := <-cleaned; name != "nightly" {
		t.Errorf("clean was called by %q, want nightly", name)
	}
}

// TestAMisspeltPropertyOfAHandlerIsFoundBesideAFunctionsOwn holds what a function
// may name its properties.
func TestAMisspeltPropertyOfAHandlerIsFoundBesideAFunctionsOwn(t *testing.T) {
	t.Parallel()
	job := elasticjob.NewJob("greet")
	job.ErrorHandlerTypes = []string{"DINGTALK"}
	job.Props = map[string]string{
		"dingtalk.webhook": "https://example.com/", "dingtalk.secert": "swordfish", "dingtalk.group": "night", "secert": "x", "batch.size": "7",
	}
	_, err := elasticjob.New(t.Context(), scheduled(t, job), elasticjob.WithFunc("greet", nothing))
	var problems elasticjob.Problems
	want := `job "greet": property "dingtalk.secert" is not a property of these plugins; did you mean "dingtalk.secret"?`
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Rule != "unknown-property" || problems[0].Message != want {
		t.Errorf("New = %v, want one problem: %s", err, want)
	}
}

type order struct {
	ID    int
	City  string
	Paid  time.Time
	Lines []string `json:",omitempty"`
}

// TestADataflowOfFunctions holds that data of any type get from one function to
// the other, with the cursor, once and in a stream.
func TestADataflowOfFunctions(t *testing.T) {
	t.Parallel()
	for _, streaming := range []bool{false, true} {
		t.Run(fmt.Sprintf("streaming %t", streaming), func(t *testing.T) {
			t.Parallel()
			paid := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
			fetch := func(_ context.Context, job *elasticjob.Job, cursor string) ([]order, string, error) {
				switch cursor {
				case "":
					return []order{{1, job.ShardingParameter, paid, nil}, {2, job.ShardingParameter, paid, []string{"a", "b"}}}, "more", nil
				case "more":
					return []order{{3, job.ShardingParameter, paid, nil}}, "end", nil
				default:
					return nil, "", nil
				}
			}
			var mu sync.Mutex
			byRun := map[string][]order{}
			process := func(_ context.Context, job *elasticjob.Job, data []order) error {
				mu.Lock()
				defer mu.Unlock()
				byRun[job.RunID] = append(byRun[job.RunID], data...)
				return nil
			}
			job := elasticjob.NewJob("orders")
			job.Type, job.ShardingItemParameters = "DATAFLOW", "0=Beijing"
			job.Props["streaming.process"] = fmt.Sprint(streaming)
			_, log := start(t, scheduled(t, job), elasticjob.WithDataflow("orders", fetch, process))
			want := []order{{1, "Beijing", paid, nil}, {2, "Beijing", paid, []string{"a", "b"}}}
			result := "batches: 1, data: 2"
			if streaming {
				want, result = append(want, order{3, "Beijing", paid, nil}), "batches: 2, data: 3"
			}
			r := log.waitFor(t, "item finished", "orders", 1)[0]
			mu.Lock()
			defer mu.Unlock()
			if got := byRun[fmt.Sprint(r["run"])]; fmt.Sprint(got) != fmt.Sprint(want) || r["result"] != result {
				t.Errorf("processed %v with result %v, want %v with %q", got, r["result"], want, result)
			}
		})
	}
}

// TestFunctionsThatCannotBe holds that mistakes in code are problems of New and
// of Lint as those of a file are.
func TestFunctionsThatCannotBe(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		options []elasticjob.Option
		want    string
	}{
		{"twice", []elasticjob.Option{elasticjob.WithFunc("a", nothing), elasticjob.WithFunc("a", nothing)}, `function "a" is registered twice`},
		{"nil", []elasticjob.Option{elasticjob.WithFunc("a", nothing), elasticjob.WithFunc("b", nil)}, `function "b" is nil`},
		{"no name", []elasticjob.Option{elasticjob.WithFunc("a", nothing), elasticjob.WithFunc("", nothing)}, "a function has no name"},
		{"half a dataflow", []elasticjob.Option{
			elasticjob.WithFunc("a", nothing),
			elasticjob.WithDataflow("b", nil, func(context.Context, *elasticjob.Job, []int) error { return nil }),
		}, `function "b" is nil`},
		{"missing", []elasticjob.Option{elasticjob.WithFunc("aa", nothing)}, `no function "a" for simple.function; did you mean "aa"?`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := scheduled(t, elasticjob.NewJob("a"))
			_, err := elasticjob.New(t.Context(), c, tt.options...)
			var problems elasticjob.Problems
			if !errors.As(err, &problems) || len(problems) != 1 || !strings.Contains(problems[0].Message, tt.want) {
				t.Errorf("New() = %v, want one problem with %q", err, tt.want)
			}
			if got := elasticjob.Lint(t.Context(), c, true, tt.options...); !slices.Equal(got, []elasticjob.Problem(problems)) {
				t.Errorf("Lint() = %v, want %v", got, problems)
			}
		})
	}
}

// TestAMissingFunctionIsReportedWhereTheFileNamesIt holds the place, and that the
// type may stand where ElasticJob has the class.
func TestAMissingFunctionIsReportedWhereTheFileNamesIt(t *testing.T) {
	t.Parallel()
	c := load(t, `elasticjob:
  jobs:
    a: {elasticJobClass: SIMPLE, every: 1s, shardingTotalCount: 1, props: {simple.function: hallo}}
    hallo: {elasticJobClass: SIMPLE, every: 1s, shardingTotalCount: 1}
    hello: {elasticJobClass: SIMPLE, every: 1s, shardingTotalCount: 1}
    d: {elasticJobClass: NOBODY, every: 1s, shardingTotalCount: 1}
`)
	var got []string
	for _, p := range elasticjob.Lint(t.Context(), c, true, elasticjob.WithFunc("hello", nothing)) {
		got = append(got, fmt.Sprintf("%d:%d %s", p.Line, p.Column, p.Rule))
	}
	if want := []string{"3:93 plugin", "4:5 plugin", "6:26 unknown-type"}; !slices.Equal(got, want) {
		t.Errorf("Lint() = %v, want %v", got, want)
	}
}

// TestNodesWithoutTheFunctionLeaveItsJobs lets programs with different functions
// share a fleet.
func TestNodesWithoutTheFunctionLeaveItsJobs(t *testing.T) {
	t.Parallel()
	center := "regCenter: {serverLists: " + redistest.Start(t).Addr() + ", namespace: functions, sessionTimeoutMilliseconds: 3000}"
	both := load(t, "elasticjob:\n  "+center+`
  jobs:
    orders: {elasticJobType: SIMPLE, every: 500ms, shardingTotalCount: 2}
    bills: {elasticJobType: SIMPLE, every: 500ms, shardingTotalCount: 2}
`)
	_, firstLog := start(t, both, elasticjob.WithFunc("orders", nothing), elasticjob.WithFunc("bills", nothing))
	_, secondLog := start(t, load(t, "elasticjob: {"+center+"}"), elasticjob.WithFunc("order", nothing), elasticjob.WithFunc("bills", nothing))
	said := fmt.Sprint(secondLog.waitFor(t, "job not hosted here: its definition in the registry cannot be used on this node", "orders", 1)[0]["err"])
	if !strings.Contains(said, `did you mean "order"?`) {
		t.Errorf("the node without the function says %q, want it to name the near one", said)
	}
	waitFor(t, "bills shared by both nodes", func() bool {
		return len(ran(t, secondLog, "bills")) == 1 && len(ran(t, firstLog, "bills")) > 0
	})
	since := time.Now()
	waitFor(t, "orders run where the function is", func() bool { return len(ranSince(t, firstLog, "orders", since)) == 2 })
	if got := ran(t, secondLog, "orders"); len(got) > 0 {
		t.Errorf("the node without the function has run items %v of orders, want none", got)
	}
}

// TestObserversSeeWhatTheLogSays holds that each item is told of once, to every
// observer.
func TestObserversSeeWhatTheLogSays(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]int{}
	note := func(what, job, run string) {
		mu.Lock()
		defer mu.Unlock()
		seen[what+" "+job+" "+run]++
	}
	failing := elasticjob.NewJob("failing")
	node, log := start(t, scheduled(t, failing),
		elasticjob.WithFunc("failing", func(context.Context, *elasticjob.Job) error { return errors.New("no stock") }),
		elasticjob.WithObserver(elasticjob.Observer{Started: func(e elasticjob.ItemStarted) { note("started", e.Job, e.Run) }}),
		elasticjob.WithObserver(elasticjob.Observer{Finished: func(e elasticjob.ItemFinished) {
			if e.Outcome != elasticjob.OutcomeFailure || e.Error.Code != spi.CodeFailed || e.Error.Message != "no stock" {
				t.Errorf("the observer is told of %s with %+v, want a failure with its error", e.Outcome, e.Error)
			}
			note("finished", e.Job, e.Run)
		}}))
	log.waitFor(t, "item finished", "failing", 3)
	if err := node.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for _, r := range log.with(t, "item started", "") {
		want[fmt.Sprintf("started %v %v", r["job"], r["run"])]++
		want[fmt.Sprintf("finished %v %v", r["job"], r["run"])]++
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) == 0 || fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("observers saw %v, want %v", seen, want)
	}
}

// TestRunEndsWithItsContext holds that Run stops what it starts.
func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log := &records{}
	err := elasticjob.Run(ctx, scheduled(t, elasticjob.NewJob("once")), elasticjob.WithLogger(log.logger()),
		elasticjob.WithFunc("once", func(context.Context, *elasticjob.Job) error {
			stop()
			return nil
		}))
	if err != nil {
		t.Errorf("Run() = %v, want nil when its context ends", err)
	}
	if len(log.with(t, "node stopped", "")) != 1 {
		t.Error("Run() has returned and the node has not stopped")
	}
	if err := elasticjob.Run(ctx, scheduled(t, elasticjob.NewJob("once")), elasticjob.WithFunc("once", nothing)); err != nil {
		t.Errorf("Run() with a context that is over = %v, want nil", err)
	}
	if err := elasticjob.Run(t.Context(), scheduled(t, elasticjob.NewJob("once"))); err == nil {
		t.Error("Run() without the function = nil, want its problems")
	}
}

// TestTwoNodesOfOneProgram holds that nodes share nothing but the process.
func TestTwoNodesOfOneProgram(t *testing.T) {
	t.Parallel()
	var logs []*records
	for _, name := range []string{"first", "second"} {
		_, log := start(t, scheduled(t, elasticjob.NewJob("job")), elasticjob.WithFunc("job", func(_ context.Context, job *elasticjob.Job) error {
			job.Result = name
			return nil
		}))
		logs = append(logs, log)
	}
	for i, want := range []string{"first", "second"} {
		for _, r := range logs[i].waitFor(t, "item finished", "job", 2) {
			if r["result"] != want {
				t.Errorf("a run of the %s node has the result %v", want, r["result"])
			}
		}
	}
}

package host

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/service"
	"github.com/elasticjob-go/elasticjob/core/service/servicetest"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

func TestHostKeepsTheContract(t *testing.T) {
	t.Parallel()
	servicetest.Stress(t, func(t *testing.T) service.Service {
		h, problems := newHost(t, setup{jobs: []job.Config{fakeJob("orders")}})
		if len(problems) > 0 {
			t.Fatalf("New() = %v, want no problem", problems)
		}
		return h
	})
}

func TestABeginUnderWayAtStopIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := probeJob(time.Minute)
		begins := 0
		n := observe(t, setup{
			jobs:    []job.Config{c},
			plugins: []spi.Plugin{probe(func(context.Context, spi.ExecuteRequest) error { return nil })},
			after: func(args []any) {
				if isNormalBegin(args) {
					begins++
					time.Sleep(300 * time.Millisecond) // the mark is made, its answer on the way
				}
			},
		})
		n.start(t)
		instant := nextMultiple(time.Minute)
		sleepUntil(instant.Add(100 * time.Millisecond))
		n.stop(t)
		time.Sleep(30 * time.Second)
		if begins != 1 {
			t.Fatalf("%d begins, want 1 under way when the node stops", begins)
		}
		if diff := cmp.Diff(map[time.Time][]string{instant: {missedAway}}, n.verdicts(t, c, 0)); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
	})
}

// TestStopIsBoundedBesideSlowErrorHandlers has more failures wait for their
// handler than it can take within the grace.
func TestStopIsBoundedBesideSlowErrorHandlers(t *testing.T) {
	t.Parallel()
	for _, obeys := range []bool{true, false} {
		t.Run(fmt.Sprintf("obeys its context=%v", obeys), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				var calls atomic.Int32
				c := probeJob(time.Second)
				c.ErrorHandlerTypes = []string{"SLOW"}
				n := observe(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{
					probe(func(context.Context, spi.ExecuteRequest) error { return errors.New("no") }),
					handlerOf("SLOW", func(ctx context.Context) error {
						calls.Add(1)
						if obeys {
							<-ctx.Done()
							return ctx.Err()
						}
						<-release
						return nil
					}),
				}})
				n.start(t)
				time.Sleep(30 * time.Second)
				if calls.Load() == 0 {
					t.Error("the handler was not called")
				}
				if took, most := n.stop(t), grace+3*time.Second; took > most {
					t.Errorf("Stop() took %v with nothing running, want at most %v", took, most)
				}
				close(release)
			})
		})
	}
}

// TestASlowErrorHandlerHoldsUpItsOwnJobOnly lets a job fail whose handler asks a
// server that does not answer, beside one whose handler answers at once.
func TestASlowErrorHandlerHoldsUpItsOwnJobOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var handled atomic.Int32
		noisy, other := probeJob(time.Second), probeJob(10*time.Second)
		noisy.Name, noisy.ErrorHandlerTypes = "noisy", []string{"SLOW"}
		other.Name, other.ErrorHandlerTypes = "other", []string{"QUICK"}
		n := observe(t, setup{jobs: []job.Config{noisy, other}, plugins: []spi.Plugin{
			probe(func(context.Context, spi.ExecuteRequest) error { return errors.New("no") }),
			handlerOf("SLOW", func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			}),
			handlerOf("QUICK", func(context.Context) error {
				handled.Add(1)
				return nil
			}),
		}})
		n.start(t)
		sleepUntil(nextMultiple(10 * time.Second).Add(110*time.Second + 500*time.Millisecond))
		if got := handled.Load(); got != 12 {
			t.Errorf("failures of the other job handled = %d, want 12", got)
		}
		n.stop(t)
	})
}

func TestAHandlerThatIgnoresItsContextIsNotCalledForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var hanging, others atomic.Int32
		c := probeJob(time.Second)
		c.MonitorExecution, c.ErrorHandlerTypes = false, []string{"STUCK", "SOUND"}
		n := observe(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{
			probe(func(context.Context, spi.ExecuteRequest) error { return errors.New("no") }),
			handlerOf("STUCK", func(context.Context) error {
				hanging.Add(1)
				<-release
				return nil
			}),
			handlerOf("SOUND", func(context.Context) error {
				others.Add(1)
				return nil
			}),
		}})
		n.start(t)
		time.Sleep(5*time.Minute + 500*time.Millisecond)
		if got := hanging.Load(); got < 1 || got > 8 {
			t.Errorf("%d calls of a handler hang after 300 failures, want a few", got)
		}
		if got := others.Load(); got != 300 {
			t.Errorf("the handler beside it was called %d times, want 300", got)
		}
		n.stop(t)
		close(release)
	})
}

// hostileError panics when it is asked for its text.
type hostileError struct{ text string }

func (e *hostileError) Error() string { return "hostile: " + e.text + e.text[1000:] }

func TestHostileErrorsDoNotEndTheProcess(t *testing.T) {
	t.Parallel()
	var noError *spi.Error
	var noHostile *hostileError
	tests := []struct {
		name string
		err  error
	}{
		{"it panics", &hostileError{"short"}},
		{"it panics inside another", fmt.Errorf("%w", errors.Join(&hostileError{"short"}, errors.New("no")))},
		{"a nil pointer that panics", noHostile},
		{"a nil pointer of the interface's own", noError},
		{"such a nil pointer inside another", errors.Join(errors.New("no"), noError)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var handled atomic.Int32
				c, other := probeJob(time.Second), fakeJob("other")
				other.Type, other.ErrorHandlerTypes = "FAILING", []string{"HOSTILE"}
				n := observe(t, setup{jobs: []job.Config{c, other}, plugins: []spi.Plugin{
					probe(func(context.Context, spi.ExecuteRequest) error { return tt.err }),
					jobTypeOf("FAILING", func(context.Context, spi.ExecuteRequest) error { return errors.New("no") }),
					handlerOf("HOSTILE", func(context.Context) error {
						handled.Add(1)
						return tt.err
					}),
				}})
				n.start(t)
				first := nextMultiple(time.Second)
				sleepUntil(first.Add(4*time.Second + 500*time.Millisecond))
				n.stop(t)
				n.checkOneVerdictEach(t, c, first, first.Add(4*time.Second))
				if len(n.started) != 10 || len(n.finished) != 10 {
					t.Errorf("%d items started and %d finished, want 5 of each of two jobs", len(n.started), len(n.finished))
				}
				if handled.Load() != 5 {
					t.Errorf("the error handler was called %d times, want 5", handled.Load())
				}
			})
		})
	}
}

func TestPluginsThatCannotBeConstructedAreProblems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		spoil  func(c *job.Config)
		plugin spi.Plugin
	}{
		{
			name:  "job type that panics",
			spoil: func(c *job.Config) { c.Type = "BAD" },
			plugin: spi.Plugin{
				Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "BAD", Description: "cannot be constructed"},
				JobType:    func(context.Context, props.Values) (spi.JobType, error) { panic("constructor") },
			},
		},
		{
			name:  "error handler that panics",
			spoil: func(c *job.Config) { c.ErrorHandlerTypes = []string{"BAD"} },
			plugin: spi.Plugin{
				Descriptor:   spi.Descriptor{Kind: spi.KindErrorHandler, Type: "BAD", Description: "cannot be constructed"},
				ErrorHandler: func(context.Context, props.Values) (spi.ErrorHandler, error) { panic("constructor") },
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bad := fakeJob("bad")
			tt.spoil(&bad)
			h, problems := newHost(t, setup{jobs: []job.Config{fakeJob("good"), bad}, plugins: []spi.Plugin{tt.plugin}})
			if h != nil {
				t.Error("New() made a node of a job without plugins")
				h.Close(t.Context())
			}
			if len(problems) != 1 || problems[0].Rule != RulePlugin || !strings.Contains(problems[0].Message, "BAD") {
				t.Errorf("New() = %+v, want one problem of rule %s that names BAD", problems, RulePlugin)
			}
		})
	}
}

// TestABadStrategyHarmsItsOwnJobOnly starts a node of two jobs, of which one
// has a strategy that does what it must not.
func TestABadStrategyHarmsItsOwnJobOnly(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		construct func(hang chan struct{}) (spi.ShardingStrategy, error)
	}{
		{"it hangs", func(hang chan struct{}) (spi.ShardingStrategy, error) {
			return strategyOf(func() { <-hang }), nil
		}},
		{"it panics", func(chan struct{}) (spi.ShardingStrategy, error) { return strategyOf(func() { panic("shard") }), nil }},
		{"it ends its goroutine", func(chan struct{}) (spi.ShardingStrategy, error) { return strategyOf(runtime.Goexit), nil }},
		{"its constructor panics", func(chan struct{}) (spi.ShardingStrategy, error) { panic("constructor") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				hang := make(chan struct{})
				defer close(hang)
				bad, good := fakeJob("bad"), fakeJob("good")
				bad.ShardingStrategyType = "BAD"
				n := observe(t, setup{jobs: []job.Config{bad, good}, plugins: []spi.Plugin{{
					Descriptor: spi.Descriptor{Kind: spi.KindShardingStrategy, Type: "BAD", Description: "does what it must not"},
					ShardingStrategy: func(context.Context, props.Values) (spi.ShardingStrategy, error) {
						return tt.construct(hang)
					},
				}}})
				begin := time.Now()
				n.start(t)
				if took, most := time.Since(begin), 15*time.Second; took > most {
					t.Errorf("Start() took %v, want at most %v", took, most)
				}
				first := nextMultiple(time.Second)
				sleepUntil(first.Add(20*time.Second + 500*time.Millisecond))
				// A strategy that hangs is asked again meanwhile.
				if took, most := n.stop(t), grace+10*time.Second; took > most {
					t.Errorf("Stop() took %v, want at most %v", took, most)
				}
				n.checkOneVerdictEach(t, good, first, first.Add(20*time.Second))
				if got := n.verdicts(t, bad, 0); len(got) > 0 {
					t.Errorf("verdicts on a job without assignment = %v, want none", got)
				}
			})
		})
	}
}

// TestCodeThatEndsItsGoroutineFreesItsWorker has one worker for two jobs.
func TestCodeThatEndsItsGoroutineFreesItsWorker(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		t.Run(fmt.Sprintf("monitored=%v", monitored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, other := probeJob(time.Second), fakeJob("other")
				c.MonitorExecution, other.MonitorExecution = monitored, monitored
				c.ShardingTotalCount, c.PoolType = 2, job.PoolSingleThread
				n := observe(t, setup{jobs: []job.Config{c, other}, most: 1, plugins: []spi.Plugin{
					probe(func(context.Context, spi.ExecuteRequest) error {
						runtime.Goexit()
						return nil
					}),
				}})
				n.start(t)
				first := nextMultiple(time.Second)
				sleepUntil(first.Add(4*time.Second + 500*time.Millisecond))
				if took, most := n.stop(t), time.Second; took > most {
					t.Errorf("Stop() took %v with nothing running, want at most %v", took, most)
				}
				n.checkOneVerdictEach(t, c, first, first.Add(4*time.Second))
				n.checkOneVerdictEach(t, other, first, first.Add(4*time.Second))
				if len(n.finished) != 15 || len(n.misfired) != 0 {
					t.Errorf("%d items finished and %d misfired, want 15 and 0", len(n.finished), len(n.misfired))
				}
				for _, e := range n.finished {
					want := execution.OutcomeFailure
					if e.Job == other.Name {
						want = execution.OutcomeSuccess
					}
					if e.Outcome != want {
						t.Errorf("finished %+v, want outcome %s", e, want)
					}
				}
			})
		})
	}
}

func TestACloseThatPanicsDoesNotKeepOthersFromClosing(t *testing.T) {
	t.Parallel()
	var closed atomic.Int32
	bad, good := fakeJob("bad"), fakeJob("good")
	bad.Type, good.Type = "BAD", "GOOD"
	h, problems := newHost(t, setup{jobs: []job.Config{bad, good}, plugins: []spi.Plugin{
		closable("BAD", func() { closed.Add(1); panic("close") }),
		closable("GOOD", func() { closed.Add(1) }),
	}})
	if len(problems) > 0 {
		t.Fatalf("New() = %v, want no problem", problems)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatalf("Start() = %v, want nil", err)
	}
	if err := h.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
	if got := closed.Load(); got != 2 {
		t.Errorf("%d job types were closed, want 2", got)
	}
}

func TestACloseThatPanicsIsAProblemOfAJobThatCannotBeMade(t *testing.T) {
	t.Parallel()
	var closed atomic.Int32
	bad, good := fakeJob("bad"), fakeJob("good")
	bad.Type, bad.ErrorHandlerTypes, good.Type = "BAD", []string{"UNMADE"}, "GOOD"
	h, problems := newHost(t, setup{jobs: []job.Config{good, bad}, plugins: []spi.Plugin{
		closable("BAD", func() { closed.Add(1); panic("close") }),
		closable("GOOD", func() { closed.Add(1) }),
		{
			Descriptor:   spi.Descriptor{Kind: spi.KindErrorHandler, Type: "UNMADE", Description: "cannot be constructed"},
			ErrorHandler: func(context.Context, props.Values) (spi.ErrorHandler, error) { return nil, errors.New("no") },
		},
	}})
	if h != nil {
		t.Error("New() made a node of a job without error handler")
		h.Close(t.Context())
	}
	if len(problems) != 2 || !strings.Contains(problems[1].Message, "panicked: close") {
		t.Errorf("New() = %v, want the handler and the panic", problems)
	}
	if got := closed.Load(); got != 2 {
		t.Errorf("%d job types were closed, want those of both jobs", got)
	}
}

// closing is a job type whose Close is a function of the test.
type closing struct {
	spi.JobTypeFunc

	end func()
}

var (
	_ spi.JobType = closing{}
	_ spi.Closer  = closing{}
)

// Close calls the function.
func (c closing) Close(context.Context) error {
	c.end()
	return nil
}

// closable is a job type that does nothing until it is closed.
func closable(name string, end func()) spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: name, Description: "ends in a way of its own"},
		JobType: func(context.Context, props.Values) (spi.JobType, error) {
			return closing{func(context.Context, spi.ExecuteRequest) (spi.ExecuteResponse, error) {
				return spi.ExecuteResponse{}, nil
			}, end}, nil
		},
	}
}

// strategyOf is a strategy that does something instead of answering.
func strategyOf(do func()) spi.ShardingStrategy {
	return spi.ShardingStrategyFunc(func(context.Context, spi.ShardRequest) (spi.ShardResponse, error) {
		do()
		return spi.ShardResponse{}, nil
	})
}

// basics are the plugins that a job has by default, as far as one node needs
// them, and the job type FAKE, which does nothing.
func basics() []spi.Plugin {
	return []spi.Plugin{
		jobTypeOf("FAKE", func(context.Context, spi.ExecuteRequest) error { return nil }),
		handlerOf(job.DefaultErrorHandlerType, func(context.Context) error { return nil }),
		{
			Descriptor: spi.Descriptor{Kind: spi.KindShardingStrategy, Type: job.DefaultShardingStrategyType, Description: "deals the items out"},
			ShardingStrategy: func(context.Context, props.Values) (spi.ShardingStrategy, error) {
				return spi.ShardingStrategyFunc(func(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
					dealt := make(map[string][]int)
					for item := range req.ShardingTotalCount {
						id := req.Instances[item%len(req.Instances)].ID
						dealt[id] = append(dealt[id], item)
					}
					return spi.ShardResponse{Assignment: dealt}, nil
				}), nil
			},
		},
	}
}

// probe is the job type PROBE, whose code is a function of the test.
func probe(run func(ctx context.Context, req spi.ExecuteRequest) error) spi.Plugin {
	return jobTypeOf("PROBE", run)
}

// jobTypeOf is a job type whose code is a function of the test.
func jobTypeOf(name string, run func(ctx context.Context, req spi.ExecuteRequest) error) spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: name, Description: "runs a function of a test"},
		JobType: func(context.Context, props.Values) (spi.JobType, error) {
			return spi.JobTypeFunc(func(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
				return spi.ExecuteResponse{}, run(ctx, req)
			}), nil
		},
	}
}

// handlerOf is an error handler whose code is a function of the test.
func handlerOf(name string, handle func(ctx context.Context) error) spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{Kind: spi.KindErrorHandler, Type: name, Description: "runs a function of a test"},
		ErrorHandler: func(context.Context, props.Values) (spi.ErrorHandler, error) {
			return spi.ErrorHandlerFunc(func(ctx context.Context, _ spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
				return spi.HandleErrorResponse{}, handle(ctx)
			}), nil
		},
	}
}

// runFor is code that takes its time and obeys its context.
func runFor(took time.Duration) func(context.Context, spi.ExecuteRequest) error {
	return func(ctx context.Context, _ spi.ExecuteRequest) error {
		select {
		case <-time.After(took):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// probeJob is a job of one item whose code is that of a probe.
func probeJob(every time.Duration) job.Config {
	c := job.Defaults("orders")
	c.Type, c.Every, c.ShardingTotalCount = "PROBE", every, 1
	return c
}

// fakeJob is a job of one item that does nothing every second.
func fakeJob(name string) job.Config {
	c := job.Defaults(name)
	c.Type, c.Every, c.ShardingTotalCount = "FAKE", time.Second, 1
	return c
}

func TestConstructorsWithHostileErrorsAreProblems(t *testing.T) {
	t.Parallel()
	var noError *spi.Error
	for name, err := range map[string]error{"a nil pointer of the interface's own": noError, "it panics": &hostileError{"short"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := fakeJob("bad")
			bad.Type = "BAD"
			h, problems := newHost(t, setup{jobs: []job.Config{bad}, plugins: []spi.Plugin{{
				Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "BAD", Description: "cannot be constructed"},
				JobType:    func(context.Context, props.Values) (spi.JobType, error) { return nil, err },
			}}})
			if h != nil || len(problems) != 1 || problems[0].Rule != RulePlugin {
				t.Errorf("New() = %v, %+v, want one problem of rule %s", h, problems, RulePlugin)
			}
		})
	}
}

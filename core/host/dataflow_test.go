package host

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// stream is a job type whose data never end: a batch each second.
type stream struct{ work func(spi.ProcessDataRequest) }

var _ spi.Dataflow = stream{}

func (stream) Execute(context.Context, spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	panic("a dataflow is not executed")
}

func (stream) FetchData(context.Context, spi.FetchDataRequest) (spi.FetchDataResponse, error) {
	return spi.FetchDataResponse{Data: [][]byte{[]byte("1")}}, nil
}

func (s stream) ProcessData(ctx context.Context, req spi.ProcessDataRequest) (spi.ProcessDataResponse, error) {
	if s.work != nil {
		s.work(req)
	}
	select {
	case <-time.After(time.Second):
		return spi.ProcessDataResponse{}, nil
	case <-ctx.Done():
		return spi.ProcessDataResponse{}, context.Cause(ctx)
	}
}

// flow is a plugin with the capability dataflow.
func flow(t spi.JobType) spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "FLOW", Description: "streams", Capabilities: []string{spi.CapabilityDataflow}},
		JobType:    func(context.Context, props.Values) (spi.JobType, error) { return t, nil },
	}
}

func flowJob(streaming string) job.Config {
	c := probeJob(time.Minute)
	c.Type, c.ShardingTotalCount, c.Props = "FLOW", 2, map[string]string{execution.PropStreaming: streaming}
	return c
}

// results returns what became of the items that ended well.
func (n *observed) results() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for _, e := range n.finished {
		_, ending, _ := strings.Cut(e.Result, ", more may be left: ")
		all = append(all, strings.TrimSpace(string(e.Outcome)+" "+ending))
	}
	return all
}

// TestStreamsEndWhenTheirItemIsToEnd runs an endless stream on a node and lets
// that hear of it by the feed.
func TestStreamsEndWhenTheirItemIsToEnd(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		happen func(t *testing.T, f *fleet, n *observed)
		want   []string
	}{
		"job disabled": {func(t *testing.T, _ *fleet, n *observed) {
			t.Helper()
			n.disable(t, Target{Job: "orders"})
		}, []string{"success disabled", "success disabled"}},
		"item disabled": {func(t *testing.T, _ *fleet, n *observed) {
			t.Helper()
			item := 1
			n.disable(t, Target{Job: "orders", Item: &item})
		}, []string{"success disabled"}},
		"another node joins": {func(t *testing.T, f *fleet, _ *observed) { t.Helper(); f.join() }, []string{"success reshard"}},
		"drain": {func(t *testing.T, _ *fleet, n *observed) {
			t.Helper()
			if err := n.Drain(t.Context()); err != nil {
				t.Errorf("Drain() = %v, want nil", err)
			}
		}, []string{"success stopping", "success stopping"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, setup{jobs: []job.Config{flowJob("true")}, plugins: []spi.Plugin{flow(stream{})}})
				n := f.join()
				time.Sleep(time.Minute + 10*time.Second)
				c.happen(t, f, n)
				time.Sleep(10 * time.Second)
				if diff := cmp.Diff(c.want, n.results()); diff != "" {
					t.Errorf("items that ended (-want +got):\n%s", diff)
				}
				f.leaveAll()
			})
		})
	}
}

func (n *observed) disable(t *testing.T, target Target) {
	t.Helper()
	if _, err := n.SetEnabled(t.Context(), target, false, "test"); err != nil {
		t.Fatal(err)
	}
}

// TestAnEndlessStreamGoesOnWithReloadedPlugins gives a stream that always finds
// more another version of its plugin.
func TestAnEndlessStreamGoesOnWithReloadedPlugins(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{false, true} {
		t.Run(fmt.Sprintf("monitored=%v", monitored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var before, after atomic.Int64
				of := func(count *atomic.Int64) spi.Plugin {
					return flow(stream{work: func(spi.ProcessDataRequest) { count.Add(1) }})
				}
				c := flowJob("true")
				c.MonitorExecution = monitored
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{of(&before)}})
				n := f.join()
				sleepUntil(nextMultiple(time.Minute).Add(30 * time.Second))
				idle := n.mustReload(t, []job.Config{c}, of(&after))
				time.Sleep(10 * time.Second)
				if !isClosed(idle) {
					t.Error("the former plugins are in use ten seconds after the reload")
				}
				former := before.Load()
				time.Sleep(2 * time.Minute)
				if got := before.Load(); former == 0 || got != former {
					t.Errorf("batches with the former plugin = %d, then %d, want some and no more", former, got)
				}
				if after.Load() == 0 {
					t.Error("no batch with the new plugin two minutes after the reload")
				}
				f.leaveAll()
			})
		})
	}
}

func TestItemsShowTheirProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		batches := make(map[int]int)
		f := newFleet(t, setup{jobs: []job.Config{flowJob("true")}, plugins: []spi.Plugin{flow(stream{work: func(req spi.ProcessDataRequest) {
			item := req.Context.ShardingItem
			mu.Lock()
			batches[item] += item + 1
			done := batches[item]
			mu.Unlock()
			report := fmt.Appendf(nil, `{"done":%d,"message":"going on"}`, done)
			if _, err := req.Services.Call(t.Context(), spi.OpProgressReport, report); err != nil {
				t.Errorf("progress.report = %v, want nil", err)
			}
		}})}})
		n := f.join()
		sleepUntil(nextMultiple(time.Minute).Add(2500 * time.Millisecond))
		items, err := n.Items(t.Context(), "orders")
		if err != nil {
			t.Fatal(err)
		}
		got := make([]execution.Progress, len(items))
		for i, one := range items {
			got[i] = one.Progress
		}
		want := []execution.Progress{{Done: 3, Message: "going on"}, {Done: 6, Message: "going on"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Items() shows progress (-want +got):\n%s", diff)
		}
		f.leaveAll()
	})
}

func TestDataflowJobsAreChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		streaming string
		plugin    spi.Plugin
		want      string
	}{
		"sound":                    {"false", flow(stream{}), ""},
		"no truth value":           {"maybe", flow(stream{}), `job "orders": property "streaming.process" is no bool: "maybe" is neither true nor false`},
		"type without its methods": {"true", flow(spi.JobTypeFunc(nil)), `job "orders": job type FLOW announces dataflow and does not implement it`},
		"type without dataflow": {"true", func() spi.Plugin {
			p := flow(stream{})
			p.Descriptor.Capabilities = nil
			return p
		}(), `job "orders": property "streaming.process" is not a property of these plugins`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := newHost(t, setup{jobs: []job.Config{flowJob(c.streaming)}, plugins: []spi.Plugin{c.plugin}})
			got := ""
			for _, p := range problems {
				got += p.Message
			}
			if got != c.want {
				t.Errorf("problems = %q, want %q", got, c.want)
			}
		})
	}
}

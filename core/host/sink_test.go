package host

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// history is a tracing sink that counts what it is given.
type history struct {
	mu     sync.Mutex
	states map[spi.TraceState]int
	ends   int
	closed int
	depth  string
}

func (h *history) plugin() spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind: spi.KindTracingSink, Type: "HISTORY", Description: "counts events",
			Props: props.Schema{{Name: "depth", Type: props.Int, Default: "1", Description: "how deep"}},
		},
		TracingSink: func(_ context.Context, values props.Values) (spi.TracingSink, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.depth = values["depth"]
			return h, nil
		},
	}
}

func (h *history) Trace(_ context.Context, req spi.TraceRequest) (spi.TraceResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.states == nil {
		h.states = make(map[spi.TraceState]int)
	}
	for _, e := range req.Events {
		if e.Kind == spi.TraceStatus {
			h.states[e.State]++
		} else if !e.End.IsZero() {
			h.ends++
		}
	}
	return spi.TraceResponse{}, nil
}

func (h *history) Close(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed++
	return nil
}

func TestASinkGetsTheHistoryAndIsReplacedByAReload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 3, true)
		first, second := &history{}, &history{}
		f := newFleet(t, setup{
			jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick), first.plugin()},
			tracing: &config.Tracing{Type: "HISTORY", Props: map[string]string{"depth": "7"}},
		})
		n := f.join()
		sleepUntil(nextMultiple(10 * time.Second).Add(300 * time.Millisecond))
		idle := n.mustReload(t, []job.Config{c}, probe(quick), second.plugin())
		sleepUntil(nextMultiple(10 * time.Second).Add(300 * time.Millisecond))
		if !isClosed(idle) {
			t.Error("the former plugins are in use ten seconds after the reload")
		}
		f.leaveAll()
		runs := len(n.started) / 3
		ends, finished := first.ends+second.ends, first.states[spi.StateFinished]+second.states[spi.StateFinished]
		if ends != len(n.finished) || finished != runs || first.ends == 0 || second.ends == 0 {
			t.Errorf("the sinks have %d and %d ends of items and %d of runs, want together %d and %d", first.ends, second.ends, finished, len(n.finished), runs)
		}
		if first.closed != 1 || second.closed != 1 || first.depth != "7" {
			t.Errorf("the sinks were closed %d and %d times, depth %s, want once each and 7", first.closed, second.closed, first.depth)
		}
	})
}

func TestASinkThatCannotBeMadeIsAProblem(t *testing.T) {
	t.Parallel()
	sink := &history{}
	for _, tt := range []struct {
		tracing config.Tracing
		want    string
	}{
		{config.Tracing{Type: "HISTROY"}, `no plugin declares tracing sink "HISTROY"; did you mean HISTORY?`},
		{config.Tracing{Type: "HISTORY", Props: map[string]string{"depth": "deep"}}, `property "depth"`},
		{config.Tracing{Type: "HISTORY", Props: map[string]string{"width": "1"}}, `property "width"`},
	} {
		_, problems := newHost(t, setup{plugins: []spi.Plugin{sink.plugin()}, tracing: &tt.tracing})
		if len(problems) != 1 || !strings.Contains(problems[0].Message, tt.want) {
			t.Errorf("New(%+v) = %v, want a problem with %q", tt.tracing, problems, tt.want)
		}
	}
}

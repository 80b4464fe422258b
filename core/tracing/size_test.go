package tracing_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/tracing"
	"github.com/elasticjob-go/elasticjob/spi"
)

// sizeSink is a store that notes how large its batches are as JSON.
type sizeSink struct {
	*store

	largest int
}

func (s *sizeSink) Trace(ctx context.Context, req spi.TraceRequest) (spi.TraceResponse, error) {
	message, err := json.Marshal(req.Events)
	if err != nil {
		return spi.TraceResponse{}, err
	}
	s.largest = max(s.largest, len(message))
	return s.store.Trace(ctx, req)
}

// strict is a sink that refuses what it does not like, with a code.
type strict struct {
	*store

	code    spi.Code
	refuses func(events []spi.TraceEvent) bool
}

func (s *strict) Trace(ctx context.Context, req spi.TraceRequest) (spi.TraceResponse, error) {
	if s.refuses(req.Events) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls++
		return spi.TraceResponse{}, spi.NewError(s.code, "refused on purpose")
	}
	return s.store.Trace(ctx, req)
}

func (s *store) sinkOf(sink spi.TracingSink) *tracing.Sink {
	made := s.sink()
	made.Sink = sink
	return made
}

// fail lets an item fail with as much to tell as an error may have.
func (n *node) fail(job, text string) {
	n.events.Finished.Publish(execution.ItemFinished{
		Job: job, Run: "run", Task: "task", Items: registry.NewItems(0), Source: spi.SourceNormal, Attempt: 1,
		Outcome: execution.OutcomeFailure, Error: &spi.Error{Code: spi.CodeFailed, Message: text[:4<<10], Stack: text},
	})
}

// TestABatchFitsIntoAMessage lets one job fail at length, beside another one: a
// sink in a module or a program takes at most 16 MiB.
func TestABatchFitsIntoAMessage(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"a stack": strings.Repeat("\tgoroutine 1\n", 16<<10/13), "hostile": strings.Repeat("\x01", 16<<10)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &store{}
				sink := &sizeSink{store: s}
				n := start(t, s)
				n.tracer.Replace(t.Context(), s.sinkOf(sink))
				for range 400 {
					n.fail("noisy", text)
				}
				n.begin("other", 0, 0)
				n.end("other", 0, execution.OutcomeSuccess, 0)
				n.stop(t)
				if got := len(s.events()); got != 805 {
					t.Errorf("the sink has %d events, want 805", got)
				}
				if least, most := 3<<20, 4<<20+64<<10; sink.largest < least || sink.largest > most {
					t.Errorf("largest batch = %d bytes as JSON, want %d to %d", sink.largest, least, most)
				}
			})
		})
	}
}

// TestWhatWaitsIsBoundedInBytes holds that events at length, of which fewer than
// the most wait, are dropped before they take too much memory.
func TestWhatWaitsIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{before: func(ctx context.Context, _ int) error { <-ctx.Done(); return context.Cause(ctx) }}
		n := start(t, s)
		text := strings.Repeat("\x01", 16<<10)
		for range 1000 {
			n.fail("noisy", text)
		}
		n.begin("other", 0, 0)
		n.stop(t)
		if want := "history events dropped"; !strings.Contains(n.log.String(), want) {
			t.Errorf("log = %.300s, want %q", n.log.String(), want)
		}
	})
}

func TestARefusedBatchIsSplit(t *testing.T) {
	t.Parallel()
	isOf := func(job string) func(spi.TraceEvent) bool {
		return func(e spi.TraceEvent) bool { return e.JobName == job }
	}
	hasBad := func(events []spi.TraceEvent) bool {
		for _, e := range events {
			if isOf("bad")(e) {
				return true
			}
		}
		return false
	}
	for _, tt := range []struct {
		name    string
		code    spi.Code
		refuses func([]spi.TraceEvent) bool
		want    int // events of 998
		calls   int // at most
	}{
		{"two of many are too large", spi.CodeTooLarge, hasBad, 996, 60},
		{"two of many are not understood", spi.CodeProtocol, hasBad, 996, 60},
		{"more than ten do not fit into the sink's memory", spi.CodeLimit, func(events []spi.TraceEvent) bool { return len(events) > 10 }, 998, 300},
		{"nothing is understood", spi.CodeProtocol, func([]spi.TraceEvent) bool { return true }, 0, 60},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &store{}
				n := start(t, s)
				n.tracer.Replace(t.Context(), s.sinkOf(&strict{store: s, code: tt.code, refuses: tt.refuses}))
				for i := range 332 {
					n.begin("task", 0, 0)
					if i == 120 {
						n.fail("bad", strings.Repeat("x", 4<<10))
					}
				}
				began := time.Now()
				n.stop(t)
				if got := len(s.events()); got != tt.want {
					t.Errorf("the sink has %d events, want %d", got, tt.want)
				}
				if s.called() > tt.calls {
					t.Errorf("%d calls, want at most %d", s.called(), tt.calls)
				}
				if took := time.Since(began); took > 0 {
					t.Errorf("it took %v, want no pauses before what cannot help", took)
				}
				if got, lost := n.log.String(), tt.want < 998; lost != strings.Contains(got, "history events not kept") {
					t.Errorf("log = %.300s, want what was not kept, if any", got)
				}
			})
		})
	}
}

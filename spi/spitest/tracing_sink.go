package spitest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/spitest/subject"
)

// TracingSink calls the tracing sink.
func TracingSink(t *testing.T, h Host) {
	t.Helper()
	p := h.plugin(t, spi.KindTracingSink, subject.Type)
	trace := func(ctx context.Context, req spi.TraceRequest) *spi.Error {
		return use(ctx, h, p.TracingSink, req.Props, func(sink spi.TracingSink) error {
			_, err := sink.Trace(ctx, req)
			return err
		})
	}
	performAll(t, h, some(), func(ctx context.Context, values props.Values, services spi.Services) *spi.Error {
		return trace(ctx, spi.TraceRequest{Events: sampleEvents(), Props: values, Services: services})
	})
	requests := map[string][]spi.TraceEvent{"all kinds of events": sampleEvents(), "no events": nil}
	for range 100 {
		requests["many events"] = append(requests["many events"], sampleEvents()[0])
	}
	for name, events := range requests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder := &Recorder{}
			req := spi.TraceRequest{Events: events, Props: do(subject.DoEcho, "label.区", "一"), Services: recorder}
			if failed := trace(t.Context(), req); failed != nil {
				t.Fatalf("Trace() fails with %s, want success", subject.ErrorText(failed))
			}
			if diff := cmp.Diff([]string{subject.TraceText(req)}, recorder.Lines()); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func sampleEvents() []spi.TraceEvent {
	at := time.Date(2026, 11, 21, 10, 4, 25, 120e6, time.UTC)
	of := spi.TraceEvent{
		ID: "id-名", Kind: spi.TraceExecution, Time: at, JobName: "orders", TaskID: "task", RunID: "run",
		Instance: spi.Instance{ID: "i", IP: "10.0.0.1", Labels: map[string]string{"zone": "甲"}}, ExecutionSource: spi.SourceNormal,
	}
	begun, succeeded, failed, status := of, of, of, of
	begun.Item, begun.Attempt, begun.Start = 3, 1, at
	succeeded.Item, succeeded.Attempt, succeeded.Start, succeeded.End, succeeded.Success = 0, 2, at, at.Add(time.Millisecond), true
	failed.Item, failed.Attempt, failed.Start, failed.End = 9999, 1, at, at.Add(time.Hour)
	failed.Error = &spi.Error{Code: spi.CodePluginGone, Message: "\"m\"\n", Stack: "s", Retryable: true, Property: "p"}
	status.Kind, status.Items, status.State, status.Message = spi.TraceStatus, []int{0, 3, 9999}, spi.StateError, "長い\x00"
	staging := of
	staging.Kind, staging.State = spi.TraceStatus, spi.StateStaging
	return []spi.TraceEvent{begun, succeeded, failed, status, staging}
}

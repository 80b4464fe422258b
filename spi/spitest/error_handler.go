package spitest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/spitest/subject"
)

// ErrorHandler calls the error handler.
func ErrorHandler(t *testing.T, h Host) {
	t.Helper()
	p := h.plugin(t, spi.KindErrorHandler, subject.Type)
	handle := func(ctx context.Context, req spi.HandleErrorRequest) (decision spi.Decision, failed *spi.Error) {
		failed = use(ctx, h, p.ErrorHandler, req.Props, func(handler spi.ErrorHandler) error {
			response, err := handler.HandleError(ctx, req)
			decision = response.Decision
			return err
		})
		if failed == nil {
			failed = checkDecision(decision)
		}
		return decision, failed
	}
	performAll(t, h, some(), func(ctx context.Context, values props.Values, services spi.Services) *spi.Error {
		_, failed := handle(ctx, spi.HandleErrorRequest{Context: sampleContext(), Error: errorf(spi.CodeFailed, "m"), Props: values, Services: services})
		return failed
	})
	errors := map[string]*spi.Error{
		"error without a text": {Code: spi.CodeFailed},
		"all of an error":      {Code: 1001, Message: "名\n", Stack: "main.go:7", Retryable: true, Property: "p", RetryAfter: 1500 * time.Millisecond},
	}
	// A handler is told all codes, those of hosts as well.
	for code := spi.CodeFailed; code <= spi.CodeInternal; code++ {
		errors["error "+code.String()] = &spi.Error{Code: code, Message: "m", Retryable: !code.Retryable()}
	}
	for name, e := range errors {
		t.Run("request, "+name, func(t *testing.T) {
			t.Parallel()
			recorder := &Recorder{}
			c := sampleContext()
			c.Props = props.Values{"of": "the job"}
			req := spi.HandleErrorRequest{Context: c, Error: e, Props: do(subject.DoEcho, "label.区", "一"), Services: recorder}
			if decision, failed := handle(t.Context(), req); failed != nil || decision == spi.DecisionStop {
				t.Fatalf("HandleError() = %q, error %s, want to continue", decision, subject.ErrorText(failed))
			}
			if diff := cmp.Diff([]string{subject.FailureText(req)}, recorder.Lines()); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("request, several failures", func(t *testing.T) {
		t.Parallel()
		recorder := &Recorder{}
		first := time.Date(2026, 11, 21, 10, 4, 25, 120e6, time.UTC)
		req := spi.HandleErrorRequest{
			Context: sampleContext(), Error: errorf(spi.CodeFailed, "m"), Props: do(subject.DoEcho), Services: recorder,
			Count: 7, First: first, Last: first.Add(time.Minute), Items: []int{0, 3, 9_999},
		}
		if _, failed := handle(t.Context(), req); failed != nil {
			t.Fatalf("HandleError() fails with %s, want no error", subject.ErrorText(failed))
		}
		if diff := cmp.Diff([]string{subject.FailureText(req)}, recorder.Lines()); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
	})
	decisions := []struct {
		name, text string
		stop       bool
		want       *spi.Error
	}{
		{name: "no decision"},
		{name: "continue", text: "continue"},
		{name: "stop", text: "stop", stop: true},
		{name: "decision that does not exist", text: "retry", want: noDecision("retry")},
		{name: "decision in capitals", text: "STOP", want: noDecision("STOP")},
	}
	for _, d := range decisions {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			req := spi.HandleErrorRequest{
				Context: sampleContext(), Error: errorf(spi.CodeFailed, "m"), Props: do(subject.DoSay, subject.PropDecision, d.text), Services: &Recorder{},
			}
			got, failed := handle(t.Context(), req)
			if (failed == nil) != (d.want == nil) || failed != nil && (failed.Code != d.want.Code || !strings.HasSuffix(failed.Message, d.want.Message)) {
				t.Errorf("HandleError() fails with %s, want %s", subject.ErrorText(failed), subject.ErrorText(d.want))
			}
			if failed == nil && (got == spi.DecisionStop) != d.stop {
				t.Errorf("HandleError() = %q, want to stop: %t", got, d.stop)
			}
		})
	}
}

// checkDecision refuses what is no decision, as the engine does.
func checkDecision(d spi.Decision) *spi.Error {
	switch d {
	case spi.DecisionContinue, spi.DecisionStop, "":
		return nil
	default:
		return noDecision(string(d))
	}
}

func noDecision(text string) *spi.Error {
	return errorf(spi.CodeProtocol, "handle_error response: decision: expected %q or %q, not %q", spi.DecisionContinue, spi.DecisionStop, text)
}

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

// JobListener calls both methods of the job listener.
func JobListener(t *testing.T, h Host) {
	t.Helper()
	p := h.plugin(t, spi.KindJobListener, subject.Type)
	methods := []struct {
		name string
		call func(spi.JobListener, context.Context, spi.JobListenerRequest) (spi.JobListenerResponse, error)
	}{
		{"before", spi.JobListener.BeforeJob},
		{"after", spi.JobListener.AfterJob},
	}
	for _, m := range methods {
		tell := func(ctx context.Context, req spi.JobListenerRequest) *spi.Error {
			return use(ctx, h, p.JobListener, req.Props, func(listener spi.JobListener) error {
				_, err := m.call(listener, ctx, req)
				return err
			})
		}
		t.Run(m.name, func(t *testing.T) {
			performAll(t, h, some(), func(ctx context.Context, values props.Values, services spi.Services) *spi.Error {
				return tell(ctx, spi.JobListenerRequest{Run: sampleRun(), Props: values, Services: services})
			})
			requests := map[string]spi.JobListenerRequest{
				"whole request":    {Run: sampleRun()},
				"once for the run": {Run: sampleRun(), Once: true},
				"least request":    {Run: spi.JobRun{JobName: "j", FireTime: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}},
			}
			for name, req := range requests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					recorder := &Recorder{}
					req.Props, req.Services = do(subject.DoEcho, "label.区", "一"), recorder
					if failed := tell(t.Context(), req); failed != nil {
						t.Fatalf("the listener fails with %s, want success", subject.ErrorText(failed))
					}
					if diff := cmp.Diff([]string{subject.RunText(m.name, req)}, recorder.Lines()); diff != "" {
						t.Errorf("request (-want +got):\n%s", diff)
					}
				})
			}
		})
	}
}

func sampleRun() spi.JobRun {
	return spi.JobRun{
		JobName: "orders.夜", TaskID: "task", RunID: "run", FireTime: time.Date(2026, 11, 21, 10, 4, 25, 120e6, time.UTC),
		ExecutionSource: spi.SourceMisfire, ShardingTotalCount: 4, JobParameter: "\"p\"\n",
		Items: []spi.RunItem{
			{Item: 0, Parameter: "北京"},
			{Item: 1, Outcome: spi.OutcomeSuccess},
			{Item: 2, Outcome: spi.OutcomeFailure, Error: &spi.Error{Code: spi.CodeTrap, Message: "名\n", Stack: "s", Retryable: true, Property: "p"}},
			{Item: 3, Outcome: spi.OutcomeCancelled, Error: errorf(spi.CodeLeaseLost, "lease lost")},
		},
	}
}

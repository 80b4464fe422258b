package log_test

import (
	"context"
	"testing"

	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/log"
	"github.com/elasticjob-go/elasticjob/spi"
)

type services struct{ records []spi.LogRecord }

func (s *services) Log(_ context.Context, record spi.LogRecord) {
	s.records = append(s.records, record)
}

func (*services) Call(context.Context, string, []byte) ([]byte, error) { return nil, nil }

func TestWritesTheFailureAndContinues(t *testing.T) {
	t.Parallel()
	handler, err := log.Plugin().ErrorHandler(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var s services
	got, err := handler.HandleError(t.Context(), spi.HandleErrorRequest{
		Context:  spi.ShardingContext{JobName: "orders"},
		Error:    &spi.Error{Code: spi.CodeFailed, Message: "no such table", Stack: "main.run"},
		Services: &s,
	})
	if err != nil || got.Decision != spi.DecisionContinue {
		t.Errorf("HandleError() = %v, %v, want continue", got, err)
	}
	want := spi.LogRecord{Level: spi.LevelError, Line: "Job 'orders' exception occur in job processing, caused by no such table\nmain.run"}
	if len(s.records) != 1 || s.records[0] != want {
		t.Errorf("HandleError() logged %+v, want %+v", s.records, want)
	}
}

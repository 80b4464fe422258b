package throw_test

import (
	"context"
	"testing"

	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/throw"
	"github.com/elasticjob-go/elasticjob/spi"
)

// services fails the test when the handler uses them.
type services struct{ t *testing.T }

func (s services) Log(_ context.Context, record spi.LogRecord) {
	s.t.Errorf("HandleError() logs %q, want nothing", record.Line)
}

func (s services) Call(_ context.Context, op string, _ []byte) ([]byte, error) {
	s.t.Errorf("HandleError() calls %s, want nothing", op)
	return nil, nil
}

func TestDecidesStopAndSaysNothing(t *testing.T) {
	t.Parallel()
	plugin := throw.Plugin()
	if err := plugin.Check(); err != nil {
		t.Fatalf("Check() = %v, want nil", err)
	}
	handler, err := plugin.ErrorHandler(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := handler.HandleError(t.Context(), spi.HandleErrorRequest{
		Context:  spi.ShardingContext{JobName: "orders"},
		Error:    spi.NewError(spi.CodeFailed, "no such table"),
		Services: services{t},
	})
	if err != nil || got.Decision != spi.DecisionStop {
		t.Errorf("HandleError() = %v, %v, want stop", got, err)
	}
}

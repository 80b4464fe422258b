package execution

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// handler is an error handler that is a function.
func handler(handle func(ctx context.Context) error) []*Handler {
	return []*Handler{{Type: "PROBE", Handler: spi.ErrorHandlerFunc(func(ctx context.Context, _ spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
		return spi.HandleErrorResponse{Decision: spi.DecisionContinue}, handle(ctx)
	})}}
}

// failing is a spec whose items fail.
func failing(handle func(ctx context.Context) error) *Spec {
	return &Spec{
		JobType:  code(func(context.Context, spi.ExecuteRequest) error { return errors.New("out of order") }),
		Handlers: handler(handle),
	}
}

// unanswered is a handler whose server does not answer.
func unanswered(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestASlowErrorHandlerHoldsUpItsOwnJobOnly lets jobs fail each second whose
// handler takes all of its time, beside one whose handler returns at once.
func TestASlowErrorHandlerHoldsUpItsOwnJobOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		handled := 0
		r := startRig(t)
		noisy := []*Job{r.host("noisy-1", 1, failing(unanswered)), r.host("noisy-2", 3, failing(unanswered))}
		other := r.host("other", 1, failing(func(context.Context) error { handled++; return nil }))
		for second := range 120 {
			for _, j := range noisy {
				r.fire(j)
			}
			r.fire(other)
			synctest.Wait()
			if handled != second+1 {
				t.Errorf("failures of the other job handled when it has failed %d times = %d, want all", second+1, handled)
				break
			}
			time.Sleep(time.Second)
		}
		r.stop(t)
	})
}

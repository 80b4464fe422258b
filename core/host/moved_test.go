package host

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
)

// swap is the strategy SWAP of two instances and two items, which change places
// after every run.
func swap() spi.Plugin {
	return strategyLike("SWAP", func(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
		dealt := make(map[string][]int)
		for item := range req.ShardingTotalCount {
			id := req.Instances[item%len(req.Instances)].ID
			for i, instance := range req.Instances {
				if len(req.Previous) == 2 && slices.Contains(req.Previous[instance.ID], item) {
					id = req.Instances[(i+1)%len(req.Instances)].ID
				}
			}
			dealt[id] = append(dealt[id], item)
		}
		return spi.ShardResponse{Assignment: dealt}, nil
	}, spi.CapabilityEveryRun)
}

// TestARetrySurvivesAStrategyThatIsAskedAfterEveryRun has an item that fails once,
// and another one whose end moves it while it waits for its next attempt.
func TestARetrySurvivesAStrategyThatIsAskedAfterEveryRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(10*time.Second, 2, true)
		c.ShardingStrategyType, c.MaxRetries, c.RetryBackoff = "SWAP", 2, 2*time.Second
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{swap(), probe(func(_ context.Context, req spi.ExecuteRequest) error {
			if req.Context.ShardingItem == 0 && req.Context.Attempt == 1 {
				return errors.New("out of order")
			}
			return nil
		})}})
		f.join()
		f.join()
		sleepUntil(nextMultiple(10 * time.Second).Add(25 * time.Second))
		synctest.Wait()
		var attempts []string
		for _, n := range f.nodes {
			attempts = append(attempts, attemptsOf(n)...)
		}
		f.leaveAll()
		if n := len(attempts); n < 6 || slices.Index(attempts, "2 success") < 0 {
			t.Errorf("attempts = %q, want each failure followed by another attempt", attempts)
		}
		failed, again := 0, 0
		for _, a := range attempts {
			switch a {
			case "1 failure":
				failed++
			case "2 success":
				again++
			}
		}
		if failed != again {
			t.Errorf("%d items failed and %d were run again, want all: %q", failed, again, attempts)
		}
	})
}

// TestARetryOfABroadcastSurvivesAJoin has an instance whose item gets another
// number while it waits for its next attempt.
func TestARetryOfABroadcastSurvivesAJoin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := broadcastJob()
		c.Every, c.MaxRetries, c.RetryBackoff = 30*time.Second, 1, 20*time.Second
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{everybody(), probe(func(_ context.Context, req spi.ExecuteRequest) error {
			if req.Context.Attempt == 1 {
				return errors.New("out of order")
			}
			return nil
		})}})
		a := f.joinAs("10.0.0.5@-@1")
		sleepUntil(nextMultiple(30 * time.Second).Add(5 * time.Second))
		f.joinAs("10.0.0.1@-@1")
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]string{"1 failure", "2 success"}, attemptsOf(a)); diff != "" {
			t.Errorf("attempts of the first instance (-want +got):\n%s", diff)
		}
		f.leaveAll()
	})
}

// TestAFireCancelsWhatRunsOnItsFormerNode moves an item away from the node on which
// it hangs.
func TestAFireCancelsWhatRunsOnItsFormerNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(5*time.Second, 1, true)
		c.ConcurrencyPolicy = job.ConcurrencyCancelRunning
		var hung atomic.Bool
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(ctx context.Context, _ spi.ExecuteRequest) error {
			if hung.CompareAndSwap(false, true) {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})}})
		a := f.joinAs("node-a")
		sleepUntil(nextMultiple(5 * time.Second).Add(500 * time.Millisecond))
		f.set(Target{Job: c.Name, Instance: "node-a"}, false)
		b := f.joinAs("node-b")
		due := nextMultiple(5 * time.Second)
		sleepUntil(due.Add(time.Second))
		synctest.Wait()
		if len(a.finished) != 1 || a.finished[0].Outcome != execution.OutcomeCancelled {
			t.Errorf("the hanging item ended as %+v, want it cancelled by its next fire", a.finished)
		}
		if got := b.verdicts(t, c, 0)[due]; !slices.Equal(got, []string{startedNormal}) {
			t.Errorf("verdict of the new owner = %q, want %q", got, startedNormal)
		}
		f.leaveAll()
	})
}

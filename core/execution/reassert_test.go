package execution

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// TestTheRegistryIsToldWhatRuns has items of a firing, of a claim and of none when the
// registry may have lost its marks. Nothing begins before it has been told.
func TestTheRegistryIsToldWhatRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		goOn, answer := make(chan struct{}), make(chan struct{})
		r.reassert = func(registry.ReassertRequest) registry.ReassertReply {
			<-answer
			return registry.ReassertReply{Code: registry.CodeOK}
		}
		var calls atomic.Int64
		j := r.host("orders", 4, &Spec{Pool: 9, JobType: code(func(_ context.Context, req spi.ExecuteRequest) error {
			if calls.Add(1); req.Context.ShardingItem > 0 {
				<-goOn
			}
			return nil
		}), Config: job.Config{Failover: true, MonitorExecution: true}})
		idle := r.host("idle", 1, &Spec{JobType: code(func(context.Context, spi.ExecuteRequest) error { return nil }), Config: job.Config{MonitorExecution: true}})
		first := r.fire(j)
		synctest.Wait()
		trigger := "018f0000-0000-7000-8000-000000000001"
		claim := orphan(7, first.Add(-time.Minute), false, 5)
		claim.Trigger, claim.Run = trigger, trigger
		r.waits(claim)
		j.Orphaned()
		synctest.Wait()

		// The first item has ended and is not reported yet.
		r.Partition(0).Reassert()
		idleFired := r.fire(idle)
		synctest.Wait()
		if got := calls.Load(); got != 5 {
			t.Errorf("%d items have begun before the registry was told, want 5", got)
		}
		close(answer)
		close(goOn)
		synctest.Wait()
		r.stop(t)

		slices.SortFunc(r.reasserted, func(a, b registry.ReassertRequest) int { return len(b.Marks) - len(a.Marks) })
		for i := range r.reasserted {
			if q := &r.reasserted[i]; q.Asked == 0 {
				t.Errorf("%s: no request was asked, want at least a claim", q.Job)
			} else {
				q.Asked = 0
			}
		}
		want := []registry.ReassertRequest{
			{Lease: rigLease(), Job: "orders", Newest: 7, Marks: []registry.Mark{
				{Fence: 1, Kind: registry.KindNormal, Instant: first, Items: registry.NewItems(0, 1, 2, 3)},
				{Fence: 7, Kind: registry.KindFailover, Instant: claim.Instant, Trigger: trigger, Items: registry.NewItems(5)},
			}},
			{Lease: rigLease(), Job: "idle"},
		}
		if diff := cmp.Diff(want, r.reasserted); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		if ends := r.ends(); !slices.ContainsFunc(ends, func(e ItemFinished) bool { return e.Run == registry.FormatRunID(idleFired) }) {
			t.Errorf("the firing that waited has not run: %v", ends)
		}
	})
}

// TestWhatIsTakenForACopyIsToldAgain has the answer to what runs be lost: the request
// that repeats it is a copy to the registry, and the next one is newer.
func TestWhatIsTakenForACopyIsToldAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		codes := []registry.Code{registry.CodeDuplicate, registry.CodeOK}
		r.reassert = func(registry.ReassertRequest) registry.ReassertReply {
			code := codes[0]
			codes = codes[1:]
			return registry.ReassertReply{Code: code}
		}
		r.host("orders", 1, &Spec{JobType: code(func(context.Context, spi.ExecuteRequest) error { return nil }), Config: job.Config{MonitorExecution: true}})
		r.Partition(0).Reassert()
		time.Sleep(time.Second)
		synctest.Wait()
		r.stop(t)
		if q := r.reasserted; len(q) != 2 || q[0].Asked >= q[1].Asked {
			t.Errorf("told %+v, want two requests of rising numbers", q)
		}
	})
}

// TestWhatTheRegistryDoesNotGrantEnds gives the session up whose items run elsewhere,
// and tells of items that nobody will run.
func TestWhatTheRegistryDoesNotGrantEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		at := registry.FormatRunID(time.Now())
		r.reassert = func(registry.ReassertRequest) registry.ReassertReply {
			return registry.ReassertReply{
				Code: registry.CodeOK, Refused: []registry.LostRun{{Items: registry.NewItems(1), Run: at}}, Lost: []registry.LostRun{{Items: registry.NewItems(0), Run: at}},
			}
		}
		var lost []ItemLost
		r.events.Lost.Subscribe(func(e ItemLost) { lost = append(lost, e) })
		r.host("orders", 2, &Spec{JobType: code(func(context.Context, spi.ExecuteRequest) error { return nil }), Config: job.Config{MonitorExecution: true}})
		r.Partition(0).Reassert()
		synctest.Wait()
		r.stop(t)
		if len(r.refused) != 1 || !errors.Is(r.refused[0], registry.ErrLeaseLost) {
			t.Errorf("refused with %v, want %v once", r.refused, registry.ErrLeaseLost)
		}
		if want := []ItemLost{{Job: "orders", Item: 0, Run: at, From: rigLease().Instance}}; !slices.Equal(lost, want) {
			t.Errorf("lost %v, want %v", lost, want)
		}
	})
}

// TestAnotherSessionHasNothingToTell leaves marks of an ended session to the leader.
func TestAnotherSessionHasNothingToTell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		goOn := make(chan struct{})
		j := r.host("orders", 1, &Spec{JobType: code(func(context.Context, spi.ExecuteRequest) error {
			<-goOn // stubborn
			return nil
		}), Config: job.Config{MonitorExecution: true}})
		r.fire(j)
		synctest.Wait()
		next := rigLease()
		next.Epoch++
		r.Partition(0).Attach(next)
		r.Partition(0).Reassert()
		synctest.Wait()
		close(goOn)
		r.stop(t)
		if want := []registry.ReassertRequest{{Lease: next, Job: "orders", Newest: 1, Asked: 1}}; !cmp.Equal(r.reasserted, want) {
			t.Errorf("told %+v, want %+v", r.reasserted, want)
		}
	})
}

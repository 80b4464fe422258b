package host

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// takeover is how an item of a dead node ran elsewhere.
type takeover struct {
	item       int
	run        string
	checkpoint string
	at         time.Time
}

// orphanage is a job that fires every minute. Items below quick end at once, the
// others save a checkpoint and run for half a minute, but when they are taken over.
type orphanage struct {
	*fleet
	config job.Config

	mu    sync.Mutex
	taken []takeover
}

const (
	orphanItems = 9
	orphanQuick = 3
)

func newOrphanage(t *testing.T) *orphanage {
	t.Helper()
	o := &orphanage{config: fleetJob(time.Minute, orphanItems, true)}
	o.config.Failover, o.config.Misfire = true, false
	o.fleet = newFleet(t, setup{jobs: []job.Config{o.config}, plugins: []spi.Plugin{probe(o.run)}})
	return o
}

func (o *orphanage) run(ctx context.Context, req spi.ExecuteRequest) error {
	c := req.Context
	if c.ExecutionSource == spi.SourceFailover {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.taken = append(o.taken, takeover{c.ShardingItem, c.RunID, string(c.Checkpoint), time.Now()})
		return nil
	}
	if c.ShardingItem < orphanQuick {
		return nil
	}
	if _, err := req.Services.Call(ctx, spi.OpCheckpointSave, []byte(`{"data":"cGFnZSA3"}`)); err != nil {
		return err
	}
	select {
	case <-time.After(30 * time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// untilMidst sleeps until items run that have saved something, and returns their run
// and which of them are a node's.
func (o *orphanage) untilMidst() (run string, of func(*observed) []int) {
	time.Sleep(20 * time.Second)
	instant := nextMultiple(time.Minute)
	sleepUntil(instant.Add(5 * time.Second))
	synctest.Wait()
	return registry.FormatRunID(instant), func(n *observed) []int {
		n.mu.Lock()
		defer n.mu.Unlock()
		var items []int
		for _, e := range n.started {
			if e.Run == registry.FormatRunID(instant) && e.Item >= orphanQuick {
				items = append(items, e.Item)
			}
		}
		slices.Sort(items)
		return items
	}
}

// check compares what was taken over, each once, and by when.
func (o *orphanage) check(run string, items []int, by time.Time) {
	o.t.Helper()
	var got, want []string
	for _, one := range o.taken {
		got = append(got, fmt.Sprintf("%d of %s with %q", one.item, one.run, one.checkpoint))
		if one.at.After(by) {
			o.t.Errorf("item %d was taken over at %v, want by %v", one.item, one.at, by)
		}
	}
	for _, item := range items {
		want = append(want, fmt.Sprintf("%d of %s with %q", item, run, "page 7"))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
		o.t.Errorf("taken over (-want +got):\n%s", diff)
	}
}

// failoverBound is how long after a node's death its items run elsewhere: the session
// of a fleet's nodes and two seconds.
const failoverBound = 17 * time.Second

// TestWhatADeadNodeRanFailsOver kills one of three nodes: the others take over what it
// was running and nothing that had ended, and the run is not missed. ElasticJob ran what
// had ended, all items of the node, or nothing (#2090, #2161, #2023, #577, #671).
func TestWhatADeadNodeRanFailsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrphanage(t)
		var failedOver []execution.ItemFailedOver
		for range 3 {
			n := o.join()
			n.events.FailedOver.Subscribe(func(e execution.ItemFailedOver) {
				o.mu.Lock()
				defer o.mu.Unlock()
				failedOver = append(failedOver, e)
			})
		}
		run, of := o.untilMidst()
		dead := o.up[0]
		items, died := of(dead), time.Now()
		dead.kill(t)
		o.up = o.up[1:]
		time.Sleep(40 * time.Second)
		o.leaveAll()
		o.check(run, items, died.Add(failoverBound))
		for _, e := range failedOver {
			if e.From != dead.instance.ID || e.Run != run || !slices.Contains(items, e.Item) {
				t.Errorf("failed over %+v, want items %v of %s from %s", e, items, run, dead.instance.ID)
			}
		}
		if len(failedOver) != len(items) {
			t.Errorf("%d events of items that failed over, want %d", len(failedOver), len(items))
		}
	})
}

// TestAFleetThatDiesAsAWholeFailsOver kills all nodes at once. New ones, which come
// later, end what those were running.
func TestAFleetThatDiesAsAWholeFailsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrphanage(t)
		for range 3 {
			o.join()
		}
		run, of := o.untilMidst()
		var items []int
		for _, n := range o.up {
			items = append(items, of(n)...)
		}
		for _, n := range o.up {
			n.kill(t)
		}
		o.up = nil
		time.Sleep(5 * time.Minute)
		came := time.Now()
		o.join()
		o.join()
		time.Sleep(40 * time.Second)
		o.leaveAll()
		// The sessions of all others end at once: the leader waits one session more,
		// as it may be the server's clock.
		o.check(run, items, came.Add(failoverBound))
	})
}

// TestTakersThatDieAreTakenOver kills whoever has taken items over before it has ended
// them: the last node ends them all.
func TestTakersThatDieAreTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		ended := map[int][]string{}
		var runs func(context.Context, spi.ExecuteRequest) error
		c := fleetJob(time.Hour, 4, true)
		c.Failover = true
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(ctx context.Context, req spi.ExecuteRequest) error { return runs(ctx, req) })}})
		runs = func(ctx context.Context, req spi.ExecuteRequest) error {
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
				return ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			ended[req.Context.ShardingItem] = append(ended[req.Context.ShardingItem], fmt.Sprint(req.Context.ExecutionSource, " ", req.Context.RunID))
			return nil
		}
		for range 3 {
			f.join()
		}
		time.Sleep(20 * time.Second)
		instant := nextMultiple(time.Hour)
		sleepUntil(instant.Add(5 * time.Second))
		for len(f.up) > 1 {
			f.up[0].kill(t)
			f.up = f.up[1:]
			time.Sleep(30 * time.Second)
		}
		time.Sleep(2 * time.Minute)
		f.leaveAll()
		for item := range c.ShardingTotalCount {
			if got := ended[item]; len(got) != 1 || !strings.HasSuffix(got[0], " "+registry.FormatRunID(instant)) {
				t.Errorf("item %d ended %q, want once in %s", item, got, registry.FormatRunID(instant))
			}
		}
	})
}

// TestCodeThatOutlivesItsLeaseIsTakenOverWhenItEnds has one node alone: it registers
// anew while its cancelled code still runs, so the item is its own to take over then.
func TestCodeThatOutlivesItsLeaseIsTakenOverWhenItEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := probeJob(time.Hour)
		c.Failover = true
		n := observe(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(ctx context.Context, req spi.ExecuteRequest) error {
			if req.Context.ExecutionSource != spi.SourceFailover {
				<-ctx.Done()
				time.Sleep(time.Second)
			}
			return ctx.Err()
		})}})
		n.start(t)
		sleepUntil(nextMultiple(c.Every).Add(10 * time.Second))
		n.loseSession(t)
		time.Sleep(time.Minute)
		synctest.Wait()
		took := 0
		for _, e := range n.finished {
			if e.Source == spi.SourceFailover && e.Outcome == execution.OutcomeSuccess {
				took++
			}
		}
		if took != c.ShardingTotalCount {
			t.Errorf("%d items were taken over, want %d", took, c.ShardingTotalCount)
		}
		n.stop(t)
	})
}

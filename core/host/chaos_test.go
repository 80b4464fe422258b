package host

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// TestChaosDoublesNothing lets nodes join, leave, die and be cut off, and
// items, the job and nodes be disabled and enabled, on a slow network, and looks
// for runs that were started twice, and without faults for instants without
// verdict.
func TestChaosDoublesNothing(t *testing.T) {
	t.Parallel()
	for _, monitored := range []bool{true, false} {
		for _, level := range []string{"members", "states", "faults"} {
			for seed := range *seeds {
				t.Run(fmt.Sprintf("%s, monitored=%v, seed %d", level, monitored, seed), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { chaos(t, level, fleetJob(time.Second, 7, monitored), seed) })
				})
			}
		}
	}
}

func chaos(t *testing.T, level string, c job.Config, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 7))
	var mu sync.Mutex
	delays := rand.New(rand.NewPCG(seed, 8))
	delay := func(most int) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		if delays.IntN(20) == 0 {
			most *= 10
		}
		return time.Duration(delays.IntN(most)) * time.Millisecond
	}
	slowly := func(ctx context.Context, req spi.ExecuteRequest) error {
		if req.Context.ExecutionSource != spi.SourceOneOff {
			return nil
		}
		select {
		case <-time.After(300 * time.Millisecond):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(slowly), turns()}})
	manual := triggered{fleet: f, job: c.Name, random: rand.New(rand.NewPCG(seed, 9)), accepted: make(map[string][]int)}
	away := map[*observed]*atomic.Bool{}
	join := func() {
		isAway := f.unsteady(func() time.Duration { return delay(20) })
		away[f.join()] = isAway
	}
	pause := func() { time.Sleep(time.Duration(random.IntN(5000)) * time.Millisecond) }
	join()
	join()
	if testing.Verbose() {
		t.Cleanup(func() {
			for _, n := range f.nodes {
				t.Log("story\n" + strings.Join(n.story, "\n"))
			}
		})
	}
	from := nextMultiple(time.Second).Add(2 * time.Second)
	states := map[string]bool{}
	toggle := func(name string, target Target) {
		n := f.up[random.IntN(len(f.up))]
		if away[n].Load() {
			return
		}
		if _, err := n.SetEnabled(t.Context(), target, states[name], "test"); err != nil {
			t.Logf("SetEnabled: %v", err)
			return
		}
		n.note("set %s enabled=%v", name, states[name])
		states[name] = !states[name]
	}
	for range 40 {
		pause()
		if n := f.up[manual.random.IntN(len(f.up))]; !away[n].Load() {
			manual.trigger(n, c.ShardingTotalCount)
		}
		most := 3
		switch level {
		case "states":
			most = 6
		case "faults":
			most = 8
		}
		switch what := random.IntN(most); what {
		case 0:
			if len(f.up) < 6 {
				join()
			}
		case 1:
			if len(f.up) > 2 {
				f.leave(f.up[random.IntN(len(f.up))])
			}
		case 2:
			pause()
		case 3:
			toggle("job", Target{Job: c.Name})
		case 4:
			item := random.IntN(7)
			toggle(fmt.Sprint("item", item), Target{Job: c.Name, Item: &item})
		case 5:
			n := f.up[random.IntN(len(f.up))]
			toggle("node"+n.instance.ID, Target{Job: c.Name, Instance: n.instance.ID})
		case 6:
			if len(f.up) > 2 {
				i := random.IntN(len(f.up))
				dead := f.up[i]
				f.up = append(f.up[:i:i], f.up[i+1:]...)
				away[dead].Store(false)
				dead.kill(t)
			}
		case 7:
			n := f.up[random.IntN(len(f.up))]
			n.note("away")
			isAway := away[n]
			isAway.Store(true)
			go func() {
				time.Sleep(delay(30000))
				isAway.Store(false)
				n.note("back")
			}()
		}
	}
	for _, a := range away {
		a.Store(false)
	}
	time.Sleep(400 * time.Second)
	to := nextMultiple(time.Second).Add(-40 * time.Second)
	isOff := false
	for _, off := range states {
		isOff = isOff || off
	}
	manual.check(f.up[0], level == "members", isOff)
	f.leaveAll()
	for item := range c.ShardingTotalCount {
		all := f.looseVerdicts(c, item)
		for at, verdicts := range all {
			normal := 0
			for _, v := range verdicts {
				if strings.HasPrefix(v, "started") {
					normal++
				}
			}
			if normal > 1 {
				t.Errorf("item %d at %s: %q, started twice", item, at.Format("15:04:05.000"), verdicts)
			}
		}
		if level != "members" {
			missing := 0
			for at := from; !at.After(to); at = at.Add(c.Every) {
				if len(all[at]) == 0 {
					if missing++; missing == 1 || missing == 10 {
						t.Logf("item %d at %s has no verdict", item, at.Format("15:04:05"))
					}
				}
			}
			if missing > 0 && testing.Verbose() {
				t.Logf("item %d has %d instants without verdict of %d", item, missing, len(all))
			}
			continue
		}
		for at := from; !at.After(to); at = at.Add(c.Every) {
			if n := len(all[at]); n != 1 && !isCaughtUp(all[at]) {
				t.Errorf("item %d at %s: %q, want one verdict", item, at.Format("15:04:05.000"), all[at])
			}
		}
	}
}

// looseVerdicts is verdicts without its check of counts.
func (f *fleet) looseVerdicts(c job.Config, item int) map[time.Time][]string {
	f.t.Helper()
	all := make(map[time.Time][]string)
	for i, n := range f.nodes {
		n.mu.Lock()
		for _, e := range n.misfired {
			if e.Item == item && e.Job == c.Name {
				for at := e.From; !at.After(e.To); at = at.Add(c.Every) {
					all[at] = append(all[at], fmt.Sprintf("missed %s on %d", e.Reason, i))
				}
			}
		}
		for _, e := range n.started {
			if e.Item == item && e.Job == c.Name && e.Source != spi.SourceOneOff {
				at, err := registry.ParseRunID(e.Run)
				if err != nil {
					f.t.Fatal(err)
				}
				all[at] = append(all[at], fmt.Sprintf("started %s on %d", e.Source, i))
			}
		}
		n.mu.Unlock()
	}
	return all
}

// isCaughtUp reports whether an instant was missed because the item still ran and
// made up for.
func isCaughtUp(verdicts []string) bool {
	return len(verdicts) == 2 && slices.ContainsFunc(verdicts, func(v string) bool { return strings.HasPrefix(v, missedRunning) }) &&
		slices.ContainsFunc(verdicts, func(v string) bool { return strings.HasPrefix(v, startedMisfire) })
}

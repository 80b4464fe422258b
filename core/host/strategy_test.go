package host

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// strategyLike is a strategy with capabilities.
func strategyLike(name string, shard spi.ShardingStrategyFunc, capabilities ...string) spi.Plugin {
	return spi.Plugin{
		Descriptor:       spi.Descriptor{Kind: spi.KindShardingStrategy, Type: name, Description: "is made for a test", Capabilities: capabilities},
		ShardingStrategy: func(context.Context, props.Values) (spi.ShardingStrategy, error) { return shard, nil },
	}
}

// turns is the strategy TURNS, which gives each item to the instance after its last
// one, after every run.
func turns() spi.Plugin {
	return strategyLike("TURNS", func(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
		owner := make(map[int]int)
		for i, instance := range req.Instances {
			for _, item := range req.Previous[instance.ID] {
				owner[item] = i + 1
			}
		}
		dealt := make(map[string][]int)
		for item := range req.ShardingTotalCount {
			id := req.Instances[owner[item]%len(req.Instances)].ID
			dealt[id] = append(dealt[id], item)
		}
		return spi.ShardResponse{Assignment: dealt}, nil
	}, spi.CapabilityEveryRun)
}

// everybody is the strategy EVERYBODY, which broadcasts. Unlike the built-in one it
// gives an instance another item whenever its index is another.
func everybody() spi.Plugin {
	return strategyLike("EVERYBODY", func(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
		dealt := make(map[string][]int)
		for i, instance := range req.Instances {
			dealt[instance.ID] = []int{i}
		}
		return spi.ShardResponse{Assignment: dealt}, nil
	}, spi.CapabilityBroadcast)
}

// TestAJobMovesAfterEveryRun has three nodes that take turns. Its item is enabled
// all the time but for a while, in which a disabled item fails ElasticJob.
func TestAJobMovesAfterEveryRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 1, true)
		c.ShardingStrategyType = "TURNS"
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick), turns()}})
		for range 3 {
			f.join()
		}
		sleepUntil(nextMultiple(time.Second).Add(10*time.Second + 500*time.Millisecond))
		from := nextMultiple(time.Second)
		sleepUntil(from.Add(29*time.Second + 500*time.Millisecond))
		item := 0
		for _, enabled := range []bool{false, true} {
			if _, err := f.up[0].SetEnabled(t.Context(), Target{Job: c.Name, Item: &item}, enabled, "test"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
		}
		f.leaveAll()
		f.checkStartedOnce(c, 0, from, from.Add(29*time.Second))
		var owners []string
		for at := from; at.Before(from.Add(30 * time.Second)); at = at.Add(time.Second) {
			for i, n := range f.nodes {
				if len(n.verdicts(t, c, 0)[at.UTC()]) > 0 {
					owners = append(owners, fmt.Sprint(i))
				}
			}
		}
		for i := range owners[3:] {
			if owners[i] == owners[i+1] || owners[i] != owners[i+3] {
				t.Fatalf("the job ran on %s, want three nodes that take turns", strings.Join(owners, " "))
			}
		}
		all := f.verdicts(c, 0)
		for at := from.Add(30 * time.Second); at.Before(from.Add(33 * time.Second)); at = at.Add(time.Second) {
			if v := all[at.UTC()]; len(v) != 1 || !strings.HasPrefix(v[0], missedDisabled) {
				t.Errorf("verdicts at %v, while the item is disabled, = %q, want %s", at, v, missedDisabled)
			}
		}
		if v := all[from.Add(34*time.Second).UTC()]; len(v) != 1 || !strings.HasPrefix(v[0], "started") {
			t.Errorf("verdicts after the item was enabled = %q, want it started", v)
		}
	})
}

// TestChaosOfTurnsDoublesNothing is the chaos of a job that moves after every run.
func TestChaosOfTurnsDoublesNothing(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"members", "faults"} {
		for seed := range *seeds {
			t.Run(fmt.Sprintf("%s, seed %d", level, seed), func(t *testing.T) {
				t.Parallel()
				c := fleetJob(time.Second, 3, true)
				c.ShardingStrategyType = "TURNS"
				synctest.Test(t, func(t *testing.T) { chaos(t, level, c, seed) })
			})
		}
	}
}

// broadcastJob is a job that every instance runs every second.
func broadcastJob() job.Config {
	c := fleetJob(time.Second, 1, true)
	c.ShardingStrategyType = "EVERYBODY"
	return c
}

// TestEveryInstanceRuns checks what code and operators see of a job that
// broadcasts.
// It is what #366 and #2037 of ElasticJob ask for.
func TestEveryInstanceRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		seen := make(map[string]bool)
		c := broadcastJob()
		c.ShardingItemParameters = "0=first"
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{everybody(), probe(func(_ context.Context, req spi.ExecuteRequest) error {
			mu.Lock()
			defer mu.Unlock()
			seen[fmt.Sprintf("%d/%d %s", req.Context.ShardingItem, req.Context.ShardingTotalCount, req.Context.ShardingParameter)] = true
			return nil
		})}})
		for range 3 {
			f.join()
		}
		sleepUntil(nextMultiple(time.Second).Add(5*time.Second + 500*time.Millisecond))
		mu.Lock()
		clear(seen)
		mu.Unlock()
		time.Sleep(5 * time.Second)
		mu.Lock()
		for _, want := range []string{"0/3 first", "1/3 ", "2/3 "} {
			if !seen[want] || len(seen) != 3 {
				t.Errorf("the code was called for %v, want %q among three", seen, want)
			}
		}
		mu.Unlock()
		items, err := f.up[0].Items(t.Context(), c.Name)
		if err != nil || len(items) != 3 {
			t.Errorf("Items() = %v, %v, want three", items, err)
		}
		last := 2
		if changed, err := f.up[0].SetEnabled(t.Context(), Target{Job: c.Name, Item: &last}, false, "test"); !changed || err != nil {
			t.Errorf("SetEnabled(item 2) = %v, %v, want a change", changed, err)
		}
		info, err := f.up[0].Job(t.Context(), c.Name)
		if err != nil || info.Status != JobOK {
			t.Errorf("Job() = %+v, %v, want status %s", info, err, JobOK)
		}
		f.leaveAll()
	})
}

// TestInstancesOfABroadcastComeAndGo lets nodes join, leave and die: as long as it
// lives, every node runs each instant once, and nothing of what others missed.
func TestInstancesOfABroadcastComeAndGo(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]func(context.Context, spi.ExecuteRequest) error{"quick": quick, "slow": runFor(1700 * time.Millisecond)} {
		for seed := range *seeds {
			t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { broadcastLife(t, seed, code) })
			})
		}
	}
}

func broadcastLife(t *testing.T, seed uint64, code func(context.Context, spi.ExecuteRequest) error) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 9))
	c := broadcastJob()
	f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{everybody(), probe(code)}})
	dead := make(map[*observed]bool)
	f.join()
	for range 25 {
		time.Sleep(time.Duration(random.IntN(5000)) * time.Millisecond)
		switch what := random.IntN(5); {
		case what < 2 && len(f.up) < 6:
			// Anywhere among the others.
			f.joinAs(fmt.Sprintf("10.0.0.%d@-@%d", random.IntN(100), len(f.nodes)))
		case what == 2 && len(f.up) > 1:
			f.leave(f.up[random.IntN(len(f.up))])
		case what == 3 && len(f.up) > 2:
			i := random.IntN(len(f.up))
			n := f.up[i]
			f.up = slices.Delete(f.up, i, i+1)
			dead[n] = true
			n.kill(t)
		}
	}
	time.Sleep(40 * time.Second)
	f.leaveAll()
	for i, n := range f.nodes {
		all := n.verdictsOfAll(t, c)
		var first, last time.Time
		for at := range all {
			if first.IsZero() || at.Before(first) {
				first = at
			}
			if at.After(last) {
				last = at
			}
		}
		// One that goes at once may have nothing to do.
		for at := first; len(all) > 0 && !at.After(last); at = at.Add(c.Every) {
			started := 0
			for _, v := range all[at] {
				if strings.HasPrefix(v, "started") {
					started++
				}
			}
			if started > 1 || len(all[at]) == 0 && !dead[n] || len(all[at]) > 2 {
				t.Errorf("node %d at %s: %q, want it started once, or missed", i, at.Format("15:04:05.000"), all[at])
			}
			if len(all[at]) == 2 && !isCaughtUp(all[at]) {
				t.Errorf("node %d at %s: %q, want one verdict", i, at.Format("15:04:05.000"), all[at])
			}
		}
	}
}

// verdictsOfAll returns what became of the instants of a node, whatever its items
// were.
func (n *observed) verdictsOfAll(t *testing.T, c job.Config) map[time.Time][]string {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make(map[time.Time][]string)
	for _, e := range n.misfired {
		for at := e.From; !at.After(e.To); at = at.Add(c.Every) {
			all[at] = append(all[at], "missed "+string(e.Reason))
		}
	}
	for _, e := range n.started {
		at, err := registry.ParseRunID(e.Run)
		if err != nil {
			t.Fatal(err)
		}
		all[at] = append(all[at], "started "+string(e.Source))
	}
	return all
}

func TestStrategiesThatNeedMarksAreRefusedWithout(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"TURNS", "EVERYBODY"} {
		c := fleetJob(time.Second, 1, false)
		c.ShardingStrategyType = strategy
		_, problems := newHost(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick), turns(), everybody()}})
		if len(problems) != 1 || problems[0].Rule != job.RuleConflict || !strings.Contains(problems[0].Message, strategy+" needs monitorExecution") {
			t.Errorf("New(%s without monitorExecution) has problems %v, want a conflict", strategy, problems)
		}
	}
}

// TestAStrategyIsToldTheLoad has jobs that go to the least busy instance one after
// the other.
func TestAStrategyIsToldTheLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		idlest := strategyLike("IDLEST", func(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
			best := slices.MinFunc(req.Instances, func(a, b spi.Instance) int { return a.Load - b.Load })
			return spi.ShardResponse{Assignment: map[string][]int{best.ID: {0}}}, nil
		}, spi.CapabilityLoad)
		s := setup{plugins: []spi.Plugin{idlest}}
		for i := range 6 {
			c := fakeJob(fmt.Sprint("job", i))
			c.ShardingStrategyType = "IDLEST"
			s.jobs = append(s.jobs, c)
		}
		f := newFleet(t, s)
		for range 3 {
			f.join()
		}
		time.Sleep(5 * time.Second)
		owned := make(map[string]int)
		for _, c := range s.jobs {
			items, err := f.up[0].Items(t.Context(), c.Name)
			if err != nil {
				t.Fatal(err)
			}
			owned[items[0].Owner]++
		}
		for _, n := range f.up {
			if owned[n.instance.ID] != 2 {
				t.Errorf("instances own %v of the six jobs, want two each", owned)
				break
			}
		}
		f.leaveAll()
	})
}

// TestABadAnswerKeepsTheAssignment has a strategy that answers well once: when
// another node joins, nothing changes and nothing is missed.
func TestABadAnswerKeepsTheAssignment(t *testing.T) {
	t.Parallel()
	answer := func(assignment map[string][]int, err error) spi.ShardingStrategyFunc {
		return func(context.Context, spi.ShardRequest) (spi.ShardResponse, error) {
			return spi.ShardResponse{Assignment: assignment}, err
		}
	}
	everythingTo := func(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
		return spi.ShardResponse{Assignment: map[string][]int{req.Instances[0].ID: {0, 1}}}, nil
	}
	for name, bad := range map[string]spi.ShardingStrategyFunc{
		"an item twice": func(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
			return spi.ShardResponse{Assignment: map[string][]int{req.Instances[0].ID: {0, 1}, req.Instances[1].ID: {1}}}, nil
		},
		"an item missing": func(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
			return spi.ShardResponse{Assignment: map[string][]int{req.Instances[1].ID: {1}}}, nil
		},
		"a stranger": answer(map[string][]int{"stranger": {0, 1}}, nil),
		"nothing":    answer(nil, nil),
		"an error":   answer(nil, spi.NewError(spi.CodeFailed, "no idea")),
		"a panic":    func(context.Context, spi.ShardRequest) (spi.ShardResponse, error) { panic("no idea") },
		"no answer": func(ctx context.Context, _ spi.ShardRequest) (spi.ShardResponse, error) {
			<-ctx.Done()
			return spi.ShardResponse{}, ctx.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				moody := strategyLike("MOODY", func(ctx context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
					if len(req.Instances) == 1 {
						return everythingTo(ctx, req)
					}
					return bad(ctx, req)
				})
				c := fleetJob(time.Second, 2, true)
				c.ShardingStrategyType = "MOODY"
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick), moody}})
				first := f.join()
				from := nextMultiple(time.Second).Add(2 * time.Second)
				sleepUntil(from.Add(500 * time.Millisecond))
				before, err := first.Job(t.Context(), c.Name)
				if err != nil {
					t.Fatal(err)
				}
				f.join()
				sleepUntil(from.Add(30*time.Second + 500*time.Millisecond))
				after, err := first.Job(t.Context(), c.Name)
				if err != nil || after.Generation != before.Generation {
					t.Errorf("the generation of the assignment is %d after a bad answer, %v, want %d as before", after.Generation, err, before.Generation)
				}
				f.leaveAll()
				for item := range 2 {
					f.checkStartedOnce(c, item, from, from.Add(30*time.Second))
				}
			})
		})
	}
}

// TestNodesThatDifferInAStrategyGiveNoWrongOwners is a fleet of which some nodes do
// not have the strategy of a job. They get none of its items, and change nothing
// while they lead. ElasticJob: #1544.
func TestNodesThatDifferInAStrategyGiveNoWrongOwners(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 2, true)
		c.ShardingStrategyType = "EVENLY"
		evenly := strategyLike("EVENLY", func(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
			dealt := make(map[string][]int)
			for item := range req.ShardingTotalCount {
				id := req.Instances[item%len(req.Instances)].ID
				dealt[id] = append(dealt[id], item)
			}
			return spi.ShardResponse{Assignment: dealt}, nil
		})
		with := setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick), evenly}}
		without := setup{jobs: []job.Config{fakeJob("other")}, plugins: []spi.Plugin{probe(quick)}}
		f := newFleet(t, with)
		first := f.join()
		f.setup = without
		poor := f.join()
		from := nextMultiple(time.Second).Add(time.Second)
		sleepUntil(from.Add(5*time.Second + 500*time.Millisecond))

		f.leave(first)
		f.setup = with
		second := f.join()
		time.Sleep(30 * time.Second)
		if items, err := second.Items(t.Context(), c.Name); err != nil || slices.ContainsFunc(items, func(i ItemInfo) bool { return i.Owner != "" }) {
			t.Errorf("Items() = %+v, %v, want nobody to own any while a node leads that lacks the strategy", items, err)
		}

		f.leave(poor)
		back := nextMultiple(time.Second).Add(5 * time.Second)
		sleepUntil(back.Add(5*time.Second + 500*time.Millisecond))
		f.leaveAll()
		if slices.ContainsFunc(poor.started, func(e execution.ItemStarted) bool { return e.Job == c.Name }) {
			t.Errorf("started %+v where the strategy is not known, want nothing of %s", poor.started, c.Name)
		}
		for item := range c.ShardingTotalCount {
			f.checkStartedOnce(c, item, from, from.Add(5*time.Second))
			f.checkStartedOnce(c, item, back, back.Add(5*time.Second))
		}
		f.checkOneVerdict(c, from, back)
	})
}

// TestStrategiesThatHangHoldUpNobody has many jobs whose strategy wants loads and
// never answers, so that they cannot be asked at once.
func TestStrategiesThatHangHoldUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := strategyLike("HANG", func(ctx context.Context, _ spi.ShardRequest) (spi.ShardResponse, error) {
			<-ctx.Done()
			return spi.ShardResponse{}, ctx.Err()
		}, spi.CapabilityLoad)
		s := setup{plugins: []spi.Plugin{hang, probe(quick)}, jobs: []job.Config{fleetJob(time.Second, 1, true)}}
		for i := range 8 {
			c := fakeJob(fmt.Sprint("hangs", i))
			c.ShardingStrategyType = "HANG"
			s.jobs = append(s.jobs, c)
		}
		f := newFleet(t, s)
		begin := time.Now()
		n := f.join()
		time.Sleep(2 * time.Second)
		if took := time.Since(begin); took > 15*time.Second || len(n.startedSince(t, time.Time{})) == 0 {
			t.Errorf("the job of another strategy has started %d times after %v, want some within 15 s", len(n.startedSince(t, time.Time{})), took)
		}
		f.leaveAll()
	})
}

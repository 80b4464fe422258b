package host

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/registry/dial"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// The tests of this file each fail if a key of the file is read and then ignored.

// TestTheRegistryIsReachedAsTheFileSays has a value of its own for every key that
// package dial takes.
func TestTheRegistryIsReachedAsTheFileSays(t *testing.T) {
	t.Parallel()
	center := config.RegCenter{
		Servers: []string{"a:1", "b:2"}, MasterName: "master", Namespace: "fleet", Username: "user", Password: "password",
		SentinelUsername: "watcher", SentinelPassword: "word", Database: 7,
		ConnectionTimeout: 11 * time.Second, BaseSleepTime: 12 * time.Millisecond, MaxSleepTime: 13 * time.Second, MaxRetries: 14,
	}
	want := dial.Config{
		Servers: []string{"a:1", "b:2"}, MasterName: "master", Namespace: "fleet", Username: "user", Password: "password",
		SentinelUsername: "watcher", SentinelPassword: "word", Database: 7,
		ConnectionTimeout: 11 * time.Second, MinRetryBackoff: 12 * time.Millisecond, MaxRetryBackoff: 13 * time.Second, MaxRetries: 14,
	}
	got := addressOf(&center)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("addressOf() differs (-want +got):\n%s", diff)
	}
	// What connect adds itself, and no more than that, is left empty.
	for i, of := range reflect.VisibleFields(reflect.TypeFor[dial.Config]()) {
		if isEmpty := reflect.ValueOf(got).Field(i).IsZero(); isEmpty != slices.Contains([]string{"TLS", "Waiting", "Dial"}, of.Name) {
			t.Errorf("addressOf() leaves %s empty: %v", of.Name, isEmpty)
		}
	}
}

// TestTheSessionTimeoutIsThatOfTheFile reaches a real server.
func TestTheSessionTimeoutIsThatOfTheFile(t *testing.T) {
	t.Parallel()
	center := config.DefaultRegCenter()
	center.Servers, center.Namespace, center.SessionTimeout = []string{redistest.Start(t).Addr()}, "fleet", 7*time.Second
	c, err := connect(t.Context(), config.Config{RegCenter: &center}, Machine{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}()
	if c.sessionTimeout != 7*time.Second || c.namespace != "fleet" {
		t.Errorf("connect() has session timeout %v and namespace %q, want 7s and fleet", c.sessionTimeout, c.namespace)
	}
}

// TestTheSessionTimeoutDecidesWhenADeadNodesItemsMove uses a third of the default.
func TestTheSessionTimeoutDecidesWhenADeadNodesItemsMove(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Second, 2, true)
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}, sessionTimeout: 5 * time.Second})
		dead, other := f.join(), f.join()
		sleepUntil(nextMultiple(time.Second).Add(10*time.Second + 300*time.Millisecond))
		dead.kill(t)
		f.up = []*observed{other}
		// The lease, its grace, and two instants for the assignment and the run.
		time.Sleep(5*time.Second + registryGrace + 2*time.Second)
		from := time.Now()
		time.Sleep(2 * time.Second)
		if counts := other.startedSince(t, from); counts[0] == 0 || counts[1] == 0 {
			t.Errorf("started %v on the other node once the session of 5s has ended, want both items", counts)
		}
		f.leaveAll()
	})
}

// TestFiringsAreTriedOnce has pauses between tries that the begin or the end of an
// item must not wait for: it would be late by them when Redis is back.
func TestFiringsAreTriedOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	center := config.DefaultRegCenter()
	center.Servers, center.Namespace = []string{server.Addr()}, "fleet"
	center.BaseSleepTime, center.MaxSleepTime = time.Hour, time.Hour
	n := observe(t, setup{jobs: []job.Config{probeJob(time.Hour)}, plugins: []spi.Plugin{probe(quick)}})
	n.connection, n.config.Node.RegCenter = nil, &center
	service := &registryService{host: n.Host}
	if err := service.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := service.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	p, lease := n.center.Partitions()[0], registry.Lease{Instance: "a", Epoch: 1}
	for what, call := range map[string]func() error{
		"Begin": func() error {
			_, err := p.Begin(ctx, registry.BeginRequest{Lease: lease, Job: "j", Kind: registry.KindNormal, Instant: time.Now()})
			return err
		},
		"Complete": func() error {
			_, err := p.Complete(ctx, registry.CompleteRequest{Lease: lease, Job: "j", Fence: 1, Items: registry.AllItems(1), Outcome: registry.OutcomeSuccess})
			return err
		},
		"ClaimAll": func() error {
			_, err := p.ClaimAll(ctx, []registry.ClaimRequest{{Lease: lease, Job: "j", Most: 1, Request: "c1"}})
			return err
		},
	} {
		if err := call(); err == nil || ctx.Err() != nil {
			t.Errorf("%s without a server = %v, want an error before the pause between two tries is over", what, err)
		}
	}
}

// TestMaxTimeDiffSecondsKeepsANodeFromStarting has a server whose clock is ten
// minutes ahead.
func TestMaxTimeDiffSecondsKeepsANodeFromStarting(t *testing.T) {
	t.Parallel()
	for seconds, refused := range map[int]bool{-1: false, 60: true, 1200: false} {
		t.Run(fmt.Sprint(seconds), func(t *testing.T) {
			t.Parallel()
			bounded, unbounded := probeJob(time.Hour), probeJob(time.Hour)
			bounded.Name, bounded.MaxTimeDiffSeconds = "bounded", seconds
			f := newFleet(t, setup{jobs: []job.Config{unbounded, bounded}, plugins: []spi.Plugin{probe(quick)}})
			n := observe(t, f.setup)
			n.onto(f.server)
			n.connection.isEmbedded = false // the server's clock is not this machine's
			f.server.SetTime(time.Now().Add(10 * time.Minute))
			center := &registryService{host: n.Host}
			switch err := center.Start(t.Context()); {
			case err == nil:
				if err := center.Stop(t.Context()); err != nil {
					t.Error(err)
				}
				if refused {
					t.Error("Start() = nil, want the clocks to differ too much")
				}
			case !refused || !strings.Contains(err.Error(), `more than maxTimeDiffSeconds of job "bounded" allows`):
				t.Errorf("Start() = %v, want refused %v, by the bounded job", err, refused)
			}
		})
	}
}

// TestReconcileIntervalIsTheJobs damages a job in the registry, and looks when the
// leader mends it.
func TestReconcileIntervalIsTheJobs(t *testing.T) {
	t.Parallel()
	for minutes, mended := range map[int][2]bool{3: {false, true}, 10: {false, false}, 0: {false, false}, 1: {true, true}} {
		t.Run(fmt.Sprint(minutes), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(time.Hour, 1, true)
				c.ReconcileIntervalMinutes = minutes
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
				n := f.join()
				time.Sleep(10 * time.Second)
				// Its number of marks, of which it has none.
				client := n.connection.commands
				keys, err := client.Keys(t.Context(), "ej:*:j:"+c.Name).Result()
				if err != nil || len(keys) != 1 {
					t.Fatalf("keys of the job = %q, %v, want one", keys, err)
				}
				if err := client.HSet(t.Context(), keys[0], "x", "7").Err(); err != nil {
					t.Fatal(err)
				}
				var got [2]bool
				for i, pause := range []time.Duration{2*time.Minute + 30*time.Second, 3 * time.Minute} {
					time.Sleep(pause)
					got[i] = client.HGet(t.Context(), keys[0], "x").Val() != "7"
				}
				if got != mended {
					t.Errorf("mended after 2m40s, 5m40s = %v, want %v", got, mended)
				}
				f.leaveAll()
			})
		})
	}
}

// TestMisfireDecidesWhetherAnAbsenceIsCaughtUp leaves a job without node for some
// minutes.
func TestMisfireDecidesWhetherAnAbsenceIsCaughtUp(t *testing.T) {
	t.Parallel()
	for _, misfire := range []bool{true, false} {
		t.Run(fmt.Sprint(misfire), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fleetJob(time.Minute, 1, true)
				c.Misfire = misfire
				f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick)}})
				f.join()
				sleepUntil(nextMultiple(c.Every).Add(10 * time.Second))
				f.leaveAll()
				away := nextMultiple(c.Every)
				last := away.Add(3 * c.Every)
				sleepUntil(last.Add(40 * time.Second))
				f.join()
				time.Sleep(10 * time.Second)
				f.leaveAll()
				const missed = "missed " + string(execution.ReasonOwnerLost)
				want := []string{missed + " on 1"}
				if misfire {
					want = []string{startedMisfire + " on 1"}
				}
				all := f.verdicts(c, 0)
				for at := away; at.Before(last); at = at.Add(c.Every) {
					if v := all[at.UTC()]; !slices.Equal(v, []string{missed + " on 1"}) {
						t.Errorf("verdicts at %v = %q, want it missed", at, v)
					}
				}
				if v := all[last.UTC()]; !slices.Equal(v, want) {
					t.Errorf("verdicts at %v, the last of the absence, = %q, want %q", last, v, want)
				}
			})
		})
	}
}

// TestAStrategyIsToldOfTheJobAndTheNode has a strategy with a property, which
// notes what it is asked.
func TestAStrategyIsToldOfTheJobAndTheNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var asked []spi.ShardRequest
		var made []string
		noting := strategyLike("NOTING", nil)
		noting.Descriptor.Props = props.Schema{{Name: "pool.label", Type: props.String, Default: "none", Description: "of the test"}}
		noting.ShardingStrategy = func(_ context.Context, values props.Values) (spi.ShardingStrategy, error) {
			mu.Lock()
			defer mu.Unlock()
			made = append(made, values.String("pool.label"))
			return spi.ShardingStrategyFunc(func(_ context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, req)
				return spi.ShardResponse{Assignment: map[string][]int{req.Instances[0].ID: {0, 1}}}, nil
			}), nil
		}
		c := fleetJob(time.Second, 2, true)
		c.ShardingStrategyType, c.ShardingItemParameters, c.Props = "NOTING", "1=b", map[string]string{"pool.label": "gpu"}
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick), noting}, labels: map[string]string{"zone": "north"}})
		f.join()
		time.Sleep(5 * time.Second)
		f.leaveAll()
		mu.Lock()
		defer mu.Unlock()
		if len(asked) == 0 {
			t.Fatal("the strategy was not asked")
		}
		if i := slices.IndexFunc(made, func(value string) bool { return value != "gpu" }); i >= 0 {
			t.Errorf("the strategy is made with pool.label %q, want gpu", made[i])
		}
		req := asked[0]
		if got := req.Props.String("pool.label"); got != "gpu" {
			t.Errorf("the strategy is asked with pool.label %q, want gpu", got)
		}
		if diff := cmp.Diff([]spi.Item{{Item: 0}, {Item: 1, Parameter: "b"}}, req.Items); diff != "" {
			t.Errorf("items that the strategy is asked for (-want +got):\n%s", diff)
		}
		if got := req.Instances[0].Labels["zone"]; got != "north" {
			t.Errorf("label zone of the instance = %q, want north", got)
		}
	})
}

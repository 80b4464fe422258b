package elasticjob_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// shape is a way to reach a Redis: what regCenter says of it besides its
// namespace, and what it can do in a test.
type shape struct {
	name  string
	start func(t *testing.T) (regCenter string)
}

func shapes() []shape {
	return []shape{
		{"one server with a password and a database", func(t *testing.T) string {
			s := redistest.Start(t, redistest.Password("canary"))
			return "serverLists: " + s.Addr() + ", password: canary, database: 3"
		}},
		{"a user over TLS", func(t *testing.T) string {
			s := redistest.Start(t, redistest.TLS(), redistest.ACL("orders", "canary", "~*", "&*", "+@all"))
			return "serverLists: " + s.Addr() + ", username: orders, password: canary, tls: {caFile: " + s.Certificates().CAFile + "}"
		}},
		{"Sentinels", func(t *testing.T) string {
			s := redistest.StartSentinels(t, "orders", redistest.Start(t), 1)
			return "serverLists: [" + strings.Join(s.Addrs(), ", ") + "], masterName: orders"
		}},
		{"a Cluster", func(t *testing.T) string {
			c := redistest.StartCluster(t, 3)
			return "serverLists: [" + strings.Join(c.Addrs(), ", ") + "]"
		}},
	}
}

// TestNodesShareJobsInEveryShape lets two nodes share the items of jobs and one
// of them stop.
func TestNodesShareJobsInEveryShape(t *testing.T) {
	t.Parallel()
	for _, s := range shapes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			file := fmt.Sprintf(`
elasticjob:
  regCenter: {%s, namespace: orders, sessionTimeoutMilliseconds: 3000}
  jobs:
    reconcile: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 4}
    ship: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 2, monitorExecution: false}
    bill: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 2}
`, s.start(t))
			first, firstLog := start(t, load(t, file))
			second, secondLog := start(t, load(t, file))
			jobs := map[string]int{"reconcile": 4, "ship": 2, "bill": 2}
			for name, items := range jobs {
				waitFor(t, name+" shared by both nodes", func() bool {
					return len(ran(t, firstLog, name)) > 0 && len(ran(t, secondLog, name)) > 0 &&
						len(union(ran(t, firstLog, name), ran(t, secondLog, name))) == items
				})
			}
			all, err := first.Jobs(t.Context())
			if err != nil || len(all) != len(jobs) {
				t.Errorf("Jobs() = %+v, %v, want %d jobs", all, err, len(jobs))
			}
			for _, j := range all {
				if j.Status != elasticjob.JobOK || len(j.Instances) != 2 {
					t.Errorf("Jobs() has %+v, want it %s on two instances", j, elasticjob.JobOK)
				}
			}
			instances, err := second.Instances(t.Context())
			if err != nil || len(instances) != 2 {
				t.Errorf("Instances() = %+v, %v, want two", instances, err)
			}

			if err := first.Stop(t.Context()); err != nil {
				t.Errorf("Stop() = %v, want nil", err)
			}
			stopped := time.Now()
			for name, items := range jobs {
				waitFor(t, name+" run by the other node alone", func() bool {
					return len(ranSince(t, secondLog, name, stopped)) == items
				})
			}
			for _, log := range []*records{firstLog, secondLog} {
				log.mu.Lock()
				if strings.Contains(log.data.String(), "canary") {
					t.Error("the log shows the password of the registry")
				}
				log.mu.Unlock()
			}
			started := map[string]int{}
			for _, log := range []*records{firstLog, secondLog} {
				for _, r := range log.with(t, "item started", "") {
					started[fmt.Sprint(r["job"], " ", r["run"], " ", r["item"])]++
				}
			}
			for item, n := range started {
				if n > 1 {
					t.Errorf("%s was started %d times, want once", item, n)
				}
			}
			if err := second.Stop(t.Context()); err != nil {
				t.Errorf("Stop() = %v, want nil", err)
			}
		})
	}
}

// ran returns the items of a job that a node has started.
func ran(t *testing.T, log *records, name string) []int {
	t.Helper()
	return ranSince(t, log, name, time.Time{})
}

func ranSince(t *testing.T, log *records, name string, since time.Time) []int {
	t.Helper()
	var items []int
	for _, r := range log.with(t, "item started", name) {
		at, err := time.Parse(time.RFC3339Nano, r["time"].(string))
		if err != nil {
			t.Fatal(err)
		}
		if at.After(since) {
			items = append(items, int(r["item"].(float64)))
		}
	}
	return union(items)
}

// union returns the distinct items of lists, in ascending order.
func union(lists ...[]int) []int {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}

// waitFor waits until a condition holds, generously.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not in 90 s: %s", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

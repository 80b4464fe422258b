//go:build unix

// Package chaos has tests only: it runs fleets of real node processes on a real
// Redis, does to them what happens in production, and checks what became of their
// items.
//
// A round is made of a seed. The plan of faults, in plan_test.go, is a function of
// it; what the processes make of that is not, so a seed that has found something
// may have to be run more than once. The program of a node is this test binary, in
// node_test.go. Its items change a resource that refuses tokens which are older
// than what it has seen, in resource_test.go; its way to Redis is a proxy, in
// proxy_test.go. What is to hold is in check_test.go.
package chaos_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

var (
	chaosFor = flag.Duration("chaos.for", 18*time.Second, "how long faults happen")
	calm     = flag.Bool("chaos.calm", false, "one node at a time dies or is stopped, and all settles before the next")
	sentinel = flag.Bool("chaos.sentinel", false, "a replica and Sentinels, with promotions that lose writes, and no proxies")
	// sessionTimeout is that of all nodes; the default is the shortest that is allowed.
	sessionTimeout = flag.Duration("chaos.timeout", 3*time.Second, "the session timeout of the nodes")

	chaosSeed = flag.Uint64("chaos.seed", 3193, "what the faults are made of; 0 takes the time")
)

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == nodeCommand {
		os.Exit(runNode(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// TestChaos is one round. The others of this package are about its parts.
func TestChaos(t *testing.T) {
	t.Parallel()
	seed := *chaosSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixMicro())
	}
	of, more := kinds(), ""
	if *sentinel {
		of, more = sentinelKinds(), " SENTINEL=true"
	}
	p, specs := newPlan(seed, *chaosFor, of), jobSpecs()
	if *calm {
		p, specs = newCalmPlan(seed, *chaosFor), calmSpecs()
		more += fmt.Sprintf(" CALM=true TTL=%v", *sessionTimeout)
	}
	t.Logf("seed %d: %d faults in %v; again with: make chaos FOR=%v SEED=%d%s", seed, len(p.faults), *chaosFor, *chaosFor, seed, more)
	began := time.Now()
	f := newFleet(t, specs)
	f.live(p)
	h := f.history()
	if moved := time.Since(began) - time.Now().Round(0).Sub(began.Round(0)); moved.Abs() > 100*time.Millisecond {
		t.Fatalf("the clock of this machine was set by %v during the round, which thus shows nothing", -moved)
	}
	for _, i := range h.ills {
		t.Log(i)
	}
	for _, v := range check(h) {
		t.Error(v)
	}
	t.Log(measure(h))
}

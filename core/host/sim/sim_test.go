// Package sim_test lives fleets through faults inside one process, each life from a
// seed, and checks what happened.
//
// A life is a bubble of testing/synctest, in which time is virtual: nodes as package
// host makes them, with the plugins of every node, and one Redis-compatible server
// that runs the scripts of the registry. Between them are connections that delay,
// stall, break and refuse. Nodes are killed, stopped, paused and started, clocks are
// set, the server fails, comes back empty or without its last writes, and meanwhile
// operators disable, enable, resize and trigger jobs. The code of the jobs writes to
// resources that check tokens. After a time without faults all must be well.
//
// In some lives jobs run after one another, too: see graph_test.go; in others a listener
// is called once for a run, and a job catches up all fires: see once_test.go.
//
// What happened is judged by what the server was asked and has answered, by what the
// nodes say of themselves and by what the code did: see invariants.
//
// A seed gives the same faults at the same times and the same delays as far as the
// goroutines of the nodes ask for them in the same order, which the scheduler and maps
// decide. So a life that has failed fails again most times, not always.
//
// What a pause is not: the goroutines of a paused node do not stand still. Its clocks
// all but do, its connections carry nothing and its job code goes nowhere, so that
// neither can it know the time nor anybody hear of it. Timers that would all come at
// the end of a real pause come when they are due, or up to half a second later. What
// is not simulated: a split brain of two primaries that both take writes, more than
// one partition, and clocks that run at different speeds.
package sim_test

import (
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry/dial"
)

var (
	firstSeed = flag.Uint64("sim.seed", 1, "the first life")
	seeds     = flag.Uint64("sim.seeds", 8, "how many lives")
	stories   = flag.Bool("sim.story", false, "tell also of lives in which all is well")
)

func TestMain(m *testing.M) {
	flag.Parse()
	dial.LogTo(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// TestLives lives lives and checks them.
func TestLives(t *testing.T) {
	t.Parallel()
	lib, begun := scriptsOf(t), time.Now()
	var sum account
	t.Cleanup(func() { fmt.Println(sum.String(time.Since(begun))) })
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			h := live(t, lib, seed, setting{})
			violations := check(h)
			if n := sum.add(h, violations); n%100 == 0 && n < *seeds {
				fmt.Println(sum.String(time.Since(begun)))
			}
			for _, v := range violations {
				t.Error(v)
			}
			if t.Failed() || *stories {
				t.Logf("this life again: make sim SEED=%d SEEDS=1\n%s", seed, h.story())
			}
		})
	}
}

// account sums lives up.
type account struct {
	mu                                       sync.Mutex
	lives                                    uint64
	violations                               int
	runs, accepted, refused, grants, records int
	virtual                                  time.Duration
	faults                                   map[string]int
}

// add returns how many lives there were.
func (a *account) add(h *history, violations []violation) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.faults == nil {
		a.faults = map[string]int{}
	}
	a.lives++
	a.violations += len(violations)
	a.runs += len(h.runs)
	a.grants += len(h.grants)
	a.records += len(h.missed)
	a.virtual += h.concluded
	for _, e := range h.effects {
		if e.accept {
			a.accepted++
		} else {
			a.refused++
		}
	}
	for _, f := range h.faults {
		a.faults[f.kind]++
	}
	return a.lives
}

func (a *account) String(took time.Duration) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var text strings.Builder
	fmt.Fprintf(&text, "%d lives of the seeds %d to %d: %v of virtual time in %v; %d runs, %d begins, %d records of missed fires, %d writes accepted and %d refused; violations: %d; faults:",
		a.lives, *firstSeed, *firstSeed+*seeds-1, a.virtual.Round(time.Second), took.Round(time.Second), a.runs, a.grants, a.records, a.accepted, a.refused, a.violations)
	total := 0
	for _, kind := range slices.Sorted(maps.Keys(a.faults)) {
		fmt.Fprintf(&text, " %s %d,", kind, a.faults[kind])
		total += a.faults[kind]
	}
	fmt.Fprintf(&text, " all %d", total)
	return text.String()
}

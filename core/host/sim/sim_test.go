// Package sim_test lives fleets through faults, each life from a seed, and checks
// what happened.
package sim_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry/dial"
)

var (
	firstSeed = flag.Uint64("sim.seed", 1, "the first life")
	seeds     = flag.Uint64("sim.seeds", 3, "how many lives")
)

func TestMain(m *testing.M) {
	dial.LogTo(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

func TestLives(t *testing.T) {
	t.Parallel()
	lib := scriptsOf(t)
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			h := live(t, lib, seed, setting{})
			took := time.Since(begun)
			t.Logf("%v, %d runs, %d effects, %d grants, %d leases", took, len(h.runs), len(h.effects), len(h.grants), len(h.leases))
			for _, v := range check(h) {
				t.Error(v)
			}
			if t.Failed() || testing.Verbose() {
				t.Log("\n" + h.story())
			}
		})
	}
}

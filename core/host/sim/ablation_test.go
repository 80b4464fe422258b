package sim_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// most is how many lives may pass before one notices that a rule is missing.
const most = 200

// fromFirst searches anew for the lives that notice.
var fromFirst = flag.Bool("sim.search", false, "look for the lives that notice an ablation from the first one on")

// ablation is a rule of the protocol that is taken out.
type ablation struct {
	name string
	// seed is of the first life that noticed it when this was written, and by are the
	// invariants that it must violate one of.
	seed    uint64
	by      string
	setting setting
}

// without takes a piece out of a script.
func without(script, old, by string) setting {
	return setting{edit: func(name, text string) string {
		if name != script {
			return text
		}
		if n := strings.Count(text, old); n != 1 {
			panic(fmt.Sprintf("script %s has %q %d times, want once", script, old, n))
		}
		return strings.Replace(text, old, by, 1)
	}}
}

// everywhere replaces a piece of what several scripts share.
func everywhere(old, by string) setting {
	return setting{edit: func(_, text string) string { return strings.ReplaceAll(text, old, by) }}
}

func ablations() []ablation {
	return []ablation{
		{"no floors", 1, "I4", without("commit", "floor[item] = math.max(f, decided)", "floor[item] = 0")},
		{"floors without what was decided", 1, "I4", without("commit", "floor[item] = math.max(f, decided)", "floor[item] = f")},
		{"marks of others not subtracted", 1, "I1", without("begin", "  if foreign then\n", "  if false then\n")},
		{"failover queue not subtracted", 4, "I1", without("begin", "do busy[tonumber(item)] = true end", "do end")},
		// The lease clock is as slow as it takes to use the margin up.
		{"no margin", 5, "I1 I9", setting{slowClock: func(d time.Duration) time.Duration {
			return time.Duration(float64(d) * float64(ttl-margin-ttl/100) / float64(ttl))
		}}},
		{"no grace", 77, "I1 I9", without("reap", "local refused =", "grace = 0\nlocal refused =")},
		{"no marks again", 214, "I1 I8", without("reassert", "reassert(job(i), take())", "{OK, '', '', '', '', ''}")},
		{"no quarantine", 1, "I1 I10", setting{edit: func(_, text string) string {
			return strings.Replace(text, "local function quarantined() return not_before() > NOW end", "local function quarantined() return false end", 1)
		}}},
		{"items do not wait for the listener", 2, "I15", everywhere("if state ~= 'W' and state ~= 'C' then return GO end", "if state ~= 'W' then return GO end")},
		{"the listener does not wait for items", 2, "I15", everywhere("or any(g, {running = true})", "")},
		{"the listener is called by all", 2, "I14", everywhere("if state == 'C' and mine then return CALL end", "if state == 'C' then return CALL end")},
	}
}

// TestAblationsAreNoticed takes one rule after the other out: a life must notice.
func TestAblationsAreNoticed(t *testing.T) {
	t.Parallel()
	lib := scriptsOf(t)
	for _, a := range ablations() {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			first := a.seed
			if *fromFirst {
				first = 1
			}
			for seed := first; seed < first+most; seed++ {
				for _, v := range check(live(t, lib, seed, a.setting)) {
					if name, _, _ := strings.Cut(v.invariant, " "); slices.Contains(strings.Fields(a.by), name) {
						t.Logf("noticed by life %d: %s", seed, v)
						return
					}
				}
			}
			t.Errorf("%d lives notice nothing", most)
		})
	}
}

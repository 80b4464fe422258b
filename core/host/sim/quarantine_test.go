package sim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
)

// TestNothingBeginsAfterALossUntilItIsSafe takes the server's data away, or its last
// writes, in the midst of a life in which nothing else happens: for as long as
// somebody may hold a lease that the server has forgotten, nothing begins, and then
// every instant gets its verdict.
func TestNothingBeginsAfterALossUntilItIsSafe(t *testing.T) {
	t.Parallel()
	const lost = 42500 * time.Millisecond
	tests := []struct {
		name string
		plot func(*life)
		wait time.Duration // from the loss on
	}{
		{"the registry comes back empty", func(l *life) {
			l.wait(lost)
			l.replaceServer("empty restart", l.elapsed(), nil)
		}, ttl + grace},
		{"a promotion loses writes", func(l *life) {
			l.wait(lost - time.Second)
			since, data := l.elapsed(), l.server.snapshot()
			l.wait(lost)
			l.replaceServer("lost writes", since, data)
		}, ttl + lag + grace},
	}
	lib := scriptsOf(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := live(t, lib, 1, setting{plot: func(l *life) {
				tt.plot(l)
				l.wait(stormy)
			}})
			for _, v := range check(h) {
				t.Error(v)
			}
			next := h.concluded
			for _, g := range h.grants {
				if g.code == registry.CodeOK && g.at > lost {
					next = min(next, g.at)
				}
			}
			// The wait begins with the first word to the server, and ends with the next
			// renewal at the latest.
			if after := next - lost; after < tt.wait || after > tt.wait+2*time.Second+ttl {
				t.Errorf("the first begin came %v after the loss, want it after %v and soon", after, tt.wait)
			}
			if t.Failed() {
				t.Log(h.story())
			}
		})
	}
}

// TestMarksOfTheDeadEndAlsoIfTheServerForgetsThat has a node die. When the leader has
// taken its marks away, and keeps its session because another hand-over is under way,
// the server loses that: the marks are back, and the leader the same as before.
func TestMarksOfTheDeadEndAlsoIfTheServerForgetsThat(t *testing.T) {
	t.Parallel()
	isDrained := func(l *life, dead string) (drained, buried bool) {
		l.history.add(func() {
			for _, n := range l.history.noted {
				drained = drained || strings.HasPrefix(n.text, "script drain") && strings.Contains(n.text, " "+dead+" ")
				buried = buried || strings.HasPrefix(n.text, "script bury") && strings.Contains(n.text, " "+dead+":")
			}
		})
		return drained, buried
	}
	h := live(t, scriptsOf(t), 1, setting{plot: func(l *life) {
		l.wait(20500 * time.Millisecond)
		leader := l.server.redis.HGet("ej:{sim.0}:leader", "n")
		dead := l.nodes[slices.IndexFunc(l.nodes, func(n *node) bool { return n.id != leader })]
		until, _ := l.history.leaseEnd(dead.id, l.elapsed())
		l.fault(dead, "kill", "")
		dead.kill()
		// The first changes hands when the second comes, which gets items of all.
		l.wait(until + grace - time.Second)
		l.start(l.newID())
		l.wait(until + grace - time.Second/2)
		l.start("a-node")
		l.wait(until + grace - 100*time.Millisecond)
		since, data := l.elapsed(), l.server.snapshot()
		for drained := false; !drained; drained, _ = isDrained(l, dead.id) {
			l.wait(l.elapsed() + 10*time.Millisecond)
		}
		if _, buried := isDrained(l, dead.id); buried {
			t.Error("the session is buried already, want it kept while items change hands")
		}
		l.replaceServer("lost writes", since, data)
		l.wait(stormy)
	}})
	for _, v := range check(h) {
		t.Error(v)
	}
	if t.Failed() {
		t.Log(h.story())
	}
}

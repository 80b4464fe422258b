package sim_test

import (
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

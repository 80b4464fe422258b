package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// newLosingRun is a run in which the server loses its last writes now and then, and
// nodes mark again what they run.
func newLosingRun(t testing.TB, on server, seed uint64, edit func(name, source string) string) *randomRun {
	t.Helper()
	r := newRandomRun(t, on, seed, edit)
	r.loses, r.fails = true, seed%2 == 0
	return r
}

// copied is a copy of all that the server has, which is soon the server's state again.
type copied struct {
	model *model
	redis map[string]any
	steps int // until it comes back
	at    time.Time
}

// loseSome copies the state, or makes a copy the state again.
func (r *randomRun) loseSome() {
	r.t.Helper()
	switch {
	case !r.loses:
	case r.copied == nil && r.rand.IntN(4) == 0:
		r.copied = &copied{model: r.m.clone(), redis: r.dumpFully(), steps: 1 + r.rand.IntN(9), at: r.now}
	case r.copied != nil:
		// Soon enough for the leader's session to live on.
		if r.copied.steps--; r.copied.steps < 0 || r.now.Sub(r.copied.at) > sessionTimeout-4*time.Second {
			r.lose(r.copied)
			r.copied = nil
			r.compare("lost writes")
		}
	}
}

// dumpFully is what dumpAll does not compare, too.
func (r *randomRun) dumpFully() map[string]any {
	r.t.Helper()
	all := r.dumpAll()
	for _, key := range []string{r.keys.sess(), r.keys.meta()} {
		all[key] = must(r.bench, func(ctx context.Context) (map[string]string, error) { return r.client.HGetAll(ctx, key).Result() })
	}
	return all
}

// lose makes an earlier state that of the server. Nodes whose session it has too mark
// again what they run, at once or when others have begun something.
func (r *randomRun) lose(to *copied) {
	r.t.Helper()
	before := r.m
	r.restore(to.redis)
	r.m = to.model
	r.m.us = before.us
	r.dead = slices.SortedFunc(maps.Keys(r.m.dead), func(a, b Lease) int { return cmp.Compare(a.Epoch, b.Epoch) })
	clear(r.called)
	r.open = nil
	// What nobody remembers may run again.
	kept := r.m.tok
	remembered := map[string]bool{}
	for key, fence := range r.ran {
		remembered[key] = fence <= kept
	}
	for _, node := range []string{"a", "b", "c"} {
		l := r.leases[node]
		if !before.live(node, l.Epoch) || !r.m.live(node, l.Epoch) {
			continue
		}
		r.requests++
		q := ReassertRequest{Lease: l, Job: "j", Newest: before.tok, Asked: int64(r.requests), Marks: before.known(l)}
		if n := len(q.Marks); n > 0 && r.rand.IntN(4) == 0 {
			// The answer is lost that told of the newest.
			slices.SortFunc(q.Marks, func(a, b Mark) int { return cmp.Compare(a.Fence, b.Fence) })
			unheard := q.Marks[n-1]
			q.Newest, q.Marks = unheard.Fence-1, q.Marks[:n-1]
			maps.DeleteFunc(r.ran, func(_ string, fence int64) bool { return fence == unheard.Fence })
		}
		if r.rand.IntN(4) == 0 {
			// It goes silent, and comes when others may have begun the items.
			r.late = append(r.late, q)
			delete(r.leases, node)
			continue
		}
		for _, k := range q.Marks {
			at := k.Instant.UnixMilli()
			if t := before.triggers[k.Trigger]; t != nil {
				at = t.at
			}
			for item := range k.Items.All() {
				remembered[r.runs(l, item, k.Trigger, at)] = true
			}
		}
		r.reassert(q)
		if r.rand.IntN(2) == 0 {
			r.reassert(q)
		}
	}
	maps.DeleteFunc(r.ran, func(key string, _ int64) bool { return !remembered[key] })
}

// comeLate lets those mark again what they run who were silent.
func (r *randomRun) comeLate() {
	r.t.Helper()
	for _, q := range r.late {
		r.reassert(q)
	}
	r.late = nil
}

func (r *randomRun) reassert(q ReassertRequest) {
	r.t.Helper()
	got, err := r.ReassertAll(r.t.Context(), []ReassertRequest{q})
	if !r.m.live(q.Lease.Instance, q.Lease.Epoch) {
		if !errors.Is(err, ErrLeaseLost) {
			r.t.Errorf("ReassertAll without a lease = %v, want %v", err, ErrLeaseLost)
		}
		return
	}
	if err != nil {
		r.t.Fatal(err)
	}
	want := r.m.reassert(q)
	if diff := gocmp.Diff(want, got[0]); diff != "" {
		r.t.Errorf("ReassertAll(%+v) (-want +got):\n%s", q, diff)
	}
	r.reasserted += len(got[0].Marked) + len(got[0].Ended) + len(got[0].Returned)
}

// restore makes a copy of all keys what the server has.
func (r *randomRun) restore(all map[string]any) {
	r.t.Helper()
	ctx := r.t.Context()
	if keys := must(r.bench, func(ctx context.Context) ([]string, error) { return r.client.Keys(ctx, "ej:*").Result() }); len(keys) > 0 {
		_ = must(r.bench, func(ctx context.Context) (int64, error) { return r.client.Del(ctx, keys...).Result() })
	}
	for key, value := range all {
		switch v := value.(type) {
		case map[string]string:
			_ = must(r.bench, func(ctx context.Context) (int64, error) { return r.client.HSet(ctx, key, v).Result() })
		case []redis.Z:
			_ = must(r.bench, func(ctx context.Context) (int64, error) { return r.client.ZAdd(ctx, key, v...).Result() })
		case []redis.XMessage:
			for _, m := range v {
				if err := r.client.XAdd(ctx, &redis.XAddArgs{Stream: key, ID: m.ID, Values: m.Values}).Err(); err != nil {
					r.t.Fatal(err)
				}
			}
		}
	}
}

// TestScriptsFollowModelOfLostWrites is TestScriptsFollowModel with a server that
// forgets what it did last.
func TestScriptsFollowModelOfLostWrites(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		for i := range *seeds {
			seed := *firstSeed + uint64(i)
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				t.Parallel()
				newLosingRun(t, on, seed, untouched).run(*steps)
			})
		}
	})
}

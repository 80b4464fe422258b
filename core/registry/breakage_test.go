package registry

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// breakage is a rule of the protocol taken out of the scripts.
type breakage struct {
	name   string
	script string
	// old is what the script has, and by stands in its place.
	old, by string
}

func breakages() []breakage {
	return []breakage{
		{"no floors", "commit", "floor[item] = math.max(f, decided)", "floor[item] = 0"},
		{"floors without what was decided", "commit", "floor[item] = math.max(f, decided)", "floor[item] = f"},
		{"marks of others not subtracted", "begin", "  if foreign then\n", "  if false then\n"},
		{"failover queue not subtracted", "begin", "do busy[tonumber(item)] = true end", "do end"},
		{"what was decided drained", "drain", "    put_marks(k.r, dead, keep)\n", "    put_marks(k.r, dead, keep)\n    call('HDEL', k.hw, dead)\n"},
		{"reap without grace", "reap", "'(' .. num(NOW - grace)", "'(' .. num(NOW)"},
		{"reap without brake", "reap", "if force ~= '1' and", "if false and"},
		{"generation not checked", "begin", "if s[1] ~= gen then", "if false then"},
		{"repeated request not known", "begin", "if m.e == epoch and m.q == req then", "if false then"},
		{"lease not checked", "begin", "if not d or d < NOW then return nil end", "if not d then return nil end"},
		{"epoch not checked", "complete", "if m.f == fence and m.e == epoch then", "if m.f == fence then"},
		{"foreign marks not counted", "complete", "if foreign then call('HINCRBY', k.j, 'x', -1) end", ""},
		{"items of the dead no orphans", "commit", "former[i] = was\n", "former[i] = nil\n"},
		{"orphans forgotten by way of nobody", "commit", "local fresh = owner[i] == '' or", "local fresh ="},
		{"orphans forgotten by the next generation", "commit", "or NOW < given + ttl + handover", ""},
		{"end of an unmonitored duty not known", "commit", "floor[i] = math.max(floor[i], over)", ""},
		{"hand-over not waited for", "commit", "local rest = math.max(tonumber(s[6]), leaves", "local rest = math.max(0, leaves"},
		{"nothing of the living held back", "commit", "target[i], moved[i] = owner[i], nil", ""},
		{"new owners not waited for", "commit", "leaves and given + handover or 0", "0"},
		{"next session taken for the last", "commit", "unmonitored and tonumber(s[9] or '0') or math.huge", "math.huge"},
		{"items given to a draining node", "commit", "or stop(w.node)", ""},
		{"first farewell replaced", "depart", "'HSETNX'", "'HSET'"},
		{"misfires of disabled items", "begin", "unranges(s[6] or '', mine, nil)", ""},
		{"disabled server not refused", "begin", "if s[2] == 'D' or off then", "if s[2] == 'D' then"},
	}
}

// TestBreakagesAreCaught takes one rule after the other out of the scripts: the
// random sequences must notice each.
func TestBreakagesAreCaught(t *testing.T) {
	t.Parallel()
	const most = 60
	for _, b := range breakages() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(most) {
				if notices(t, b, seed+1) {
					t.Logf("noticed by sequence %d", seed+1)
					return
				}
			}
			t.Errorf("%d random sequences notice nothing", most)
		})
	}
}

// notices reports whether a sequence fails on the broken scripts.
func notices(t *testing.T, b breakage, seed uint64) bool {
	t.Helper()
	failed := false
	t.Run(fmt.Sprintf("sequence %d", seed), func(t *testing.T) {
		r := &recorder{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			newRandomRun(r, onEmbedded, seed, func(name, source string) string {
				if name != b.script {
					return source
				}
				if strings.Count(source, b.old) != 1 {
					t.Errorf("script %s has %q %d times, want once", name, b.old, strings.Count(source, b.old))
				}
				return strings.Replace(source, b.old, b.by, 1)
			}).run(*steps)
		}()
		<-done
		failed = r.failed
	})
	return failed
}

// recorder notes failures that are wanted.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Error(...any)          { r.failed = true }
func (r *recorder) Logf(string, ...any)   {}
func (r *recorder) Failed() bool          { return r.failed }

func (r *recorder) Fatalf(string, ...any) { r.FailNow() }
func (r *recorder) Fatal(...any)          { r.FailNow() }

func (r *recorder) FailNow() {
	r.failed = true
	runtime.Goexit()
}

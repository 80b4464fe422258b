package registry

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// breakage is a rule of the protocol taken out of the scripts.
type breakage struct {
	// seed is of the first sequence that noticed it when this was written.
	seed   uint64
	name   string
	script string
	// old is what the script has, and by stands in its place.
	old, by string
}

func breakages() []breakage {
	return []breakage{
		{1, "no floors", "commit", "floor[item] = math.max(f, decided)", "floor[item] = 0"},
		{1, "floors without what was decided", "commit", "floor[item] = math.max(f, decided)", "floor[item] = f"},
		{2, "marks of others not subtracted", "begin", "  if foreign then\n", "  if false then\n"},
		{6, "what was decided drained", "drain", "    put_marks(k.r, dead, keep)\n", "    put_marks(k.r, dead, keep)\n    call('HDEL', k.hw, dead)\n"},
		{67, "reap without grace", "reap", "'(' .. num(NOW - grace)", "'(' .. num(NOW)"},
		{6, "register without grace", "register", "ended + grace >= NOW", "ended >= NOW"},
		{2, "items taken from the dying", "commit", "if unmonitored and f and f.silent and", "if false and"},
		{65, "reap without brake", "reap", "if force ~= '1' and", "if false and"},
		{1, "late copies of requests granted", "begin", "if kind ~= 'N' and is_late(k, node, epoch, req) then", "if false then"},
		{1, "late copies granted behind a commit", "commit", "  undecide(k)\n", "  call('DEL', k.hw)\n"},
		{2, "generation not checked", "begin", "if s[1] ~= gen then", "if false then"},
		{1, "repeated request not known", "begin", "if m.e == epoch and m.q == req then", "if false then"},
		{1, "lease not checked", "begin", "if not d or d < NOW then return nil end", "if not d then return nil end"},
		{6, "epoch not checked", "complete", "if m.f == fence and m.e == epoch then", "if m.f == fence then"},
		{1, "foreign marks not counted", "complete", "if foreign then call('HINCRBY', k.j, 'x', -1) end", ""},
		{2, "items of the dead no orphans", "commit", "former[i] = was\n", "former[i] = nil\n"},
		{18, "orphans forgotten by way of nobody", "commit", "local fresh = owner[i] == '' or", "local fresh ="},
		{2, "orphans forgotten by the next generation", "commit", "or NOW < given + ttl + handover", ""},
		{4, "end of an unmonitored duty not known", "commit", "floor[i] = math.max(floor[i], over)", ""},
		{178, "hand-over not waited for", "commit", "local rest = math.max(tonumber(s[6]), leaves", "local rest = math.max(0, leaves"},
		{33, "nothing of the living held back", "commit", "target[i], moved[i] = owner[i], nil", ""},
		{42, "new owners not waited for", "commit", "leaves and given + handover or 0", "0"},
		{12, "next session taken for the last", "commit", "unmonitored and tonumber(s[9] or '0') or math.huge", "math.huge"},
		{5, "items given to a draining node", "commit", "or stop(w.node)", ""},
		{26, "first farewell replaced", "depart", "call('HSETNX', STOP", "call('HSET', STOP"},
		{51, "misfires of disabled items", "begin", "unranges(s[5] or '', mine, nil)", ""},
		{6, "items that wait for a trigger not taken off", "begin-all", "  chunked('HDEL', k.q, del)\n", ""},
		{8, "manual runs of busy items", "begin-all", "if mine[item] and (busy[item] or skip[item]) then", "if mine[item] and skip[item] then"},
		{36, "what still runs on the node begun", "begin-all", "(busy[item] or skip[item])", "busy[item]"},
		{27, "later triggers first", "begin-all", "or id < first then", "or id > first then"},
		{15, "trigger not told of a dead node", "drain", "if is_manual(m) and settle(", "if false and settle("},
		{3, "trigger not told of items that are gone", "commit", "if settle(k, id, by[id], 'L') then", "if false then"},
		{43, "items beyond the definition queued", "commit", " or waiting then", " then"},
		{6, "trigger not told of the end", "complete-all", "if string.find(m.t, '%D') then", "if false then"},
		{25, "items given back lost", "complete-all", "elseif (not mine or mine[item]) and call('HSETNX', k.q, num(item), id) == 1 then", "elseif false then"},
		{25, "gone items given back", "complete-all", "if item >= n then", "if false then"},
		{1, "trigger takes an item from another", "trigger", "elseif waits[item] then", "elseif false then"},
		{6, "trigger repeated accepted again", "trigger", "if before then", "if false then"},
		{4, "refusal of one item only", "trigger", "if blocked then", "if false then"},
		{4, "disabled server not refused", "begin", "if s[2] == 'D' or off then", "if s[2] == 'D' then"},
		{1, "called before all have begun", "begin-all", "if not thoroughly or may_begin(k, run, list) then return false end", ""},
		{15, "called before all have ended", "complete-all", " or any(g, {running = true})", ""},
		{9, "what cannot begin waited for", "meet", "if s[1] == 'D' then return false end", ""},
		{1, "held items waited for", "begin-all", "g.class[item] = g.class[item] or 'idle' end", "end"},
		{125, "runs of the dead waited for", "drain", "s[4] and gather_dead(k, dead, old, own, n)", "false"},
		{1, "calls of others given away", "meet", "if before == 'C,' .. who then", "if before ~= 'D' then"},
	}
}

// failoverBreakages are of what dead nodes leave.
func failoverBreakages() []breakage {
	return []breakage{
		{4, "failover queue not subtracted", "begin", "do busy[tonumber(item)] = true end", "do end"},
		{1, "what is taken over stays queued", "claim", "  chunked('HDEL', k.f, del)\n", ""},
		{1, "claims not counted as foreign", "claim", "call('HINCRBY', k.j, 'x', 1)", ""},
		{1, "claim repeated claims again", "claim", "if m.e == epoch and m.q == req then", "if false then"},
		{2, "claim without lease", "claim", "if not d or d < NOW then return nil end", "if not d then return nil end"},
		{1, "all taken by one", "claim", "most = math.min(most, math.ceil(waiting", "most = math.max(most, math.ceil(waiting"},
		{6, "later runs first", "claim", "return a < b", "return a > b"},
		{6, "runs mixed", "claim", "if one.t == first and #del < most then", "if #del < most then"},
		{30, "disabled items taken over", "claim", "unranges(s[4] or '', skip, true)", ""},
		{2, "disabled job taken over", "claim", "if s[2] == 'D' or off then", "if off then"},
		{4, "what runs on the node taken over", "claim", "if t and not skip[item] then", "if t then"},
		{1, "late copies of claims granted", "claim", "if is_late(k, node, epoch, req) then", "if false then"},
		{1, "checkpoint not handed on", "claim", "if was == fences[item] then", "if false then"},
		{4, "checkpoint of an ended run saved", "checkpoint", "if m.f == fence and m.e == epoch and", "if"},
		{1, "given back to nobody", "complete", "  chunked('HSET', k.f, set)\n", ""},
		{1, "given back as ended", "complete", "if outcome == 'B' and m.k == 'F' then", "if false then"},
		{1, "runs of who is taken over ended", "drain", "if item >= n and g.class", "if g.class"},
		{11, "gone items of the dead taken over", "drain", "if item < n then", "if true then"},
	}
}

// dependencyBreakages are of jobs that run after others.
func dependencyBreakages() []breakage {
	return []breakage{
		{1, "runs that go on ended", "close", "if going[run] then return nil, false end", ""},
		{1, "items that wait for failover forgotten", "close", "do going[string.match(f[i + 1], '^[^|]*')] = true end", "do end"},
		{9, "catch-ups not waited for", "close", "      going[run] = true\n", ""},
		{5, "items that may begin not waited for", "close", "if tonumber(run) > decided then", "if false then"},
		{1, "triggers not waited for", "close", "if manual and manual.ended == '0' then", "if false then"},
		{1, "triggers that failed taken for successes", "close", "and not string.find(manual.ends, '@[^S]') and", "and"},
		{1, "told for ever", "close", "if runs[run] and runs[run].state == 'E' then", "if false then"},
		{1, "failures forgotten", "complete", "if s[3] and outcome ~= 'S' and next(ended) then", "if false then"},
		{7, "losses forgotten", "drain", "if s[6] then spoil(k, m.t) end", ""},
		{1, "runs not noted", "begin", "if s[7] then open_run(k, name, trig) end", ""},
		{1, "triggers not noted", "trigger", "if s[5] then open_run(k, name, id) end", ""},
		{2, "started again when told again", "arrive", "if r and r.state ~= 'W' then return answer(r) end", ""},
		{1, "started before all have told", "arrive", "if not edges[other] then return end", ""},
		{1, "conditions not looked at", "arrive", "if up[other] ~= 'A' and", "if false and"},
		{1, "start not noted", "arrive", "  enter(k, run, r, 'O')\n", ""},
	}
}

// TestDependencyBreakagesAreCaught is the same where jobs run after others, on Redis, as
// such a life has many scripts.
func TestDependencyBreakagesAreCaught(t *testing.T) {
	t.Parallel()
	const most = 40
	for _, b := range dependencyBreakages() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			b.mustNotice(t, most, func(t testing.TB, seed uint64, edit func(name, source string) string) {
				t.Helper()
				newDependentRun(t, onRedis, seed, edit).live(2 * *steps)
			})
		})
	}
}

// lossBreakages are of marks after lost writes.
func lossBreakages() []breakage {
	return []breakage{
		{2, "what is marked again not decided", "reassert", "if floors[item] and floors[item] < t then", "if false then"},
		{3, "what is marked again still to be caught up", "reassert", "<= t then call('HDEL', k.m", "< 0 then call('HDEL', k.m"},
		{7, "what is marked again still to be triggered", "reassert", "== m.t then call('HDEL', k.q", "== '' then call('HDEL', k.q"},
		{14, "what is marked again stays in older marks", "reassert", "elseif next(both) then", "elseif false then"},
		{8, "what is marked again stays in the failover queue", "reassert", "  chunked('HDEL', k.f, gone)\n", ""},
		{2, "tokens fall behind what is marked again", "reassert", "  s.tok = math.max(s.tok, tonumber(m.f))\n", ""},
		{2, "what is marked again not counted as foreign", "reassert", "if one.g ~= s.gen then s.x = s.x + 1 end", ""},
		{1, "what has ended stays marked", "reassert", "if next(rest) then unknown", "if false then unknown"},
		{2, "what was never heard of taken for ended", "reassert", "tonumber(u.m.f) <= newest", "true"},
		{1, "late copies granted behind a reassertion", "reassert", "if is_late(k, node, epoch, asked) then return {DUP} end", ""},
		{1, "late copies of a reassertion carried out", "reassert", "if is_late(k, node, epoch, asked) then return {DUP} end", "is_late(k, node, epoch, asked)"},
		{1, "reassertion without lease", "reassert", "if not d or d < NOW then return nil end", "if not d then return nil end"},
		{53, "later misfires replaced by earlier ones", "reassert", "if claimed or tonumber(call('HGET', k.m, num(item)) or '0') < tonumber(m.t) then", "if true then"},
		{22, "marks before the first assignment not counted", "commit", "x = x + #marks(v) end", "x = x + (first and 0 or #marks(v)) end"},
	}
}

// TestLossBreakagesAreCaught is TestBreakagesAreCaught where the server loses writes.
func TestLossBreakagesAreCaught(t *testing.T) {
	t.Parallel()
	catchBreakages(t, lossBreakages(), newLosingRun)
}

// TestBreakagesAreCaught takes one rule after the other out of the scripts: the
// random sequences must notice each.
func TestBreakagesAreCaught(t *testing.T) {
	t.Parallel()
	catchBreakages(t, breakages(), newRandomRun)
}

// TestFailoverBreakagesAreCaught is the same where nodes die while they run items.
func TestFailoverBreakagesAreCaught(t *testing.T) {
	t.Parallel()
	catchBreakages(t, failoverBreakages(), newFailingRun)
}

func catchBreakages(t *testing.T, all []breakage, start func(testing.TB, server, uint64, func(name, source string) string) *randomRun) {
	t.Helper()
	const most = 60
	for _, b := range all {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			b.mustNotice(t, most, func(t testing.TB, seed uint64, edit func(name, source string) string) {
				t.Helper()
				start(t, onEmbedded, seed, edit).run(*steps)
			})
		})
	}
}

// mustNotice runs sequences on the broken scripts until one fails, as at least one
// of so many must.
func (b breakage) mustNotice(t *testing.T, most uint64, run func(testing.TB, uint64, func(name, source string) string)) {
	t.Helper()
	for seed := b.seed; seed < b.seed+most; seed++ {
		if b.isNoticed(t, seed, run) {
			t.Logf("noticed by sequence %d", seed)
			return
		}
	}
	t.Errorf("%d random sequences notice nothing", most)
}

func (b breakage) isNoticed(t *testing.T, seed uint64, run func(testing.TB, uint64, func(name, source string) string)) bool {
	t.Helper()
	failed := false
	t.Run(fmt.Sprintf("sequence %d", seed), func(t *testing.T) {
		r := &recorder{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			run(r, seed, func(name, source string) string {
				// What gathers is another script of the same file and one more.
				if name != b.script && name != b.script+"-all" {
					return source
				}
				if strings.Count(source, b.old) != 1 {
					t.Errorf("script %s has %q %d times, want once", name, b.old, strings.Count(source, b.old))
				}
				return strings.Replace(source, b.old, b.by, 1)
			})
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

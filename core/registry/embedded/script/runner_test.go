package script_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/elasticjob-go/elasticjob/core/registry/embedded/script"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// open starts a server whose scripts a runner runs.
func open(t *testing.T) *miniredis.Miniredis {
	t.Helper()
	m := miniredis.NewMiniRedis()
	t.Cleanup(m.Close)
	r, err := script.New(m)
	if err != nil {
		t.Fatal(err)
	}
	m.Server().SetPreHook(r.Answer)
	return m
}

// connect returns a client that speaks a version of the protocol.
func connect(t *testing.T, m *miniredis.Miniredis, protocol int) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{
		Dialer:   func(context.Context, string, string) (net.Conn, error) { return m.Dial() },
		Protocol: protocol, DisableIdentity: true, MaxRetries: -1,
	})
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// do is what a client is told, an error as text.
func do(t *testing.T, c *redis.Client, args ...any) string {
	t.Helper()
	got, err := c.Do(t.Context(), args...).Result()
	if err != nil {
		return "error: " + err.Error()
	}
	return fmt.Sprintf("%T %v", got, got)
}

// values are scripts that return each kind of value and see each kind of answer.
// Where Lua itself is another one, in the words of its errors and in how tostring
// writes large numbers, there is no case.
func values() []string {
	return []string{
		// What a script returns.
		"", "return nil", "return true", "return false", "return 3", "return 3.99", "return -3.99", "return 9007199254740991",
		"return 'text'", "return ''", "return 'two\\r\\nlines'", "return {}", "return {1, 'a', true, {2, {}}}", "return 1, 2",
		"return {1, nil, 3}", "return {1, false, 3}", "return {ok = 'FINE'}", "return {err = 'MY error'}", "return {ok = 'a', 1}",
		"return {1, {err = 'MY inner'}}", "return {1, {ok = 'INNER'}}", "return {a = 1}", "return {ok = 1}", "return function() end",
		"return {ok = 'two\\r\\nlines'}", "return redis.status_reply('FINE')", "return redis.error_reply('MY error')",
		"return redis.error_reply('single')", "return redis.error_reply('-MY dash')", "return redis.error_reply()", "return redis.status_reply(1)",
		// What it is given.
		"return {#KEYS, KEYS[1], KEYS[2], KEYS[3]}", "return {#ARGV, ARGV[1], ARGV[2], ARGV[3]}", "return type(ARGV[2])",
		"KEYS[1] = 'z' ARGV[3] = 'y' return {KEYS[1], #ARGV}",
		// What commands answer.
		"return redis.call('SET', KEYS[1], 'v')", "return type(redis.call('SET', KEYS[1], 'v'))", "return redis.call('SET', KEYS[1], 'v').ok",
		"return redis.call('GET', KEYS[1])", "return type(redis.call('GET', KEYS[1]))",
		"redis.call('SET', KEYS[1], 'v') return redis.call('GET', KEYS[1])", "return type(redis.call('INCR', KEYS[1]))",
		"return redis.call('INCRBY', KEYS[1], 4503599627370496)",
		"redis.call('HSET', KEYS[1], 'a', 1, 'b', '') return redis.call('HMGET', KEYS[1], 'a', 'b', 'c')",
		"redis.call('HSET', KEYS[1], 'a', 1) return type(redis.call('HMGET', KEYS[1], 'a', 'c')[2])",
		"redis.call('HSET', KEYS[1], 'a', 1, 'b', 2) return redis.call('HGETALL', KEYS[1])", "return #redis.call('HGETALL', KEYS[1])",
		"redis.call('ZADD', KEYS[1], 1.5, 'm') return redis.call('ZSCORE', KEYS[1], 'm')", "return type(redis.call('ZSCORE', KEYS[1], 'm'))",
		"redis.call('ZADD', KEYS[1], 1, 'm', 2, 'n') return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')",
		"redis.call('XADD', KEYS[1], '7-1', 'f', 'v') return redis.call('XRANGE', KEYS[1], '-', '+')",
		"redis.call('SET', KEYS[1], 'two\\r\\nlines') return redis.call('GET', KEYS[1])",
		"redis.call('SET', KEYS[1], '\\0\\255') return redis.call('GET', KEYS[1])",
		"return #redis.call('TIME')", "return redis.call('PUBLISH', 'channel', 'message')",
		// Numbers as arguments.
		"return redis.call('ECHO', 1)", "return redis.call('ECHO', -7)", "return redis.call('ECHO', 1.5)", "return redis.call('ECHO', 1e15)",
		"return redis.call('ECHO', 1e17)", "return redis.call('ECHO', 123456789012345678)", "return redis.call('ECHO', 0.1)",
		"return redis.call('ECHO', 1 / 3)", "return redis.call('ECHO', 1e-7)", "return redis.call('ECHO', 2^53)",
		// What the scripts of the registry use of Lua.
		"return math.floor(7 / 2)", "return ('%d-%s'):format(3, 'x')", "return table.concat({1, 2, 3}, ',')", "return {unpack({1, 2, 3}, 2)}",
		"return string.format('%.0f', 1795248000000123)", "return tonumber('0x10')", "return tonumber('x') == nil",
		"return {string.match('a|b', '^([^|]*)|(.*)$')}", "return select('#', 1, 2)",
	}
}

// failures are scripts that end with an error.
func failures() []string {
	return []string{
		"return redis.call('HGET', KEYS[1])", "return redis.pcall('HGET', KEYS[1])", "return redis.call('NOSUCH')", "return redis.pcall('NOSUCH')",
		"return redis.call()", "return redis.pcall()", "return redis.call('GET', {})", "return redis.pcall('GET', {})",
		"return redis.call('GET', nil)", "return redis.call('GET', true)", "redis.call('SET', KEYS[1], 'v')\nreturn redis.call('HGET', KEYS[1], 'f')",
		"redis.call('SET', KEYS[1], 'v')\nreturn redis.pcall('HGET', KEYS[1], 'f')", "redis.call('SET', KEYS[1], 'v') return redis.pcall('HGET', KEYS[1], 'f').err",
		"error('broken')", "\n\nerror('broken')", "local function f() error('deep') end\nf()",
		"return redis.call('EVAL', 'return 1', 0)", "return redis.call('SCRIPT', 'FLUSH')", "return redis.call('MULTI')", "return redis.call('EXEC')",
		"return x", "return string.x",
	}
}

// leavings are scripts that would leave something to the next one.
func leavings() []string {
	return []string{
		"x = 1", "redis = nil", "KEYS = nil", "string = {}", "string.x = 1", "string.format = nil", "redis.call = nil", "table[1] = 1", "math.max = math.min",
		"local function f() x = 1 end f()",
	}
}

// TestRepliesAreThoseOfRedis runs each script, in both versions of the protocol,
// on a runner and on Redis.
func TestRepliesAreThoseOfRedis(t *testing.T) {
	t.Parallel()
	peer := redistest.Start(t)
	for _, protocol := range []int{2, 3} {
		m := open(t)
		ours := connect(t, m, protocol)
		theirs := redis.NewClient(&redis.Options{Addr: peer.Addr(), Protocol: protocol, DisableIdentity: true})
		defer theirs.Close()
		for _, scripts := range [][]string{values(), failures(), leavings()} {
			for _, text := range scripts {
				m.FlushAll()
				peer.Flush()
				args := []any{"EVAL", text, 2, "k1", "k2", "a", 1}
				if got, want := do(t, ours, args...), do(t, theirs, args...); got != want {
					t.Errorf("version %d: %s\n got %s\nwant %s", protocol, text, got, want)
				}
			}
		}
	}
}

func TestScriptsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	c := connect(t, open(t), 3)
	const probe = "return {#KEYS, #ARGV, type(redis.call), string.format('%d', 1), math.max(1, 2), #table.concat({'a', 'b'})}"
	want := do(t, c, "EVAL", probe, 0)
	reaching := []string{
		"return _G", "return getfenv", "return setfenv", "return getmetatable", "return setmetatable", "return rawset", "return load", "return require", "return debug", "return os",
		"return math.random", "table.insert(string, 1)", "table.sort(redis)",
	}
	for _, scripts := range [][]string{leavings(), failures(), reaching} {
		for _, text := range scripts {
			got := do(t, c, "EVAL", text, 1, "k")
			if !strings.HasPrefix(got, "error: ") && got != "<nil> <nil>" && !strings.Contains(text, ".err") {
				t.Errorf("%s = %s, want an error or nothing", text, got)
			}
			if got := do(t, c, "EVAL", probe, 0); got != want {
				t.Fatalf("%s\nafter %s = %s, want %s", probe, text, got, want)
			}
		}
	}
}

// TestScriptsAreKnownByHash goes through the life of a script beside Redis.
func TestScriptsAreKnownByHash(t *testing.T) {
	t.Parallel()
	ours, theirs := connect(t, open(t), 3), redistest.Start(t).Client()
	seven, eight := redis.NewScript("return 7").Hash(), redis.NewScript("return 8").Hash()
	for _, args := range [][]any{
		{"EVALSHA", seven, 0},
		{"SCRIPT", "LOAD", "return 7"},
		{"SCRIPT", "LOAD", "return 7"},
		{"SCRIPT", "EXISTS", eight, seven},
		{"EVALSHA", seven, 0},
		{"EVALSHA", strings.ToUpper(seven), 0},
		{"EVAL", "return 8", 0},
		{"EVALSHA", eight, 0},
		{"SCRIPT", "FLUSH", "SYNC"},
		{"EVALSHA", eight, 0},
		{"SCRIPT", "EXISTS", eight},
		{"SCRIPT", "FLUSH"},
		{"EVAL", "return 1", "x"},
		{"EVAL", "return 1", -1},
		{"EVAL", "return 1", 2, "k"},
		{"EVAL", "return 1"},
		{"EVALSHA", seven},
	} {
		if got, want := do(t, ours, args...), do(t, theirs, args...); got != want {
			t.Errorf("%v\n got %s\nwant %s", args, got, want)
		}
	}
	for _, args := range [][]any{{"EVAL", "return +", 0}, {"SCRIPT", "LOAD", "return +"}} {
		const want = "error: ERR Error compiling script (new function): user_script"
		if got := do(t, ours, args...); !strings.HasPrefix(got, want) {
			t.Errorf("%v = %s, want %s...", args, got, want)
		}
	}
}

// TestForgetsAllScriptsBeforeTheyAreTooMany shows that a server is not filled with
// scripts, and that a client which loads what is not there notices nothing.
func TestForgetsAllScriptsBeforeTheyAreTooMany(t *testing.T) {
	t.Parallel()
	c := connect(t, open(t), 3)
	first := redis.NewScript("return 'first'")
	if err := first.Load(t.Context(), c).Err(); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := c.ScriptLoad(t.Context(), "return "+strconv.Itoa(i)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := do(t, c, "EVALSHA", first.Hash(), 0), "error: NOSCRIPT No matching script. Please use EVAL."; got != want {
		t.Errorf("EVALSHA of the first of 1001 scripts = %s, want %s", got, want)
	}
	if got, err := first.Run(t.Context(), c, nil).Text(); got != "first" || err != nil {
		t.Errorf("Run of the first script = %q, %v, want first", got, err)
	}
}

// TestScriptIsOneStep has clients take turns with scripts, commands and
// transactions that would each see the step of another half done.
func TestScriptIsOneStep(t *testing.T) {
	t.Parallel()
	m := open(t)
	const rounds = 100
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			c := connect(t, m, 3)
			for range rounds {
				if err := c.Eval(t.Context(), "redis.call('INCR', KEYS[1]) redis.call('INCR', KEYS[2])", []string{"a", "b"}).Err(); err != nil && !errors.Is(err, redis.Nil) {
					t.Error(err)
				}
				var got []any
				if i%2 == 0 {
					got, _ = c.MGet(t.Context(), "a", "b").Result()
				} else {
					got, _ = c.Eval(t.Context(), "return redis.call('MGET', KEYS[1], KEYS[2])", []string{"a", "b"}).Slice()
				}
				if len(got) != 2 || got[0] != got[1] {
					t.Errorf("MGET a b = %v, want the same twice", got)
				}
			}
		})
	}
	clients.Wait()
	if got, _ := m.Get("a"); got != strconv.Itoa(4*rounds) {
		t.Errorf("after %d scripts that add 1: %s", 4*rounds, got)
	}
}

func TestTransactionRunsScriptsAtItsEnd(t *testing.T) {
	t.Parallel()
	c := connect(t, open(t), 3)
	got, err := c.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
		p.Set(t.Context(), "k", "v", 0)
		p.Eval(t.Context(), "return redis.call('GET', KEYS[1])", []string{"k"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if v := got[1].(*redis.Cmd).Val(); v != "v" {
		t.Errorf("the script after SET k v = %v, want v", v)
	}
	if got := do(t, c, "EVAL", "return 1", 0); got != "int64 1" {
		t.Errorf("EVAL after EXEC = %s, want int64 1", got)
	}
}

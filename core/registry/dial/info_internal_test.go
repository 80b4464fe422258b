package dial

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

func TestParseInfo(t *testing.T) {
	t.Parallel()
	text := "# Server\r\nredis_version:7.0.15\r\n\r\n# Replication\r\nrole:master\r\nslave0:ip=10.0.0.1,port=6379\r\nempty:\r\nrole:slave\r\nno field\r\n:no name\r\nlast:1"
	want := info{"redis_version": "7.0.15", "role": "master", "slave0": "ip=10.0.0.1,port=6379", "empty": "", "last": "1"}
	if diff := cmp.Diff(want, parseInfo(text)); diff != "" {
		t.Errorf("parseInfo (-want +got):\n%s", diff)
	}
}

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]version{
		"7.0.15":       {7, 0},
		"6.2":          {6, 2},
		"255.255.255":  {255, 255},
		"8.4.0-rc1":    {8, 4},
		"10.11.x.y.z ": {10, 11},
	} {
		if got, err := parseVersion(text); got != want || err != nil {
			t.Errorf("parseVersion(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "7", "7.", ".2", "a.b", "7.x", "-7.0", "+7.0", "7.-2", "99999.0", "v7.0"} {
		if got, err := parseVersion(text); err == nil {
			t.Errorf("parseVersion(%q) = %v, want an error", text, got)
		}
	}
}

func TestVersionBefore(t *testing.T) {
	t.Parallel()
	sorted := []version{{5, 0}, {6, 0}, {6, 2}, {7, 0}, {7, 2}, {10, 0}}
	for i, a := range sorted {
		for k, b := range sorted {
			if got := a.before(b); got != (i < k) {
				t.Errorf("%v.before(%v) = %v, want %v", a, b, got, i < k)
			}
		}
	}
}

func TestUncovered(t *testing.T) {
	t.Parallel()
	part := func(from, to int) redis.ClusterSlot {
		return redis.ClusterSlot{Start: from, End: to, Nodes: []redis.ClusterNode{{Addr: "a:1"}}}
	}
	for name, test := range map[string]struct {
		parts []redis.ClusterSlot
		want  int
	}{
		"none":          {nil, slots},
		"all":           {[]redis.ClusterSlot{part(0, 16383)}, 0},
		"in any order":  {[]redis.ClusterSlot{part(8000, 16383), part(0, 7999)}, 0},
		"gap":           {[]redis.ClusterSlot{part(0, 99), part(200, 16383)}, 100},
		"twice":         {[]redis.ClusterSlot{part(0, 99), part(50, 149), part(0, 9)}, slots - 150},
		"beyond":        {[]redis.ClusterSlot{part(0, 99), part(100, 99999999)}, 0},
		"upside down":   {[]redis.ClusterSlot{part(100, 0)}, slots},
		"below":         {[]redis.ClusterSlot{part(-5, 16383)}, 0},
		"nobody's":      {[]redis.ClusterSlot{{Start: 0, End: 99}, part(100, 16383)}, 100},
		"single at end": {[]redis.ClusterSlot{part(16383, 16383)}, slots - 1},
	} {
		if got := uncovered(test.parts); got != test.want {
			t.Errorf("%s: uncovered = %d, want %d", name, got, test.want)
		}
	}
}

func TestMasters(t *testing.T) {
	t.Parallel()
	part := func(addrs ...string) redis.ClusterSlot {
		var s redis.ClusterSlot
		for _, addr := range addrs {
			s.Nodes = append(s.Nodes, redis.ClusterNode{Addr: addr})
		}
		return s
	}
	for name, test := range map[string]struct {
		asked string
		parts []redis.ClusterSlot
		want  []string
	}{
		"masters only":         {"a:1", []redis.ClusterSlot{part("a:1", "r:1"), part("b:2", "r:2")}, []string{"a:1", "b:2"}},
		"each once":            {"a:1", []redis.ClusterSlot{part("a:1"), part("b:1"), part("a:1")}, []string{"a:1", "b:1"}},
		"no host":              {"a:1", []redis.ClusterSlot{part(":7")}, []string{"a:7"}},
		"no port":              {"a:1", []redis.ClusterSlot{part("b:0")}, []string{"b:1"}},
		"its own machine":      {"a:1", []redis.ClusterSlot{part("127.0.0.1:7"), part("[::1]:8")}, []string{"a:7", "a:8"}},
		"this machine":         {"localhost:1", []redis.ClusterSlot{part("127.0.0.1:7")}, []string{"127.0.0.1:7"}},
		"nobody's":             {"a:1", []redis.ClusterSlot{part()}, nil},
		"IPv6":                 {"a:1", []redis.ClusterSlot{part("[2001:db8::1]:7")}, []string{"[2001:db8::1]:7"}},
		"without any port":     {"a:1", []redis.ClusterSlot{part("b")}, []string{"b:1"}},
		"asked without a port": {"a", []redis.ClusterSlot{part(":0")}, []string{"a:"}},
	} {
		if diff := cmp.Diff(test.want, masters(test.parts, test.asked)); diff != "" {
			t.Errorf("%s: masters (-want +got):\n%s", name, diff)
		}
	}
}

func TestField(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reply any
		want  string
		ok    bool
	}{
		"map":        {map[any]any{"ip": "h", "name": "orders"}, "orders", true},
		"pairs":      {[]any{"ip", "name", "name", "orders"}, "orders", true},
		"odd pairs":  {[]any{"ip", "h", "name"}, "", false},
		"other kind": {map[any]any{"name": 7}, "", false},
		"list in it": {[]any{[]any{"name"}, "x", "name", "orders"}, "orders", true},
		"number":     {int64(1), "", false},
		"nothing":    {nil, "", false},
	} {
		if got, ok := field(test.reply, "name"); got != test.want || ok != test.ok {
			t.Errorf("%s: field = %q, %v, want %q, %v", name, got, ok, test.want, test.ok)
		}
	}
}

func FuzzParseInfo(f *testing.F) {
	f.Add("# Server\r\nredis_version:7.0.15\r\n\r\nrole:master\r\n")
	f.Add("a:b:c\na:d\n:x\n#y:z\r")
	f.Fuzz(func(t *testing.T, text string) {
		fields := parseInfo(text)
		var again strings.Builder
		for name, value := range fields {
			if name == "" || strings.ContainsAny(name, ":\n") || strings.Contains(value, "\n") {
				t.Errorf("parseInfo(%q) has the field %q: %q", text, name, value)
			}
			again.WriteString(name + ":" + value + "\r\n")
		}
		if diff := cmp.Diff(fields, parseInfo(again.String())); diff != "" {
			t.Errorf("parseInfo of what parseInfo(%q) has read (-want +got):\n%s", text, diff)
		}
	})
}

func FuzzParseVersion(f *testing.F) {
	f.Add("7.0.15")
	f.Add("6.2")
	f.Add("0007.2.")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parseVersion(text)
		if err != nil {
			return
		}
		again, err := parseVersion(v.String())
		if again != v || err != nil || v.major < 0 || v.minor < 0 || v.major > 9999 || v.minor > 9999 {
			t.Errorf("parseVersion(%q) = %v, read again %v, %v", text, v, again, err)
		}
	})
}

func FuzzExplainReply(f *testing.F) {
	f.Add("ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' '", "'")
	f.Add("NOPERM this user has no permissions\r\n", "")
	f.Add("WRONGPASS ", "\x00\n")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "canary-7f3a9c"
		c := Config{Password: secret, SentinelPassword: "other"}
		p := c.explainReply(c.dataLogin(), before+secret+after)
		if p.text == "" || strings.Contains(p.text, secret) {
			t.Errorf("explainReply(%q) = %q, want a text without the password", before+secret+after, p.text)
		}
		if strings.ContainsAny(p.text, "\r\n\x00") {
			t.Errorf("explainReply(%q) = %q, want one line", before+secret+after, p.text)
		}
	})
}

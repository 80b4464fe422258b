package registry

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestScriptsOutliveAFlush(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		l := b.lead("a")
		if err := b.client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		_ = must(b, func(ctx context.Context) (Renewal, error) { return b.Renew(ctx, l.Lease, true) })
		b.put(definition("j", 1))
	})
}

func TestEveryScriptFileIsUsed(t *testing.T) {
	t.Parallel()
	s, err := readScripts(untouched)
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(sources, "scripts/*.lua")
	if err != nil {
		t.Fatal(err)
	}
	used := s.byName()
	libraries := []string{"lib", "gather", "manual", "queue", "depend", "begin-keys", "complete-keys"}
	for _, f := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(f, "scripts/"), ".lua")
		if _, ok := used[name]; !ok && !slices.Contains(libraries, name) {
			t.Errorf("script %s is not used", name)
		}
	}
	// Of two files there are two scripts.
	if got, want := len(files), len(used)-2+len(libraries); got != want {
		t.Errorf("%d script files, want %d", got, want)
	}
}

func TestOpenChecksConfig(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		good := Config{Client: b.client, Namespace: "n", SessionTimeout: time.Second}
		for name, change := range map[string]func(*Config){
			"client":          func(c *Config) { c.Client = nil },
			"namespace":       func(c *Config) { c.Namespace = "a{b}" },
			"session timeout": func(c *Config) { c.SessionTimeout = 0 },
			"grace":           func(c *Config) { c.Grace = -1 },
		} {
			c := good
			change(&c)
			if _, err := Open(t.Context(), c); err == nil {
				t.Errorf("Open with a bad %s = nil, want an error", name)
			}
		}
	})
}

func TestNamespacesAreApart(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		other := b.open(func(c *Config) { c.Namespace = "other" })
		b.lead("a")
		b.put(definition("j", 1))
		if names, err := other.JobNames(t.Context()); err != nil || len(names) != 0 {
			t.Errorf("JobNames of another namespace = %v, %v, want none", names, err)
		}
		if _, err := other.Register(t.Context(), Instance{ID: "a"}); err != nil {
			t.Errorf("Register in another namespace = %v, want nil", err)
		}
		for _, key := range must(b, func(ctx context.Context) ([]string, error) { return b.client.Keys(ctx, "*").Result() }) {
			if key != clockKey && !strings.HasPrefix(key, "ej:{test.0}:") && !strings.HasPrefix(key, "ej:{other.0}:") {
				t.Errorf("key %q is in no namespace", key)
			}
		}
	})
}

// TestForeignContentsAreErrors fills keys with what this package never writes.
func TestForeignContentsAreErrors(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		for name, c := range map[string]struct {
			key   func(*bench) string
			field string
			value string
		}{
			"mark":          {func(b *bench) string { return b.keys.prefix + "r:j" }, "a", "x|y"},
			"high water":    {func(b *bench) string { return b.keys.prefix + "hw:j" }, "a", "soon"},
			"mark counter":  {func(b *bench) string { return b.keys.job("j") }, "x", "many"},
			"assignment":    {func(b *bench) string { return b.keys.assignments("j") }, "a", "0-99999@1"},
			"definition":    {func(b *bench) string { return b.keys.job("j") }, "n", "-3"},
			"generation":    {func(b *bench) string { return b.keys.job("j") }, "gen", "1e3"},
			"session":       {func(b *bench) string { return b.keys.sess() }, "a", ""},
			"session epoch": {func(b *bench) string { return b.keys.sess() }, "a", "x|y"},
			"description":   {func(b *bench) string { return b.keys.info() }, "a", "{"},
			"job name":      {func(b *bench) string { return b.keys.jobs() }, "a b", "1"},
			"dead session":  {func(b *bench) string { return b.keys.dead() }, "a", "1"},
			"last instant":  {func(b *bench) string { return b.keys.stop() }, "a", "soon"},
			"server":        {func(b *bench) string { return b.keys.off() }, "a|b", "D"},
			"orphans":       {func(b *bench) string { return b.keys.job("j") }, "lo", "0-1"},
			"trigger":       {func(b *bench) string { return b.keys.triggers("j") }, triggerID(1), "soon"},
			"version":       {func(b *bench) string { return b.keys.meta() }, "ver", "x"},
		} {
			b := setup(t, on)
			l, g := oneNode(b, 2)
			if err := b.client.HSet(t.Context(), c.key(b), c.field, c.value).Err(); err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			_, begin := b.Begin(ctx, BeginRequest{Lease: l.Lease, Job: "j", Generation: g, Kind: KindNormal, Instant: at(time.Second * 2)})
			_, catchUp := b.Begin(ctx, BeginRequest{Lease: l.Lease, Job: "j", Generation: g, Kind: KindMisfire, Request: "m1"})
			_, complete := b.Complete(ctx, CompleteRequest{Lease: l.Lease, Job: "j", Fence: 1, Outcome: OutcomeFailure})
			_, assigned := b.Assignments(ctx, "a", []string{"j"})
			_, job := b.Job(ctx, "j")
			_, names := b.JobNames(ctx)
			_, instances := b.Instances(ctx)
			_, dead := b.Dead(ctx)
			_, off := b.DisabledServers(ctx)
			_, _, _, changes := b.Changes(ctx, 0)
			_, trigger := b.TriggerState(ctx, "j", triggerID(1))
			failed := 0
			if name != "trigger" { // there is none
				trigger = nil
			}
			for _, err := range []error{begin, catchUp, complete, assigned, job, names, instances, dead, off, changes, trigger} {
				if err != nil {
					failed++
				}
			}
			if failed == 0 {
				t.Errorf("foreign %s: every call succeeded, want an error", name)
			}
		}
	})
}

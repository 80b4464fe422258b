//go:build unix

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// testStartUp starts nodes on registries that cannot be used.
func testStartUp(f *fleet) {
	t := f.t
	t.Run("the registry is away", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t)
		f := newFleet(t)
		f.center = regCenter{servers: server.Addr(), connectionTimeout: 1500 * time.Millisecond}
		server.Stop()
		begin := time.Now()
		n := f.start("lonely", nodeFile{jobs: []jobFile{marked}})
		n.wait(1)
		if took := time.Since(begin); took < f.center.connectionTimeout {
			t.Errorf("the node gave up after %v, want it to try for %v", took, f.center.connectionTimeout)
		}
		checkSays(t, n, "unreachable", server.Addr())
	})
	t.Run("the password is wrong", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t, redistest.Password("gatekeeper"))
		f := newFleet(t)
		f.center = regCenter{servers: server.Addr(), password: "intruder"}
		n := f.start("intruder's", nodeFile{jobs: []jobFile{marked}})
		n.wait(1)
		checkSays(t, n, server.Addr(), "password")
		for _, secret := range []string{"gatekeeper", "intruder"} {
			if text := n.text() + n.out.String(); strings.Contains(text, secret) {
				t.Errorf("the node shows %q, want no secret:\n%s", secret, text)
			}
		}
	})
	t.Run("the server may forget", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t)
		f.center = regCenter{servers: redistest.Start(t, redistest.Setting("maxmemory-policy", "allkeys-lru")).Addr()}
		n := f.start("a", nodeFile{jobs: []jobFile{marked}})
		n.wait(1)
		checkSays(t, n, "allkeys-lru", "noeviction")
	})
	t.Run("the namespace is of another version", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t)
		f := newFleet(t)
		f.on(server)
		f.leave(f.up("a", nodeFile{jobs: []jobFile{marked}}))
		for key := range keys(t, server, "*meta") {
			if err := server.Client().HSet(t.Context(), key, "schema", "another").Err(); err != nil {
				t.Fatal(err)
			}
		}
		n := f.start("b", nodeFile{jobs: []jobFile{marked}})
		n.wait(1)
		checkSays(t, n, "incompatible namespace", "schema another")
	})
	t.Run("two nodes have one id", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t)
		f.on(redistest.Start(t))
		file := nodeFile{id: "one", jobs: []jobFile{marked}}
		first := f.up("first", file)
		second := f.start("second", file)
		second.wait(1)
		checkSays(t, second, `\"one\"`, "in use", "give each node an instance.id of its own")
		f.awaitAllRun(marked, time.Now())
		first.kill()
		again := f.up("again", file)
		f.awaitAllRun(marked, time.Now())
		f.leave(again)
	})
}

// checkSays fails unless the last words of a node that has ended have all the
// parts.
func checkSays(t *testing.T, p *process, parts ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimRight(p.text(), "\n"), "\n")
	last := lines[len(lines)-1]
	t.Logf("%s: %s", p.name, last)
	for _, part := range parts {
		if !strings.Contains(last, part) {
			t.Errorf("the last words of node %s have no %q:\n%s", p.name, part, p.text())
		}
	}
}

// keys are the keys of a server that match a pattern.
func keys(t *testing.T, server *redistest.Server, pattern string) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	for i := server.Client().Scan(t.Context(), 0, pattern, 1000).Iterator(); i.Next(t.Context()); {
		found[i.Val()] = true
	}
	if len(found) == 0 {
		t.Fatalf("no key of the registry matches %q, want one", pattern)
	}
	return found
}

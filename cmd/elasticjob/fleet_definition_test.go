//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// testDefinitions starts nodes whose files say different things of one job.
func testDefinitions(f *fleet) {
	t := f.t
	f.on(redistest.Start(t))
	dir := t.TempDir()
	module := filepath.Join(dir, "command.wasm")
	content, err := os.ReadFile(filepath.Join("testdata", "module", "command.wasm"))
	if err == nil {
		err = os.WriteFile(module, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	sandboxed := jobFile{name: "sandboxed", jobType: "WASM", every: time.Second, items: 4, props: "wasm.module: " + module}
	a := f.up("a", nodeFile{jobs: []jobFile{marked, sandboxed}})

	// Another definition, without overwrite: the registry's counts.
	other := marked
	other.items, other.props = 9, "fake.duration: 50ms"
	b := f.up("b", nodeFile{jobs: []jobFile{other}})
	warning := b.await("a warning of the difference", func(r record) bool { return r.Keys != "" })
	if warning.Level != "WARN" || warning.Job != marked.name || warning.Keys != "props,shardingTotalCount" {
		t.Errorf("the record of the difference is %+v, want a warning that names props and shardingTotalCount", warning)
	}
	f.awaitShares(marked, a, b)
	f.awaitAllRun(marked, warning.Time)
	if n := f.count(func(r record) bool { return r.Msg == "item started" && r.Job == marked.name && r.Item >= marked.items }); n != 0 {
		t.Errorf("starts of items that only the ignored definition has = %d, want 0", n)
	}

	// Another type is a mistake.
	other.jobType, other.props = "WASM", "wasm.module: "+module
	c := f.start("c", nodeFile{jobs: []jobFile{other}})
	c.wait(1)
	checkSays(t, c, "elasticJobType", "WASM", "FAKE", marked.name)

	// A node without the module hosts the other jobs alone.
	if err := os.Remove(module); err != nil {
		t.Fatal(err)
	}
	d := f.up("d", nodeFile{jobs: []jobFile{marked}})
	f.awaitShares(marked, a, b, d)
	refused := d.await("a word on the job it cannot host", func(r record) bool { return r.Job == sandboxed.name && strings.HasPrefix(r.Msg, "job not hosted here") })
	f.awaitShares(sandboxed, a, b)
	f.awaitAllRun(sandboxed, refused.Time)
	end := f.passToHalf()
	f.leave(d, b, a)
	f.check(marked, end, exceptions{})
	if n := f.count(func(r record) bool { return r.node == d && r.Msg == "item started" && r.Job == sandboxed.name }); n != 0 {
		t.Errorf("items of %s on a node without its module = %d, want 0", sandboxed.name, n)
	}
}

//go:build unix

package main

import (
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// testZombie takes the lease from a node with code that ignores this, beside code
// that may go on: the process ends, with a status of its own.
func testZombie(f *fleet) {
	server := redistest.Start(f.t)
	f.on(server)
	deaf := jobFile{name: "deaf", every: time.Second, items: 1, props: "fake.hang: forever"}
	repeatable := jobFile{name: "repeatable", every: time.Second, items: 1, onLeaseLoss: "continue", props: "fake.hang: cancellable"}
	node := f.up("a", nodeFile{onZombie: "exit", jobs: []jobFile{deaf, repeatable}})
	node.awaitRunning(deaf, time.Time{})
	node.awaitRunning(repeatable, time.Time{})
	server.Stop()
	node.wait(3)
	for _, c := range []struct {
		job  jobFile
		want int
	}{{deaf, 1}, {repeatable, 0}} {
		if got := f.count(func(r record) bool { return r.Msg == "item outlives its lease" && r.Job == c.job.name }); got != c.want {
			f.t.Errorf("items of job %s that outlive their lease = %d, want %d", c.job.name, got, c.want)
		}
	}
	if ended := f.count(func(r record) bool { return r.Msg == "item finished" }); ended != 0 {
		f.t.Errorf("items that ended with the lease = %d, want 0", ended)
	}
}

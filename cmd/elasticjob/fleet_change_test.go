//go:build unix

package main

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// testChange takes a fleet from two nodes to five and down to one, and some of
// its jobs from three items to ten and down to two, at odd moments.
func testChange(f *fleet) {
	t := f.t
	growing := jobFile{name: "growing", every: time.Second, items: 3, props: "fake.duration: 100ms"}
	drifting := jobFile{name: "drifting", every: time.Second, items: 3, unmonitors: true, props: "fake.duration: 100ms"}
	f.on(redistest.Start(t))
	odd := func() { f.pass(time.Duration(500+rand.IntN(2000)) * time.Millisecond) }
	file := nodeFile{jobs: []jobFile{marked, unmarked, growing, drifting}}
	nodes := []*process{f.start("a", file), f.start("b", file)}
	for _, job := range file.jobs {
		f.awaitShares(job, nodes...)
	}
	odd()
	nodes = append(nodes, f.up("c", nodeFile{jobs: []jobFile{marked, unmarked, growing.with(10), drifting.with(10)}}))
	odd()
	nodes = append(nodes, f.up("d", file))
	odd()
	nodes = append(nodes, f.up("e", file))
	for _, job := range []jobFile{marked, unmarked, growing.with(10), drifting.with(10)} {
		f.awaitShares(job, nodes...)
		f.awaitAllRun(job, time.Now())
	}
	remove := func() {
		i := rand.IntN(len(nodes))
		f.leave(nodes[i])
		nodes = slices.Delete(nodes, i, i+1)
	}
	remove()
	odd()
	remove()
	odd()
	shrunk := time.Now()
	nodes = append(nodes, f.up("f", nodeFile{jobs: []jobFile{marked, unmarked, growing.with(2), drifting.with(2)}}))
	odd()
	for len(nodes) > 1 {
		remove()
		odd()
	}
	last := []jobFile{marked, unmarked, growing.with(2), drifting.with(2)}
	for _, job := range last {
		f.awaitShares(job, nodes[0])
		f.awaitAllRun(job, time.Now())
	}
	end := f.passToHalf()
	f.leave(nodes[0])

	for _, job := range []jobFile{marked, unmarked} {
		f.check(job, end, exceptions{})
	}
	for _, job := range []jobFile{growing, drifting} {
		// Items that are gone have no verdict, and what they still owed is dropped.
		gone := func(m moment) bool { return m.item >= 2 && m.at.After(shrunk.Add(-job.every)) }
		f.check(job, end, exceptions{unknown: gone, missed: gone})
		f.checkGone(job, 2, shrunk)
	}
}

// checkGone fails if items from the given one on were started long after they
// were taken away.
func (f *fleet) checkGone(job jobFile, from int, shrunk time.Time) {
	f.t.Helper()
	records, _ := f.book.all()
	var adopted time.Time
	for _, r := range records {
		isOurs := r.Msg == "items assigned" && r.Job == job.name && r.Time.After(shrunk) && r.Items != ""
		if isOurs && slices.Max(itemsOf(f.t, r.Items)) < from {
			adopted = r.Time
			break
		}
	}
	if adopted.IsZero() {
		f.t.Errorf("%s was never assigned without items from %d on, want it", job.name, from)
		return
	}
	// An unmonitored item has its owner until the agreed instant.
	limit := adopted.Add(2*sessionTimeout + time.Second)
	for m, v := range f.ledger(job) {
		if m.item >= from && m.at.After(limit) && len(v.started) > 0 {
			f.t.Errorf("%s item %d at %s: %s, want nothing after %s", job.name, m.item, m.at.Format("15:04:05"), v, limit.UTC().Format("15:04:05"))
		}
	}
}

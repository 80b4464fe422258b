//go:build unix

package main

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// handOverBound is far above the second in which a stopping node hands its
// items over; the measured time is logged.
const handOverBound = 5 * time.Second

// testJoinAndLeave has two nodes share the items, a third join, and all leave
// one after the other.
func testJoinAndLeave(f *fleet) {
	t := f.t
	f.on(redistest.Start(t))
	patient := nodeFile{jobs: []jobFile{marked, unmarked, long}}
	a := f.start("a", patient)
	b := f.up("b", patient)
	for _, job := range patient.jobs {
		f.awaitShares(job, a, b)
	}
	hasty := patient
	hasty.grace = 300 * time.Millisecond
	joined := logTime()
	c := f.up("c", hasty)
	shared := f.awaitShares(marked, a, b, c)
	first := c.awaitRunning(marked, joined)
	if limit := shared.Truncate(time.Second).Add(2 * time.Second); instantOf(t, first.Run).After(limit) {
		t.Errorf("the first run of the third node is %s, want that after its share at %v", first.Run, shared)
	}
	f.awaitShares(unmarked, a, b, c)
	c.awaitRunning(unmarked, joined)
	f.awaitShares(long, a, b, c)

	// b leaves while its items run, and lets them end.
	running := b.awaitRunning(long, logTime())
	f.passToHalfAfter(running.Time)
	left := b.signal(syscall.SIGTERM)
	for _, job := range patient.jobs {
		moved := f.awaitShares(job, a, c)
		t.Logf("%s handed over %v after SIGTERM", job.name, moved.Sub(left).Round(time.Millisecond))
		if moved.After(left.Add(handOverBound)) {
			t.Errorf("%s was handed over %v after SIGTERM, want within %v", job.name, moved.Sub(left), handOverBound)
		}
	}
	b.wait(0)
	checkEnds(t, b, running.Run, "success")

	// c leaves while its items run, and cuts them short.
	running = c.awaitRunning(long, logTime())
	f.passToHalfAfter(running.Time)
	left = c.signal(syscall.SIGTERM)
	for _, job := range patient.jobs {
		moved := f.awaitShares(job, a)
		t.Logf("%s handed over %v after SIGTERM", job.name, moved.Sub(left).Round(time.Millisecond))
		if moved.After(left.Add(handOverBound)) {
			t.Errorf("%s was handed over %v after SIGTERM, want within %v", job.name, moved.Sub(left), handOverBound)
		}
	}
	c.wait(0)
	checkEnds(t, c, running.Run, "cancelled")

	f.awaitShares(marked, a)
	a.awaitRunning(long, logTime())
	end := f.passToHalf()
	f.leave(a)
	for _, job := range patient.jobs {
		f.check(job, end, exceptions{})
	}
}

// passToHalfAfter is passToHalf some time after the given one.
func (f *fleet) passToHalfAfter(at time.Time) {
	f.t.Helper()
	f.pass(time.Until(at.Add(300 * time.Millisecond)))
	f.passToHalf()
}

// checkEnds fails unless all items of the run of the job long on the node ended
// with the outcome.
func checkEnds(t *testing.T, p *process, run, outcome string) {
	t.Helper()
	records, _ := p.fleet.book.all()
	var started, ended []int
	for _, r := range records {
		if r.node != p || r.Job != long.name || r.Run != run {
			continue
		}
		switch r.Msg {
		case "item started":
			started = append(started, r.Item)
		case "item finished":
			ended = append(ended, r.Item)
			if r.Outcome != outcome {
				t.Errorf("item %d of %s finished with %s on %s, want %s", r.Item, run, r.Outcome, p.name, outcome)
			}
		}
	}
	slices.Sort(started)
	slices.Sort(ended)
	if !slices.Equal(started, ended) || len(ended) == 0 {
		t.Errorf("of items %v of run %s on %s ended %v, want all", started, run, p.name, ended)
	}
}

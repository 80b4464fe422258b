//go:build unix

package main

import (
	"syscall"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
	"github.com/elasticjob-go/elasticjob/spi"
)

// testPause stops the process of a node for longer than its lease, while items
// of it run, and lets it go on.
func testPause(f *fleet) {
	t := f.t
	hung := jobFile{name: "hung", every: 2 * time.Second, items: 2, props: "fake.hang: cancellable"}
	adrift := jobFile{name: "adrift", every: 2 * time.Second, items: 2, unmonitors: true, props: "fake.hang: cancellable"}
	f.on(redistest.Start(t))
	file := nodeFile{jobs: []jobFile{marked, unmarked, hung, adrift}, grace: 300 * time.Millisecond}
	a, b := f.start("a", file), f.start("b", file)
	for _, job := range file.jobs {
		f.awaitShares(job, a, b)
	}
	for _, job := range []jobFile{hung, adrift} {
		b.awaitRunning(job, time.Time{})
	}
	f.passToHalf()
	stopped := b.signal(syscall.SIGSTOP)
	for _, job := range file.jobs {
		moved := f.awaitShares(job, a)
		t.Logf("%s taken over %v after SIGSTOP", job.name, moved.Sub(stopped).Round(time.Millisecond))
		a.awaitRunning(job, stopped.Add(sessionTimeout))
	}
	f.pass(time.Until(stopped.Add(8 * time.Second)))
	f.passToHalf()
	resumed := b.signal(syscall.SIGCONT)
	registered := b.awaitSince(resumed, "session registered", func(r record) bool { return r.Msg == "session registered" })
	shared := f.awaitShares(marked, a, b)
	b.awaitRunning(marked, shared)
	b.awaitRunning(unmarked, resumed)
	end := f.passToHalf()
	f.leave(b, a)

	checkAwakening(t, b, resumed, registered.Time, map[string]int{hung.name: 1, adrift.name: 1})
	gap := span{stopped.Add(-sessionTimeout), registered.Time}
	f.check(marked, end, exceptions{missed: within(gap)})
	f.check(unmarked, end, exceptions{missed: within(gap), doubtful: within(span{gap.from, stopped})})
	always := func(moment) bool { return true }
	f.check(hung, end, exceptions{missed: always})
	f.check(adrift, end, exceptions{missed: always, doubtful: within(span{gap.from, stopped})})
}

// checkAwakening fails unless the items that ran on a node when it was stopped
// ended with its lease, before anything was started there, and the session was
// lost before the next one began.
func checkAwakening(t *testing.T, p *process, resumed, registered time.Time, want map[string]int) {
	t.Helper()
	records, _ := p.fleet.book.all()
	ended := make(map[string]int)
	hasLost, hasStarted := false, false
	for _, r := range records {
		if r.node != p || r.Time.Before(resumed) {
			continue
		}
		switch r.Msg {
		case "session lost":
			hasLost = hasLost || !r.Time.After(registered)
		case "item started":
			hasStarted = true
		case "item finished":
			if _, isWanted := want[r.Job]; !isWanted || hasStarted {
				continue
			}
			ended[r.Job]++
			if r.Outcome != "cancelled" || r.Code != int(spi.CodeLeaseLost) {
				t.Errorf("%s item %d finished with %s and code %d after the pause, want cancelled and %d", r.Job, r.Item, r.Outcome, r.Code, spi.CodeLeaseLost)
			}
		}
	}
	if !hasLost {
		t.Errorf("session lost was not logged on %s before session registered, want it", p.name)
	}
	for job, n := range want {
		if ended[job] != n {
			t.Errorf("items of %s that ended on %s before anything was started = %d, want %d", job, p.name, ended[job], n)
		}
	}
}

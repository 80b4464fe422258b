//go:build unix

package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// longOutage is how long Redis is away so that all leases end.
var longOutage = flag.Duration("fleet.outage", 2*sessionTimeout, "how long Redis is away, at least twice the session timeout")

// testOutage stops Redis for a second, then for longer than a lease, and then
// takes its data away, by a restart and while it runs.
func testOutage(f *fleet) {
	t := f.t
	const settling = 2 * time.Second
	brisk := jobFile{name: "brisk", every: time.Second, items: 4, props: "fake.duration: 600ms"}
	loose := jobFile{name: "loose", every: time.Second, items: 4, unmonitors: true, props: "fake.duration: 600ms"}
	guest := jobFile{name: "guest", every: time.Second, items: 2, props: "fake.duration: 600ms"}
	server := redistest.Start(t, redistest.AppendOnly())
	f.on(server)
	file := nodeFile{jobs: []jobFile{brisk, loose}}
	a, b := f.start("a", file), f.start("b", file)
	c := f.start("c", nodeFile{jobs: []jobFile{guest}})
	jobs := []jobFile{brisk, loose, guest}
	for _, job := range jobs {
		f.awaitAllRun(job, time.Time{})
	}
	// What started late is still running at the next instant, and so on.
	f.pass(settling)
	// The only node whose file has the guest leaves; the others go on with it.
	f.leave(c)
	for _, job := range jobs {
		f.awaitShares(job, a, b)
	}

	away := func(d time.Duration) span {
		f.passToHalf()
		s := span{from: logTime()}
		server.Stop()
		f.pass(d)
		server.Restart()
		s.to = time.Now()
		for _, job := range jobs {
			f.awaitAllRun(job, s.to)
		}
		t.Logf("all ran again %v after a Redis that was away for %v came back", time.Since(s.to).Round(time.Millisecond), d)
		s.to = time.Now().Add(settling)
		return s
	}
	lost := func(s span) int {
		return f.count(func(r record) bool { return r.Msg == "session lost" && s.contains(r.Time) })
	}
	brief := away(time.Second)
	// It depends on when the leases were renewed last.
	t.Logf("%d sessions lost while Redis was away for a second", lost(brief))
	tooLong := away(*longOutage)
	if n := lost(tooLong); n != 2 {
		t.Errorf("sessions lost while Redis was away for longer than a lease = %d, want 2", n)
	}

	empties := func(how string, empty func()) span {
		f.passToHalf()
		s := span{from: logTime()}
		empty()
		for _, job := range jobs {
			f.awaitAllRun(job, s.from.Add(sessionTimeout))
		}
		s.to = time.Now()
		t.Logf("all ran again %v after Redis %s", s.to.Sub(s.from).Round(time.Millisecond), how)
		if n := lost(s); n != 2 {
			t.Errorf("sessions lost when Redis %s = %d, want 2", how, n)
		}
		for _, begin := range []string{
			"nothing is started for a while",
			"registry came back without its data",
		} {
			if f.count(func(r record) bool { return strings.HasPrefix(r.Msg, begin) && s.contains(r.Time) }) == 0 {
				t.Errorf("no record begins with %q after Redis %s, want one", begin, how)
			}
		}
		return s
	}
	restarted := empties("was restarted empty", func() {
		server.Kill()
		if err := os.RemoveAll(filepath.Join(server.Dir(), "appendonlydir")); err != nil {
			t.Fatal(err)
		}
		server.Restart()
	})
	flushed := empties("was flushed", server.Flush)
	end := f.passToHalf()
	f.leave(a, b)

	// What waited until the registry's quarantine was over is missed but for the
	// latest, and the two nodes come back one after the other.
	missed := within(brief, span{tooLong.from.Add(-sessionTimeout), tooLong.to}, span{restarted.from.Add(-sessionTimeout), end})
	// What came due before the nodes noticed that the data was gone.
	forgotten := within(span{restarted.from, restarted.from.Add(sessionTimeout)}, span{flushed.from, flushed.from.Add(sessionTimeout)})
	for _, job := range jobs {
		if !job.unmonitors {
			f.checkNoOverlap(job)
		}
		f.check(job, end, exceptions{missed: missed, unknown: forgotten})
	}
}

//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// takeoverBound is far above the two seconds after the session timeout within
// which a dead node's items move; the measured time is logged.
const takeoverBound = sessionTimeout + 10*time.Second

// testKill kills one node that does not lead and then the one that does.
func testKill(f *fleet) {
	t := f.t
	f.on(redistest.Start(t))
	file := nodeFile{jobs: []jobFile{marked, unmarked, long}}
	nodes := []*process{f.start("a", file), f.start("b", file), f.start("c", file)}
	for _, job := range file.jobs {
		f.awaitShares(job, nodes...)
	}
	killed := func(isLeader bool) span {
		leader := f.leader()
		i := slices.IndexFunc(nodes, func(p *process) bool { return (p == leader) == isLeader })
		dead := nodes[i]
		nodes = slices.Delete(slices.Clone(nodes), i, i+1)
		return f.loses(dead, nodes...)
	}
	first := killed(false)
	second := killed(true)
	f.awaitAllRun(long, time.Now())
	end := f.passToHalf()
	f.leave(nodes...)

	missed := within(span{first.from.Add(-sessionTimeout), first.to}, span{second.from.Add(-sessionTimeout), second.to})
	// What an unmonitored job started after its node's last renewal nobody knows.
	doubtful := within(span{first.from.Add(-sessionTimeout), first.from}, span{second.from.Add(-sessionTimeout), second.from})
	f.check(marked, end, exceptions{missed: missed})
	f.check(unmarked, end, exceptions{missed: missed, doubtful: doubtful})
	f.check(long, end, exceptions{missed: missed})
}

// leader is the node that was last elected.
func (f *fleet) leader() *process {
	f.t.Helper()
	var leader *process
	f.until("a leader", func(records []record) bool {
		for _, r := range records {
			if r.Msg == "leader elected" {
				leader = r.node
			}
		}
		return leader != nil
	})
	return leader
}

// loses kills a node while its items run and waits until the survivors have
// them. It fails unless what ran is recorded as lost, and what came due
// meanwhile as one gap of each item. It returns the time from the death to the
// last adoption.
func (f *fleet) loses(dead *process, survivors ...*process) span {
	f.t.Helper()
	f.awaitHandOvers()
	running := dead.awaitRunning(long, logTime())
	f.passToHalfAfter(running.Time)
	owned := map[string][]int{}
	for _, job := range []jobFile{marked, unmarked, long} {
		owned[job.name] = dead.itemsNow(job)
	}
	gap := span{from: dead.kill()}
	for _, job := range []jobFile{marked, unmarked, long} {
		moved := f.awaitShares(job, survivors...)
		f.t.Logf("%s taken over %v after kill -9 of %s", job.name, moved.Sub(gap.from).Round(time.Millisecond), dead.name)
		if moved.After(gap.from.Add(takeoverBound)) {
			f.t.Errorf("%s was taken over %v after kill -9, want within %v", job.name, moved.Sub(gap.from), takeoverBound)
		}
		if moved.After(gap.to) {
			gap.to = moved
		}
	}
	for _, job := range []jobFile{marked, unmarked} {
		f.awaitAllRun(job, gap.to)
		f.checkGaps(job, gap, owned[job.name])
	}
	f.checkLost(dead, running.Run)
	return gap
}

// awaitHandOvers waits until no unmonitored item is on its way from a living node:
// what comes due on the way is not recorded when that node dies.
func (f *fleet) awaitHandOvers() {
	f.t.Helper()
	const handOver = sessionTimeout/3 + time.Second
	records, _ := f.book.all()
	_, adopted := shares(f.t, records, unmarked.name)
	f.pass(time.Until(adopted.Add(handOver)))
}

// checkLost fails unless everything of the job long that a dead node was running,
// items of the given run among it, is recorded as lost once.
func (f *fleet) checkLost(dead *process, run string) {
	f.t.Helper()
	var want, lost []string
	records, _ := f.book.all()
	instance := f.instance(dead)
	for _, r := range records {
		what := fmt.Sprintf("%s/%d of %s", r.Job, r.Item, r.Run)
		switch {
		case r.Job != long.name:
		case r.Msg == "item started" && r.node == dead:
			want = append(want, what)
		case r.Msg == "item finished" && r.node == dead:
			want = slices.DeleteFunc(want, func(started string) bool { return started == what })
		case r.Msg == "item lost" && r.From == instance:
			lost = append(lost, what)
		}
	}
	slices.Sort(want)
	slices.Sort(lost)
	if !slices.Equal(lost, want) || !slices.ContainsFunc(want, func(what string) bool { return strings.HasSuffix(what, run) }) {
		f.t.Errorf("lost with %s = %q, want %q, items of run %s among them", dead.name, lost, want, run)
	}
}

// instance is the id of a node.
func (f *fleet) instance(p *process) string {
	f.t.Helper()
	return p.await("session registered", func(r record) bool { return r.Msg == "session registered" }).Instance
}

// checkGaps fails unless each of the items has one record of the gap in which it
// had no living owner.
func (f *fleet) checkGaps(job jobFile, gap span, items []int) {
	f.t.Helper()
	records, _ := f.book.all()
	found := make(map[int][]record)
	for _, r := range records {
		if r.Msg == "item misfired" && r.Job == job.name && r.Reason == "owner-lost" && timeOf(f.t, r.To).After(gap.from) && !timeOf(f.t, r.From).After(gap.to) {
			found[r.Item] = append(found[r.Item], r)
		}
	}
	for item := range job.items {
		want := 0
		if slices.Contains(items, item) {
			want = 1
		}
		if got := len(found[item]); got != want {
			f.t.Errorf("records of the gap of %s item %d = %d, want %d: %+v", job.name, item, got, want, found[item])
		}
	}
}

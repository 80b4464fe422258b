//go:build unix

package chaos_test

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// patience is how long a fleet may take for what it must do. It only ends rounds
// that have failed.
const patience = 90 * time.Second

// fleet is a Redis and the nodes on it.
type fleet struct {
	t        *testing.T
	specs    []jobSpec
	book     *book
	redis    *redistest.Server
	replica  *redistest.Server    // of redis, if there are Sentinels
	watchers *redistest.Sentinels // if any
	resource *resource
	proxies  [slots]*proxy
	nodes    [slots]*process // that live
	all      []*process      // that ever were
	ills     []ill
	quiet    time.Time
}

// ill is a fault that has happened.
type ill struct {
	fault
	span
}

func (i ill) String() string {
	who := fmt.Sprintf("nodes %d-", i.slot)
	if i.slot == noSlot {
		who = "Redis"
	}
	return fmt.Sprintf("%s of %s from %s to %s", i.kind, who, clock(i.from), clock(i.to))
}

func newFleet(t *testing.T, specs []jobSpec) *fleet {
	t.Helper()
	f := &fleet{t: t, specs: specs, book: &book{}, redis: redistest.Start(t, redistest.AppendOnly()), resource: newResource(t)}
	if *sentinel {
		f.replica = redistest.StartReplica(t, f.redis, redistest.AppendOnly())
		f.watchers = redistest.StartSentinels(t, "chaos", f.redis, 3)
	}
	for i := range f.proxies {
		f.proxies[i] = newProxy(t, f.redis.Addr())
	}
	return f
}

// live runs the fleet through the plan, then until all is well, and ends it.
func (f *fleet) live(p plan) {
	f.t.Helper()
	for slot := range spare {
		f.start(slot)
	}
	f.until("all items have run", func() string { return f.unrun(time.Time{}) })
	began := time.Now()
	happened := map[fault]time.Time{}
	for _, c := range p.changes() {
		f.pass(time.Until(began.Add(c.when())))
		if c.isEnd {
			f.ills = append(f.ills, ill{c.fault, span{happened[c.fault], f.undo(c.fault)}})
		} else {
			happened[c.fault] = f.do(c.fault)
		}
	}
	f.quiet = time.Now()
	f.until("all items run again, and what had died as well", func() string {
		if why := f.unrun(f.quiet); why != "" {
			return why
		}
		if died := unfinished(f.history()); len(died) > 0 {
			return died[0].String()
		}
		return strings.Join(unfollowed(f.history()), ", ")
	})
	for slot := range f.nodes {
		if f.nodes[slot] != nil {
			f.stop(slot)
		}
	}
	for _, p := range f.all {
		f.await(p)
	}
}

// start starts a node in a slot.
func (f *fleet) start(slot int) {
	f.t.Helper()
	name := fmt.Sprintf("%d-%d", slot, len(f.all))
	center := fmt.Sprintf("serverLists: %q", f.proxies[slot].addr())
	if f.watchers != nil {
		center = fmt.Sprintf("serverLists: %q, masterName: %s", strings.Join(f.watchers.Addrs(), ","), f.watchers.Name())
	}
	p := startProcess(f.t, f.book, name, nodeFile(center, f.specs), f.resource.server.URL)
	f.nodes[slot], f.all = p, append(f.all, p)
}

// stop tells a node to stop.
func (f *fleet) stop(slot int) {
	f.t.Helper()
	p := f.nodes[slot]
	p.left = p.signal(syscall.SIGTERM)
	f.nodes[slot] = nil
}

// await waits until a node has ended, with status 0 unless it was killed.
func (f *fleet) await(p *process) {
	f.t.Helper()
	select {
	case <-p.Ended():
	case <-time.After(patience):
		f.t.Fatalf("node %s does not end", p.name)
	}
	if got := p.ExitCode(); got != 0 && p.killed.IsZero() {
		f.t.Errorf("status of node %s = %d, want 0", p.name, got)
	}
}

// do begins a fault and returns when.
func (f *fleet) do(ft fault) time.Time {
	f.t.Helper()
	at := time.Now()
	switch ft.kind {
	case kill:
		p := f.nodes[ft.slot]
		p.killed = p.signal(syscall.SIGKILL)
		f.nodes[ft.slot] = nil
		<-p.Ended()
	case pause:
		p := f.nodes[ft.slot]
		p.pauses = append(p.pauses, span{from: p.signal(syscall.SIGSTOP)})
	case refuse, hang, mute:
		f.proxies[ft.slot].set(ft.kind, 0)
	case slow:
		f.proxies[ft.slot].set(slow, slowBy)
	case roll:
		f.stop(ft.slot)
	case join:
		f.start(ft.slot)
	case restart:
		f.redis.Kill()
	case promote:
		// To where nobody answers: it stays a replica, of what it has.
		f.follow(f.replica, "127.0.0.1", "1")
	}
	return at
}

// slowBy is how much slower the way of a node is in each direction.
const slowBy = 80 * time.Millisecond

// undo ends a fault and returns when.
func (f *fleet) undo(ft fault) time.Time {
	f.t.Helper()
	switch ft.kind {
	case kill, roll:
		f.start(ft.slot)
	case pause:
		p := f.nodes[ft.slot]
		p.pauses[len(p.pauses)-1].to = p.signal(syscall.SIGCONT)
	case refuse, hang, mute, slow:
		f.proxies[ft.slot].set("", 0)
	case join:
		f.stop(ft.slot)
	case restart:
		f.redis.Restart()
	case promote:
		f.redis.Kill()
		f.watchers.AwaitMaster(f.replica)
		f.redis, f.replica = f.replica, f.redis
		f.replica.Restart()
		host, port, err := net.SplitHostPort(f.redis.Addr())
		if err != nil {
			f.t.Fatal(err)
		}
		f.follow(f.replica, host, port)
	}
	return time.Now()
}

// follow makes a server the replica of another.
func (f *fleet) follow(s *redistest.Server, host, port string) {
	f.t.Helper()
	if err := s.Client().ReplicaOf(f.t.Context(), host, port).Err(); err != nil {
		f.t.Fatalf("making %s a replica of %s:%s: %v", s.Addr(), host, port, err)
	}
}

// pass lets the fleet run for a while.
func (f *fleet) pass(d time.Duration) {
	f.t.Helper()
	select {
	case <-time.After(d):
	case <-f.t.Context().Done():
		f.t.Fatal(f.t.Context().Err())
	}
}

// until waits until nothing is missing any more, while all nodes live.
func (f *fleet) until(what string, missing func() string) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); ; f.pass(100 * time.Millisecond) {
		why := missing()
		if why == "" {
			return
		}
		for _, p := range f.nodes {
			if p != nil && p.IsGone() {
				f.t.Fatalf("node %s has ended with status %d; its log:\n%s", p.name, p.ExitCode(), f.book.logOf(p))
			}
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("after %v there is still not: %s: %s", patience, what, why)
		}
	}
}

// unrun says which items of jobs have not begun and ended for an instant after a
// time on a node that lives; "" when there is none.
func (f *fleet) unrun(since time.Time) string {
	_, notes := f.book.all()
	ran := map[place]bool{}
	for _, n := range notes {
		if n.IsEnd && n.Cause == success && instantOf(n.Run).After(since) && !n.node.IsGone() {
			ran[place{n.Job, n.Item}] = true
		}
	}
	var missing []string
	for _, spec := range f.specs {
		for item := range spec.items {
			if !ran[place{spec.name, item}] {
				missing = append(missing, place{spec.name, item}.String())
			}
		}
	}
	return strings.Join(missing, " ")
}

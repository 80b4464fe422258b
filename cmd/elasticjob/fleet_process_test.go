//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
	"github.com/elasticjob-go/elasticjob/core/service/processtest"
)

// fleetPatience is how long a fleet may take for what it must do. It only ends
// tests that have failed.
const fleetPatience = 60 * time.Second

// fleet is a Redis and the node processes on it.
type fleet struct {
	t      *testing.T
	book   *book
	center regCenter
	nodes  []*process // all that ever were
}

// newFleet returns a fleet without nodes. When the test fails each node shows the
// end of its log.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	return &fleet{t: t, book: &book{changed: make(chan struct{})}}
}

// on says on which server nodes that are started meet.
func (f *fleet) on(server *redistest.Server) { f.center = regCenter{servers: server.Addr()} }

// process is one node.
type process struct {
	*processtest.Process

	fleet *fleet
	name  string
	lines bytes.Buffer // of its log, guarded by the lock of the book
	out   bytes.Buffer // its standard output, to be read once it has ended
}

// start starts a node with the file, without waiting for anything.
func (f *fleet) start(name string, file nodeFile) *process {
	f.t.Helper()
	path, err := exec.LookPath("elasticjob")
	if err != nil {
		f.t.Fatal(err)
	}
	dir := f.t.TempDir()
	config := filepath.Join(dir, "elasticjob.yaml")
	if err := os.WriteFile(config, []byte(file.yaml(f.center)), 0o600); err != nil {
		f.t.Fatal(err)
	}
	p := &process{fleet: f, name: name}
	cmd := exec.Command(path, "run", "-c", config, "--log-format", "json", "--data-dir", filepath.Join(dir, "data")) //nolint:noctx // ended by the cleanup
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TZ=UTC", "GORACE=" + os.Getenv("GORACE")}
	cmd.Stdout, cmd.Stderr = &p.out, &processtest.Lines{Take: p.note}
	if p.Process, err = processtest.Run(cmd); err != nil {
		f.t.Fatal(err)
	}
	go func() {
		<-p.Ended()
		f.book.wake()
	}()
	f.nodes = append(f.nodes, p)
	f.t.Cleanup(p.cleanUp)
	return p
}

// up starts a node and waits until it is a member of the fleet.
func (f *fleet) up(name string, file nodeFile) *process {
	f.t.Helper()
	p := f.start(name, file)
	p.await("node started", func(r record) bool { return r.Msg == "node started" })
	return p
}

// cleanUp ends the node if it still runs, and shows its log if the test failed.
func (p *process) cleanUp() {
	if err := p.Kill(); err != nil {
		p.fleet.t.Error(err)
		return
	}
	log := p.text()
	if strings.Contains(log, "DATA RACE") || p.ExitCode() == 66 {
		p.fleet.t.Errorf("node %s has a data race:\n%s", p.name, log)
		return
	}
	if p.fleet.t.Failed() {
		p.fleet.t.Logf("the log of node %s (pid %d) ends with:\n%s", p.name, p.PID(), tail(log, 60))
	}
}

func tail(text string, lines int) string {
	all := strings.SplitAfter(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}

// text is the node's log as it was written.
func (p *process) text() string {
	p.fleet.book.mu.Lock()
	defer p.fleet.book.mu.Unlock()
	return p.lines.String()
}

// note takes a line of the node's log.
func (p *process) note(line []byte) {
	r := record{node: p}
	if json.Unmarshal(line, &r) != nil {
		r.Msg = string(line)
	}
	book := p.fleet.book
	book.mu.Lock()
	p.lines.Write(line)
	p.lines.WriteByte('\n')
	book.records = append(book.records, r)
	book.mu.Unlock()
	book.wake()
}

// logTime is the time as records have it, so that what is logged from now on is
// not before it.
func logTime() time.Time { return time.Now().Truncate(time.Millisecond) }

// signal sends a signal and returns when.
func (p *process) signal(s os.Signal) time.Time {
	p.fleet.t.Helper()
	at := logTime()
	if err := p.Signal(s); err != nil {
		p.fleet.t.Fatalf("sending %v to node %s: %v", s, p.name, err)
	}
	return at
}

// kill ends the node as a crash does and returns when.
func (p *process) kill() time.Time {
	p.fleet.t.Helper()
	at := p.signal(os.Kill)
	<-p.Ended()
	return at
}

// wait waits until the node has ended with the status.
func (p *process) wait(status int) {
	p.fleet.t.Helper()
	select {
	case <-p.Ended():
	case <-time.After(fleetPatience):
		p.fleet.t.Fatalf("node %s does not end", p.name)
	}
	if got := p.ExitCode(); got != status {
		p.fleet.t.Fatalf("status of node %s = %d, want %d", p.name, got, status)
	}
}

// leave stops nodes one after the other, as an operator does.
func (f *fleet) leave(nodes ...*process) {
	f.t.Helper()
	for _, p := range nodes {
		p.signal(syscall.SIGTERM)
		p.wait(0)
	}
}

// await waits for a record of the node and returns the first.
func (p *process) await(what string, match func(record) bool) record {
	p.fleet.t.Helper()
	return p.awaitSince(time.Time{}, what, match)
}

// awaitSince is await for records that were not written before a time.
func (p *process) awaitSince(since time.Time, what string, match func(record) bool) record {
	p.fleet.t.Helper()
	var found record
	p.fleet.until(fmt.Sprintf("%s on node %s", what, p.name), func(records []record) bool {
		for _, r := range records {
			if r.node == p && !r.Time.Before(since) && match(r) {
				found = r
				return true
			}
		}
		if p.IsGone() {
			p.fleet.t.Fatalf("node %s has ended with status %d, want it to log %s", p.name, p.ExitCode(), what)
		}
		return false
	})
	return found
}

// until waits until all records so far meet the condition.
func (f *fleet) until(what string, isMet func([]record) bool) {
	f.t.Helper()
	deadline := time.After(fleetPatience)
	for {
		records, changed := f.book.all()
		if isMet(records) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			f.t.Fatalf("after %v there is still not: %s", fleetPatience, what)
		}
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

// passToHalf lets the fleet run until no job is about to fire: half a second
// after the last full one. It returns that full second.
func (f *fleet) passToHalf() time.Time {
	f.t.Helper()
	half := time.Now().Add(500 * time.Millisecond).Truncate(time.Second).Add(500 * time.Millisecond)
	f.pass(time.Until(half))
	return half.Truncate(time.Second)
}

// book is what the nodes of a fleet have logged, in the order in which it was
// read.
type book struct {
	mu      sync.Mutex
	records []record
	changed chan struct{} // closed when there is something new
}

func (b *book) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
}

// all returns the records so far and a channel that is closed when there are
// more.
func (b *book) all() ([]record, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clip(b.records), b.changed
}

// record is one record of a node's log. A line that is no record has only Msg.
type record struct {
	node *process

	Time       time.Time `json:"time"`
	Level      string    `json:"level"`
	Msg        string    `json:"msg"`
	Instance   string    `json:"instance"`
	Job        string    `json:"job"`
	Item       int       `json:"item"`
	Items      string    `json:"items"`
	Generation string    `json:"generation"`
	Run        string    `json:"run"`
	Source     string    `json:"source"`
	Late       int64     `json:"late"`
	Outcome    string    `json:"outcome"`
	Code       int       `json:"code"`
	Reason     string    `json:"reason"`
	Count      int       `json:"count"`
	From       string    `json:"from"` // an instant or an instance
	To         string    `json:"to"`
	Keys       string    `json:"keys"`
}

//go:build unix

package chaos_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/service/processtest"
)

// process is one life of a node.
type process struct {
	*processtest.Process

	t    *testing.T
	name string
	book *book

	// What the test has done to it, to be read when it has ended.
	killed time.Time
	left   time.Time // when it was told to stop
	pauses []span
}

// span is a stretch of time.
type span struct{ from, to time.Time }

// overlaps says that both have a time in common.
func (s span) overlaps(o span) bool { return s.from.Before(o.to) && o.from.Before(s.to) }

// startProcess starts a node with a file.
func startProcess(t *testing.T, b *book, name, file, resource string) *process {
	t.Helper()
	path := filepath.Join(t.TempDir(), "elasticjob.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, name: name, book: b}
	cmd := exec.Command(self, nodeCommand, path, resource) //nolint:noctx // ended by the cleanup
	cmd.Env = []string{"TZ=UTC", "HOME=" + filepath.Dir(path), "GORACE=" + os.Getenv("GORACE")}
	cmd.Stdout, cmd.Stderr = &processtest.Lines{Take: p.note}, &processtest.Lines{Take: p.log}
	if p.Process, err = processtest.Run(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
		if log := b.logOf(p); t.Failed() && testing.Verbose() || strings.Contains(log, "DATA RACE") {
			t.Logf("the log of %s:\n%s", name, log)
		}
	})
	return p
}

// signal sends a signal and returns when.
func (p *process) signal(s os.Signal) time.Time {
	p.t.Helper()
	at := time.Now()
	if err := p.Signal(s); err != nil {
		p.t.Fatalf("sending %v to node %s: %v", s, p.name, err)
	}
	return at
}

// note takes a line of the standard output.
func (p *process) note(line []byte) {
	var n note
	if err := json.Unmarshal(line, &n); err != nil {
		p.t.Errorf("node %s writes %q: %v", p.name, line, err)
		return
	}
	p.book.mu.Lock()
	defer p.book.mu.Unlock()
	p.book.notes = append(p.book.notes, noted{n, p})
}

// log takes a line of the log.
func (p *process) log(line []byte) {
	r := record{node: p}
	if json.Unmarshal(line, &r) != nil {
		r.Msg = string(line)
	}
	p.book.mu.Lock()
	defer p.book.mu.Unlock()
	r.text = string(line)
	p.book.records = append(p.book.records, r)
}

// record is a record of a node's log; see docs/reference/log.md. A line that is
// none has only Msg.
type record struct {
	node *process
	text string

	Time       time.Time `json:"time"`
	Msg        string    `json:"msg"`
	Instance   string    `json:"instance"`
	Job        string    `json:"job"`
	Item       int       `json:"item"`
	Items      string    `json:"items"`
	Generation string    `json:"generation"`
	Run        string    `json:"run"`
	Source     string    `json:"source"`
	Reason     string    `json:"reason"`
	From       string    `json:"from"` // an instant or an instance
	To         string    `json:"to"`
}

// noted is a note and whose it is.
type noted struct {
	note
	node *process
}

// book is what the nodes have said so far.
type book struct {
	mu      sync.Mutex
	records []record
	notes   []noted
}

// all is a copy of it.
func (b *book) all() ([]record, []noted) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.records), slices.Clone(b.notes)
}

// logOf is the log of a node.
func (b *book) logOf(p *process) string {
	records, _ := b.all()
	var text strings.Builder
	for _, r := range records {
		if r.node == p {
			text.WriteString(r.text + "\n")
		}
	}
	return text.String()
}

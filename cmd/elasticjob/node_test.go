package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a story waits for what must happen. It only ends tests
// that have failed.
const patience = 90 * time.Second

type nodeKey struct{}

// node is the node of a story.
type node struct {
	cmd     *exec.Cmd
	out     bytes.Buffer
	log     watched
	done    chan struct{}
	waitErr error
}

// kill ends what a story has left running.
func (n *node) kill() {
	if n.cmd != nil {
		_ = n.cmd.Process.Kill() // gone already in most stories
		<-n.done
	}
}

// cmdNode controls one elasticjob in the background:
//
//	node start ARGS…    start it
//	node until REGEXP   wait until its stderr has a match
//	node signal NAME    send INT, TERM or HUP
//	node wait STATUS    wait until it ends; its output is in node.out and node.err
func cmdNode(ts *testscript.TestScript, neg bool, args []string) {
	n, ok := ts.Value(nodeKey{}).(*node)
	if neg || !ok || len(args) < 2 {
		ts.Fatalf("usage: node start ARGS… | until REGEXP | signal NAME | wait STATUS")
	}
	if args[0] == "start" {
		ts.Check(n.start(ts, args[1:]))
		return
	}
	if n.cmd == nil {
		ts.Fatalf("no node was started")
	}
	switch args[0] {
	case "until":
		expr, err := regexp.Compile(args[1])
		ts.Check(err)
		if !n.log.until(expr, n.done) {
			ts.Fatalf("the node never logged %q:\n%s", args[1], n.log.text())
		}
	case "signal":
		signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}
		ts.Check(n.cmd.Process.Signal(signals[args[1]]))
	case "wait":
		want, err := strconv.Atoi(args[1])
		ts.Check(err)
		n.wait(ts, want)
	default:
		ts.Fatalf("node has no %q", args[0])
	}
}

func (n *node) start(ts *testscript.TestScript, args []string) error {
	if n.cmd != nil {
		return errors.New("a story has one node")
	}
	path, err := exec.LookPath("elasticjob")
	if err != nil {
		return err
	}
	n.cmd = exec.Command(path, args...) //nolint:noctx // ended by kill
	n.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ", "XDG_STATE_HOME", "GORACE"} {
		if value := ts.Getenv(name); value != "" {
			n.cmd.Env = append(n.cmd.Env, name+"="+value)
		}
	}
	n.log.changed = make(chan struct{}, 1)
	n.cmd.Stdout, n.cmd.Stderr = &n.out, &n.log
	if err := n.cmd.Start(); err != nil {
		return err
	}
	n.done = make(chan struct{})
	go func() {
		n.waitErr = n.cmd.Wait()
		close(n.done)
	}()
	return nil
}

func (n *node) wait(ts *testscript.TestScript, want int) {
	select {
	case <-n.done:
	case <-time.After(patience):
		ts.Fatalf("the node does not end:\n%s", n.log.text())
	}
	for name, content := range map[string][]byte{"node.out": n.out.Bytes(), "node.err": []byte(n.log.text())} {
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs("."), name), content, 0o600))
	}
	if got := n.cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("status of the node = %d (%v), want %d:\n%s", got, n.waitErr, want, n.log.text())
	}
}

// watched is a log that can be waited on.
type watched struct {
	mu      sync.Mutex
	content bytes.Buffer

	changed chan struct{} // holds a token when there is something new
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.content.Write(p)
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (w *watched) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.content.String()
}

// until reports whether the log has a match before its writer is done.
func (w *watched) until(expr *regexp.Regexp, done <-chan struct{}) bool {
	deadline := time.After(patience)
	for {
		if expr.MatchString(w.text()) {
			return true
		}
		select {
		case <-w.changed:
		case <-done:
			return expr.MatchString(w.text())
		case <-deadline:
			return false
		}
	}
}

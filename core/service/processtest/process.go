// Package processtest runs programs for tests: real servers, and nodes.
//
// A process ends when its test says so and, on Linux, when the process of the
// test is killed.
package processtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// outputLimit bounds what is kept of a process's output: its end.
const outputLimit = 64 << 10

// Process is one running program. Its methods are safe for concurrent use.
type Process struct {
	cmd    *exec.Cmd
	output *output
	ended  chan struct{}
	err    error // of the process, once ended is closed
}

// Launch runs the program. The caller waits for its end: see [Process.Kill].
func Launch(program string, args ...string) (*Process, error) {
	return start(exec.CommandContext(context.Background(), program, args...))
}

// LaunchAs is Launch in the name of an account and in a directory, which is its.
func LaunchAs(account Account, dir, program string, args ...string) (*Process, error) {
	cmd := exec.CommandContext(context.Background(), program, args...)
	cmd.Dir = dir
	account.runAs(cmd)
	return start(cmd)
}

// Run runs a command that the caller has made. What it writes is kept unless the
// command says where it goes.
func Run(cmd *exec.Cmd) (*Process, error) { return start(cmd) }

// start runs the command. The goroutine that starts it also waits for it, locked
// to its thread: Linux kills the child when the thread that made it ends, and
// that is to be when the test does, not before.
func start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, output: newOutput(), ended: make(chan struct{})}
	if cmd.Stdout == nil && cmd.Stderr == nil {
		cmd.Stdout, cmd.Stderr = p.output, p.output
	}
	// A child of the server may hold the output open.
	p.cmd.WaitDelay = time.Second
	dieWithParent(p.cmd)
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	return p, nil
}

// PID is the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal to the process; that it is gone is no error.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signaling process %d: %w", p.PID(), err)
	}
	return nil
}

// Kill ends the process at once and waits until it is gone.
func (p *Process) Kill() error {
	if err := p.Signal(os.Kill); err != nil {
		return err
	}
	<-p.ended
	return nil
}

// Ended returns a channel that is closed when the process is gone.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err is how the process ended, nil before.
func (p *Process) Err() error {
	if p.IsGone() {
		return p.err
	}
	return nil
}

// IsGone says that the process has ended.
func (p *Process) IsGone() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// ExitCode is the status that the process ended with, -1 before that and when a
// signal has ended it.
func (p *Process) ExitCode() int {
	if p.IsGone() {
		return p.cmd.ProcessState.ExitCode()
	}
	return -1
}

// Says returns a channel that is closed once the words are in the output.
func (p *Process) Says(words string) <-chan struct{} { return p.output.says(words) }

// Output is the end of what the process has written.
func (p *Process) Output() string { return p.output.String() }

// output keeps the end of what a process writes and tells when it has said
// something.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	waiting map[string]chan struct{}
}

func newOutput() *output { return &output{waiting: make(map[string]chan struct{})} }

// Write never fails.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(b)
	for words, heard := range o.waiting {
		if strings.Contains(o.text.String(), words) {
			close(heard)
			delete(o.waiting, words)
		}
	}
	if over := o.text.Len() - outputLimit; over > 0 {
		o.text.Next(over)
	}
	return len(b), nil
}

// says returns a channel that is closed once the words are in the output.
func (o *output) says(words string) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	heard := make(chan struct{})
	if strings.Contains(o.text.String(), words) {
		close(heard)
	} else {
		o.waiting[words] = heard
	}
	return heard
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

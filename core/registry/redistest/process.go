package redistest

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

// outputLimit bounds what is kept of a server's output: its end.
const outputLimit = 64 << 10

// process is one running server.
type process struct {
	cmd    *exec.Cmd
	output *output
	ended  chan struct{} // closed when the process is gone
	err    error         // of the process, once ended is closed
}

// launch runs the program. The goroutine that starts it also waits for it,
// locked to its thread: Linux kills the child when the thread that made it
// ends, and that is to be when the test does, not before.
func launch(program string, args ...string) (*process, error) {
	p := &process{output: newOutput(), ended: make(chan struct{})}
	p.cmd = exec.CommandContext(context.Background(), program, args...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	// A child of the server, which saves its data, may hold the output open.
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
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	return p, nil
}

// signal sends a signal to the process; that it is gone is no error.
func (p *process) signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signaling process %d: %w", p.cmd.Process.Pid, err)
	}
	return nil
}

// isGone says that the process has ended.
func (p *process) isGone() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

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

package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin/runner"

	"github.com/elasticjob-go/elasticjob/internal/reaper"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// maxHandshake bounds the line by which a program says where it listens; it
// holds a certificate.
const maxHandshake = 16 << 10

// drainTime is how long the output of a program is read after its end, in case
// something that it has started holds it open.
const drainTime = 200 * time.Millisecond

// process is one run of a program. go-plugin speaks to it through this, instead
// of to an exec.Cmd, so that output is bounded, whole process groups are ended,
// and nothing waits for a grandchild.
type process struct {
	cmd      *exec.Cmd
	launcher *launcher
	reaper   *reaper.Reaper
	out      *outlet
	lifeline *os.File // the other end of the program's standard input

	toPlugin *io.PipeReader // the handshake
	noStderr *io.PipeReader // stays empty: standard error is read here

	reaped chan struct{} // closed when the program has ended
	exited chan struct{} // closed when its output was read too, and nothing below changes any more
	err    error         // of waiting

	mu        sync.Mutex
	running   bool // the process id is its own
	handshake error
	ended     bool   // by this host
	reason    string // for which it was ended, if there is one
}

var _ runner.Runner = (*process)(nil)

func newProcess(h *Host, i *image, path string, env []string, out *outlet) *process {
	cmd := &exec.Cmd{Path: i.path, Args: []string{path}, Env: env, SysProcAttr: ownGroup()}
	return &process{cmd: cmd, launcher: h.launcher, reaper: h.reaper, out: out, reaped: make(chan struct{}), exited: make(chan struct{})}
}

// Start starts the program and the reading of its output.
func (p *process) Start(context.Context) (err error) {
	var files []*os.File
	pipe := func() (r, w *os.File) {
		if err == nil {
			r, w, err = os.Pipe()
			files = append(files, r, w)
		}
		return r, w
	}
	stdin, lifeline := pipe()
	stdout, stdoutEnd := pipe()
	stderr, stderrEnd := pipe()
	if err == nil {
		p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, stdoutEnd, stderrEnd
		err = p.launcher.start(p.cmd)
	}
	if err != nil {
		for _, f := range files {
			_ = f.Close() // nil is no mistake either
		}
		return err
	}
	_, _, _ = stdin.Close(), stdoutEnd.Close(), stderrEnd.Close() // the program has its own
	p.lifeline = lifeline
	p.reaper.Add(p.cmd.Process.Pid)
	p.begun()

	handshake, toPlugin := io.Pipe()
	noStderr, endStderr := io.Pipe()
	p.toPlugin, p.noStderr = handshake, noStderr
	var readers sync.WaitGroup
	readers.Go(func() { p.readStdout(stdout, toPlugin) })
	readers.Go(func() { p.readStderr(stderr) })
	go func() {
		p.wait()
		end := time.Now().Add(drainTime)
		_, _ = stdout.SetReadDeadline(end), stderr.SetReadDeadline(end)
		// Whoever reads the handshake must not be kept from reading the end.
		readers.Wait()
		p.out.finish()
		_, _, _ = stdout.Close(), stderr.Close(), lifeline.Close()
		close(p.exited)
		_, _ = toPlugin.Close(), endStderr.Close()
	}()
	return nil
}

// wait returns when the program has ended, and ends what it leaves in its
// process group.
func (p *process) wait() {
	var err error
	if !waitExited(p.cmd.Process) {
		err = p.cmd.Wait()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = killGroup(p.cmd.Process) // nobody is left, mostly
	p.reaper.Remove(p.cmd.Process.Pid)
	if p.cmd.ProcessState == nil {
		err = p.cmd.Wait()
	}
	p.err = err
	p.running = false
	close(p.reaped)
}

// readStdout passes the first line on to go-plugin, if it is a handshake, and
// the others to the log.
func (p *process) readStdout(stdout io.Reader, toPlugin *io.PipeWriter) {
	rest := &lines{out: p.out, stream: spi.StreamStdout}
	defer rest.finish()
	source := bufio.NewReaderSize(stdout, maxHandshake)
	first, err := source.ReadSlice('\n')
	switch {
	case err == nil:
		err = checkHandshake(string(bytes.TrimSpace(first)))
	case len(first) > 0:
		err = errors.New("it wrote " + strconv.Quote(wire.Cut(string(first), 200)) + " instead of a handshake")
	default:
		err = errors.New("it ended without a handshake on its standard output")
		// Its exit status says more than that it was killed.
		select {
		case <-p.reaped:
		case <-time.After(drainTime):
		}
	}
	if err != nil {
		p.mu.Lock()
		p.handshake = err
		p.mu.Unlock()
		_, _ = rest.Write(first)
		p.end("")
	} else if _, err := toPlugin.Write(first); err != nil {
		p.end("")
	}
	_, _ = io.Copy(rest, source)
}

func (p *process) readStderr(stderr io.Reader) {
	all := &lines{out: p.out, stream: spi.StreamStderr}
	defer all.finish()
	_, _ = io.Copy(all, stderr)
}

// begun lets the process be ended, and does so if that was wanted before.
func (p *process) begun() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = true
	if p.ended {
		_ = killGroup(p.cmd.Process) // its own end is as good
	}
}

// end ends the whole process group at once, or as soon as it starts. The first
// reason counts.
func (p *process) end(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.reaped:
		return
	default:
	}
	p.ended = true
	if p.reason == "" {
		p.reason = reason
	}
	if p.running {
		_ = killGroup(p.cmd.Process) // its own end is as good
	}
}

// ending reports whether the process has ended, or will soon.
func (p *process) ending() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended || !p.running
}

// ask asks the program to end, in the way of its system.
func (p *process) ask() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running {
		_ = terminate(p.cmd.Process) // it is ended anyway, soon
	}
}

// Wait returns when the program has ended and all its output was read.
func (p *process) Wait(context.Context) error {
	<-p.exited
	return p.err
}

// Kill ends the process group.
func (p *process) Kill(context.Context) error {
	p.end("")
	return nil
}

// how says how the program ended, with the end of its standard error.
func (p *process) how() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var text string
	switch {
	case p.reason != "":
		text = p.reason
	case p.handshake != nil:
		text = p.handshake.Error()
		if !p.ended {
			text += " (" + p.cmd.ProcessState.String() + ")"
		}
	default:
		text = "it ended with " + p.cmd.ProcessState.String()
	}
	if last := p.out.lastErrors(); last != "" {
		text += "; it said last:\n" + last
	}
	return text
}

// Stdout is the handshake.
func (p *process) Stdout() io.ReadCloser { return p.toPlugin }

// Stderr is empty: standard error is not go-plugin's to read.
func (p *process) Stderr() io.ReadCloser { return p.noStderr }

// Name is the path of the program.
func (p *process) Name() string { return p.cmd.Args[0] }

// ID is the process id, "" before there is one.
func (p *process) ID() string {
	if p.cmd.Process == nil {
		return ""
	}
	return strconv.Itoa(p.cmd.Process.Pid)
}

// Diagnose knows no more than what how says.
func (p *process) Diagnose(context.Context) string { return "" }

// PluginToHost changes no address: the program is on this machine.
func (p *process) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin changes no address.
func (p *process) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

package script

import (
	"context"
	"errors"
	"os"
	"os/exec"
	goruntime "runtime"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/internal/reaper"
	"github.com/elasticjob-go/elasticjob/spi"
)

const (
	// hurriedGrace bounds the grace when the node stops or another node may run
	// the item soon.
	hurriedGrace = time.Second
	// drainTime is how long output is read after the end of the process group, in
	// case something that has left the group holds it open.
	drainTime = time.Second
)

// run is one run of a program. It is used by one goroutine.
type run struct {
	cmd    *exec.Cmd
	group  *group
	reaper *reaper.Reaper
	out    *output
	grace  time.Duration

	stdout, stderr *os.File // to read from
}

// start starts the program. It binds the goroutine to its thread, which wait
// undoes: on Linux the kernel ends the program when that thread ends, so that it
// does not outlive the node. Standard input is empty.
func (r *run) start() (err error) {
	var files []*os.File
	pipe := func() (from, to *os.File) {
		if err == nil {
			from, to, err = os.Pipe()
			files = append(files, from, to)
		}
		return from, to
	}
	stdout, stdoutEnd := pipe()
	stderr, stderrEnd := pipe()
	if err == nil {
		r.cmd.Stdout, r.cmd.Stderr = stdoutEnd, stderrEnd
		goruntime.LockOSThread()
		if err = r.group.start(); err != nil {
			goruntime.UnlockOSThread()
		}
	}
	if err != nil {
		for _, f := range files {
			_ = f.Close() // nil is no mistake either
		}
		return err
	}
	_, _ = stdoutEnd.Close(), stderrEnd.Close() // the program has its own
	r.stdout, r.stderr = stdout, stderr
	r.reaper.Add(r.cmd.Process.Pid)
	return nil
}

// wait returns when the process group has ended, and reports whether that was
// because ctx did.
func (r *run) wait(ctx context.Context) (interrupted bool) {
	defer goruntime.UnlockOSThread()
	var readers, others sync.WaitGroup
	readers.Go(func() { r.out.read(spi.StreamStdout, r.stdout) })
	readers.Go(func() { r.out.read(spi.StreamStderr, r.stderr) })
	exited, silent := make(chan struct{}), make(chan struct{})
	others.Go(func() { readers.Wait(); close(silent) })
	ended := make(chan struct{})
	others.Go(func() {
		interrupted = r.watch(ctx, exited, silent)
		close(ended)
	})
	r.group.await()
	close(exited)
	<-ended
	r.reaper.Remove(r.cmd.Process.Pid)
	r.group.reap()
	deadline := time.Now().Add(drainTime)
	_, _ = r.stdout.SetReadDeadline(deadline), r.stderr.SetReadDeadline(deadline)
	others.Wait()
	r.out.finish()
	_, _ = r.stdout.Close(), r.stderr.Close()
	return interrupted
}

// watch ends the process group: what is left of it when the program has exited,
// or all of it when ctx ends. Then the group is asked first, and has the grace to
// exit and to close its output, by which the end of the last of its processes
// shows. The id of the group stays its own until all of this is over.
func (r *run) watch(ctx context.Context, exited, silent <-chan struct{}) (interrupted bool) {
	defer r.group.kill()
	select {
	case <-exited:
		return false
	case <-ctx.Done():
	}
	grace := r.grace
	if !errors.Is(context.Cause(ctx), spi.ErrTimeout) {
		grace = min(grace, hurriedGrace)
	}
	if grace <= 0 || !r.group.terminate() {
		return true
	}
	over := time.NewTimer(grace)
	defer over.Stop()
	for exited != nil || silent != nil {
		select {
		case <-exited:
			exited = nil
		case <-silent:
			silent = nil
		case <-over.C:
			return true
		}
	}
	return true
}

//go:build unix

// Package reaper ends process groups that a process leaves behind when it ends
// without having ended them itself, as after a kill -9. The programs of plugins
// and the scripts of jobs are under its eyes.
package reaper

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// script learns from its standard input which process groups live, and ends those
// that are left when the other side is gone and the input ends with it.
const script = `
trap '' HUP INT TERM
live=
while read -r op group; do
	left=
	for g in $live; do
		[ "$g" = "$group" ] || left="$left $g"
	done
	live=$left
	[ "$op" = - ] || live="$live $group"
done
for g in $live; do
	kill -s KILL -- "-$g" 2>/dev/null
done
`

// Reaper is a small process, a shell, that ends process groups when this process
// is gone, however it ended. It starts with the first group. Where there is no
// shell, or it cannot be started, groups end as the system ends them. It is safe
// for concurrent use.
type Reaper struct {
	mu     sync.Mutex // held while it is told, which takes no longer than tellTime
	groups map[int]struct{}
	cmd    *exec.Cmd
	pipe   *os.File // nil without a process
	closed bool
}

// tellTime is how long the process may take to read a line, of which there is
// room for thousands.
const tellTime = time.Second

// New returns a reaper without groups.
func New() *Reaper { return &Reaper{groups: map[int]struct{}{}} }

// Add puts a process group under its eyes, until it is removed.
func (r *Reaper) Add(group int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.groups[group] = struct{}{}
	if r.pipe == nil || !r.tell("+", group) {
		r.restart()
	}
}

// Remove says that a process group has ended, before its id is free for another.
func (r *Reaper) Remove(group int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.groups, group)
	if r.pipe != nil && !r.tell("-", group) {
		r.restart()
	}
}

// tell reports whether the process was told.
func (r *Reaper) tell(op string, group int) bool {
	if err := r.pipe.SetWriteDeadline(time.Now().Add(tellTime)); err != nil {
		return false
	}
	_, err := fmt.Fprintln(r.pipe, op, group)
	return err == nil
}

// restart replaces a process that is not there, or not any more.
func (r *Reaper) restart() {
	r.stop()
	if r.closed {
		return
	}
	stdin, pipe, err := os.Pipe()
	if err != nil {
		return
	}
	//nolint:noctx // it lives longer than this process
	r.cmd = exec.Command("/bin/sh", "-c", script)
	r.cmd.Env, r.cmd.Dir = []string{}, "/"
	r.cmd.Stdin, r.cmd.SysProcAttr = stdin, &syscall.SysProcAttr{Setpgid: true}
	err = r.cmd.Start()
	_ = stdin.Close() // it has its own
	if err != nil {
		_ = pipe.Close()
		return
	}
	r.pipe = pipe
	for group := range r.groups {
		if !r.tell("+", group) {
			r.stop()
			return
		}
	}
}

// stop ends the process by force, so that it ends nothing itself.
func (r *Reaper) stop() {
	if r.pipe == nil {
		return
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	_ = r.pipe.Close()
	r.pipe = nil
}

// Close ends the reaper, and no group with it: nothing that was added runs any
// more. What is added later is on its own.
func (r *Reaper) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.stop()
}

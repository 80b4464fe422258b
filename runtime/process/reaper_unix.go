//go:build unix

package process

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// reaperScript learns from its standard input which process groups live, and
// ends those that are left when the host is gone and the input ends with it.
const reaperScript = `
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

// reaper is a small process that ends the process groups of programs when the
// host ends without having done so, however it ends. It is started with the
// first program. Where there is no shell there is none. It is safe for
// concurrent use.
type reaper struct {
	mu     sync.Mutex // held while it is told, which takes no longer than reaperTime
	groups map[int]struct{}
	cmd    *exec.Cmd
	pipe   *os.File // nil without a reaper
	closed bool
}

// reaperTime is how long the reaper may take to read a line, of which there is
// room for thousands.
const reaperTime = time.Second

func newReaper() *reaper { return &reaper{groups: map[int]struct{}{}} }

// add puts a process group under its eyes.
func (r *reaper) add(group int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.groups[group] = struct{}{}
	if r.pipe == nil || !r.tell("+", group) {
		r.restart()
	}
}

// remove tells that a process group has ended.
func (r *reaper) remove(group int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.groups, group)
	if r.pipe != nil && !r.tell("-", group) {
		r.restart()
	}
}

// tell reports whether the reaper was told.
func (r *reaper) tell(op string, group int) bool {
	if err := r.pipe.SetWriteDeadline(time.Now().Add(reaperTime)); err != nil {
		return false
	}
	_, err := fmt.Fprintln(r.pipe, op, group)
	return err == nil
}

// restart replaces a reaper that is not there, or not any more. Without one the
// programs still have the end of their standard input, and what the system does.
func (r *reaper) restart() {
	r.stop()
	if r.closed {
		return
	}
	stdin, pipe, err := os.Pipe()
	if err != nil {
		return
	}
	//nolint:noctx // it lives longer than the host
	r.cmd = exec.Command("/bin/sh", "-c", reaperScript)
	r.cmd.Env = []string{}
	r.cmd.Stdin, r.cmd.SysProcAttr = stdin, &syscall.SysProcAttr{Setpgid: true}
	err = r.cmd.Start()
	_ = stdin.Close() // the reaper has its own
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

// stop ends the reaper by force, so that it ends nothing itself.
func (r *reaper) stop() {
	if r.pipe == nil {
		return
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	_ = r.pipe.Close()
	r.pipe = nil
}

// close ends the reaper. It is called when nothing runs any more.
func (r *reaper) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.stop()
}

//go:build unix

package script

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// reaperScript learns from its standard input which process groups live, and
// ends those that are left when the node is gone and the input ends with it.
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

// reaperTime is how long the reaper may take to read a line, of which there is
// room for thousands.
const reaperTime = time.Second

// reaper is a small process that ends the process groups of scripts when the node
// ends without having done so, however it ends. The jobs of a node share it: it
// is started with the first script and ends with the last job. It is safe for
// concurrent use.
type reaper struct {
	mu     sync.Mutex // held while it is told, which takes no longer than reaperTime
	users  int        // jobs
	groups map[int]struct{}
	cmd    *exec.Cmd
	pipe   *os.File // nil without a process
}

func newReaper() *reaper { return &reaper{groups: map[int]struct{}{}} }

// acquire adds a job.
func (r *reaper) acquire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users++
}

// release takes a job away, none of whose scripts runs.
func (r *reaper) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users--; r.users == 0 {
		r.stop()
	}
}

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
	if r.pipe.SetWriteDeadline(time.Now().Add(reaperTime)) != nil {
		return false
	}
	_, err := fmt.Fprintln(r.pipe, op, group)
	return err == nil
}

// restart replaces a process that is not there, or not any more. Without one
// scripts still end as the system ends them.
func (r *reaper) restart() {
	r.stop()
	stdin, pipe, err := os.Pipe()
	if err != nil {
		return
	}
	//nolint:noctx // it lives longer than the node
	r.cmd = exec.Command(shell, "-c", reaperScript)
	r.cmd.Env, r.cmd.Dir = []string{}, "/"
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

// stop ends the process by force, so that it ends nothing itself.
func (r *reaper) stop() {
	if r.pipe == nil {
		return
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	_ = r.pipe.Close()
	r.pipe = nil
}

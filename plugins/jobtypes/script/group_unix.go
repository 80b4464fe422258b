//go:build unix

package script

import (
	"os/exec"
	"syscall"
)

// group is a program and what it has started, unless that has left its process
// group.
type group struct{ cmd *exec.Cmd }

func newGroup(cmd *exec.Cmd) *group {
	cmd.SysProcAttr = attributes()
	return &group{cmd: cmd}
}

func (g *group) start() error { return g.cmd.Start() }

// reap takes the exit status of the program, if await has not.
func (g *group) reap() {
	if g.cmd.ProcessState == nil {
		_ = g.cmd.Wait() // the status says it
	}
}

// terminate asks all processes of the group to end, and reports whether it can.
func (g *group) terminate() bool { return syscall.Kill(-g.cmd.Process.Pid, syscall.SIGTERM) == nil }

// kill ends all processes of the group. Mostly nobody is left.
func (g *group) kill() { _ = syscall.Kill(-g.cmd.Process.Pid, syscall.SIGKILL) }

package processtest

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the child when its parent is gone, so that
// a test binary that is killed leaves no server behind.
func dieWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}

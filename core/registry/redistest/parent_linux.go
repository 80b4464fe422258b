package redistest

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the child when its parent is gone, so that
// a test binary that is killed leaves no server behind.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

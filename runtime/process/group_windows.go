package process

import (
	"os"
	"syscall"
)

// ownGroup keeps the console's Ctrl-C away from the process.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// waitExited is not needed: a process is meant by a handle, not by its id.
func waitExited(*os.Process) bool { return false }

// killGroup ends the process; Windows has no groups of this kind.
func killGroup(p *os.Process) error { return p.Kill() }

// terminate does nothing: programs without a window cannot be asked.
func terminate(*os.Process) error { return nil }

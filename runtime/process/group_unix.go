//go:build unix

package process

import (
	"os"
	"syscall"
)

// killGroup ends the process and all that belong to its group.
func killGroup(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGKILL) }

// terminate asks the process to end.
func terminate(p *os.Process) error { return syscall.Kill(p.Pid, syscall.SIGTERM) }

//go:build unix

package processtest

import "syscall"

// Pause stops the process where it is. Only Unix has it.
func (p *Process) Pause() error { return p.Signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Process) Resume() error { return p.Signal(syscall.SIGCONT) }

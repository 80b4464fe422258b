//go:build unix && !linux

package script

import "syscall"

// attributes give a program a process group of its own.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// await returns when the program has exited. These systems cannot wait without
// giving its id free; what is left of the group is ended right after it.
func (g *group) await() { g.reap() }

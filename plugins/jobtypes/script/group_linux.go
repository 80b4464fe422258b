package script

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes give a program a process group of its own, and let the kernel end
// it with the thread that has started it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// await returns when the program has exited. Its id, and that of its group, stay
// in use until reap.
func (g *group) await() {
	for {
		err := unix.Waitid(unix.P_PID, g.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			if err != nil {
				g.reap()
			}
			return
		}
	}
}

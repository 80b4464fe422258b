package process

import (
	"errors"
	"os"
	"os/exec"
	goruntime "runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup puts a process into a group of its own, and lets the kernel end it
// when the thread that has started it ends.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// waitExited returns true when the process has ended. Its id, and that of its
// group, stay in use until Wait is called.
func waitExited(p *os.Process) bool {
	for {
		err := unix.Waitid(unix.P_PID, p.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// launcher starts processes on one thread that lives as long as it does: the
// kernel takes the end of the thread, not of the process, for that of the
// parent, and Go ends threads as it likes.
type launcher struct {
	requests chan func()
	ended    sync.WaitGroup
}

func newLauncher() *launcher {
	l := &launcher{requests: make(chan func())}
	l.ended.Go(func() {
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		for request := range l.requests {
			request()
		}
	})
	return l
}

func (l *launcher) start(cmd *exec.Cmd) error {
	result := make(chan error)
	l.requests <- func() { result <- cmd.Start() }
	return <-result
}

// close is called when nothing runs any more.
func (l *launcher) close() {
	close(l.requests)
	l.ended.Wait()
}

package script

import (
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// group is a program and what it has started, in a job object of the system. It
// ends with the node, too.
type group struct {
	cmd    *exec.Cmd
	object windows.Handle
}

func newGroup(cmd *exec.Cmd) *group {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	// The console's Ctrl-C is the node's.
	cmd.SysProcAttr.CreationFlags |= syscall.CREATE_NEW_PROCESS_GROUP
	return &group{cmd: cmd}
}

// start puts the program into the object just after its start: what it starts
// before is not in there.
func (g *group) start() error {
	object, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return err
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{
		LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
	}}
	_, err = windows.SetInformationJobObject(object, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err == nil {
		err = g.cmd.Start()
	}
	if err != nil {
		_ = windows.CloseHandle(object) // it holds nothing
		return err
	}
	g.object = object
	const access = windows.PROCESS_SET_QUOTA | windows.PROCESS_TERMINATE
	process, err := windows.OpenProcess(access, false, uint32(g.cmd.Process.Pid))
	if err == nil {
		// A program that has ended already, or may not be in it, is ended by kill.
		_ = windows.AssignProcessToJobObject(object, process)
		_ = windows.CloseHandle(process)
	}
	return nil
}

func (g *group) await() { _ = g.cmd.Wait() } // the status says it

// reap closes the object, which ends what is in it.
func (g *group) reap() { _ = windows.CloseHandle(g.object) }

// terminate cannot ask: programs without a window cannot be asked.
func (*group) terminate() bool { return false }

// kill ends all processes of the object.
func (g *group) kill() {
	_ = windows.TerminateJobObject(g.object, 1)
	_ = g.cmd.Process.Kill() // has ended, mostly
}

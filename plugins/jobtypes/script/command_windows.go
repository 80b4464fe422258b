package script

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	// maxArgument is how long a command line or a variable can be, less some room.
	maxArgument = 31 << 10

	errorBadFormat = syscall.Errno(193) // ERROR_BAD_EXE_FORMAT
)

// command returns what runs the program, with the context as its last argument.
// The command processor of Windows has no way to quote one, so with it the
// context is in the environment alone.
func (j *job) command(text string) (*exec.Cmd, error) {
	name := "cmd.exe"
	if !j.shell {
		if name = j.arguments[0]; strings.ContainsAny(name, `/\`) && !filepath.IsAbs(name) {
			name = filepath.Join(j.directory, name)
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, notFound(name, ": "+err.Error())
	}
	if j.shell {
		return &exec.Cmd{Path: path, Args: []string{name}, Dir: j.directory, SysProcAttr: &syscall.SysProcAttr{CmdLine: `cmd.exe /S /C "` + j.line + `"`}}, nil
	}
	return &exec.Cmd{Path: path, Args: append(append([]string{}, j.arguments...), text), Dir: j.directory}, nil
}

// sameName compares names of variables.
func sameName(a, b string) bool { return strings.EqualFold(a, b) }

func isUnknownFormat(err error) bool { return errors.Is(err, errorBadFormat) }

// check says which limit this system cannot set.
func (l limits) check() error {
	if l.memory > 0 {
		return invalid(PropLimitMemory, "is not available on windows")
	}
	if l.cpu > 0 {
		return invalid(PropLimitCPU, "is not available on windows")
	}
	return nil
}

func (limits) isSpent(*os.ProcessState, syscall.Signal) bool { return false }

// ending says how the program ended; there are no signals.
func ending(state *os.ProcessState) (string, syscall.Signal) { return state.String(), 0 }

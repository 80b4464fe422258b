//go:build unix

package script

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// maxArgument is how long one argument, or a variable with its name, can be:
	// Linux has this bound, with the byte at its end; others have larger ones.
	maxArgument = 128<<10 - 1

	shell = "/bin/sh"

	// limitScript sets limits that all descendants inherit, and becomes the
	// program. The memory is that of the data segment: it counts what is written
	// to and not what is merely reserved, as many runtimes do. After the soft
	// limit of the time, whose signal says what happened, comes the hard one.
	limitScript = `
[ "$1" = 0 ] || ulimit -d "$1" || exit 125
[ "$2" = 0 ] || { ulimit -S -t "$2" && ulimit -H -t "$3"; } || exit 125
shift 3
exec "$@"`
)

// command returns what runs the program, with the context as its last argument.
func (j *job) command(text string) (*exec.Cmd, error) {
	var path string
	var arguments []string
	if j.shell {
		path, arguments = shell, []string{"sh", "-c", j.line, "sh", text}
	} else {
		var err error
		if path, err = j.find(j.arguments[0]); err != nil {
			return nil, err
		}
		arguments = append(append(make([]string, 0, len(j.arguments)+1), j.arguments...), text)
	}
	if j.limits != (limits{}) {
		cpu := j.limits.seconds()
		within := []string{"sh", "-c", limitScript, "sh", strconv.FormatInt(j.limits.memory/1024, 10), strconv.FormatInt(cpu, 10), strconv.FormatInt(cpu+1, 10), path}
		path, arguments = shell, append(within, arguments[1:]...)
	}
	return &exec.Cmd{Path: path, Args: arguments, Dir: j.directory}, nil
}

// find returns the path of a program: from the working directory if its name has
// a slash, else in the PATH that the program gets.
func (j *job) find(name string) (string, error) {
	if strings.Contains(name, "/") {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(j.directory, path)
		}
		switch err := runnable(path); {
		case err == nil:
			return path, nil
		case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			return "", notFound(path, "")
		default:
			return "", notFound(path, " that may be run: "+err.Error())
		}
	}
	for _, variable := range slices.Backward(j.environ) { // of several, the last counts
		list, isPath := strings.CutPrefix(variable, "PATH=")
		if !isPath {
			continue
		}
		for _, dir := range filepath.SplitList(list) {
			// A relative one would be another one in each directory.
			if path := filepath.Join(dir, name); filepath.IsAbs(dir) && runnable(path) == nil {
				return path, nil
			}
		}
		break
	}
	return "", notFound(name, " in the PATH")
}

// runnable says why a file cannot be run.
func runnable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("it is a directory")
	case unix.Access(path, unix.X_OK) != nil:
		return errors.New("it is not executable")
	}
	return nil
}

// sameName compares names of variables.
func sameName(a, b string) bool { return a == b }

func isUnknownFormat(err error) bool { return errors.Is(err, syscall.ENOEXEC) }

// check says which limit this system cannot set.
func (l limits) check() error {
	if l.memory > 0 && runtime.GOOS != "linux" {
		return invalid(PropLimitMemory, "is not available on "+runtime.GOOS)
	}
	return nil
}

// isSpent says whether the program ended because its time was over.
func (l limits) isSpent(state *os.ProcessState, signal syscall.Signal) bool {
	if l.cpu == 0 {
		return false
	}
	used := state.UserTime() + state.SystemTime()
	return signal == syscall.SIGXCPU || signal == syscall.SIGKILL && used >= l.cpu
}

// ending says how the program ended, and by which signal, if by one. A shell
// tells the signal that has ended a program of its own by its exit status.
func ending(state *os.ProcessState) (how string, by syscall.Signal) {
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok {
		return state.String(), 0
	}
	const offset = 128
	if status.Signaled() {
		return "killed by " + signalName(status.Signal()), status.Signal()
	}
	how = "exit status " + strconv.Itoa(status.ExitStatus())
	if by = syscall.Signal(status.ExitStatus() - offset); by > 0 && unix.SignalName(by) != "" {
		return how + ", as if killed by " + signalName(by), by
	}
	return how, 0
}

func signalName(s syscall.Signal) string {
	if name := unix.SignalName(s); name != "" {
		return name
	}
	return "signal " + strconv.Itoa(int(s))
}

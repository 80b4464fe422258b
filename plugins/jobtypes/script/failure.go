package script

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/elasticjob-go/elasticjob/spi"
)

// failure says how the program ended, with the end of its standard error.
func (j *job) failure(state *os.ProcessState, out *output) *spi.Error {
	how, signal := ending(state)
	if j.limits.isSpent(state, signal) {
		how = "the limit of " + j.limits.cpu.String() + " of " + PropLimitCPU + " was reached: " + how
	}
	if j.limits.memory > 0 {
		how += " (" + PropLimitMemory + " is " + size(j.limits.memory) + ")"
	}
	const between = "; its last lines:\n"
	if last := out.lastErrors(maxMessage - len(how) - len(between)); last != "" {
		how += between + last
	}
	return spi.NewError(spi.CodeFailed, how)
}

// explain says why the program could not be started.
func (j *job) explain(cmd *exec.Cmd, err error) *spi.Error {
	name := strconv.Quote(cmd.Args[0])
	switch info, statErr := os.Stat(j.directory); {
	case statErr != nil:
		return spi.NewError(spi.CodeNotFound, PropDirectory+": there is no directory "+strconv.Quote(j.directory))
	case !info.IsDir():
		return spi.NewError(spi.CodeNotFound, PropDirectory+": "+strconv.Quote(j.directory)+" is no directory")
	case isUnknownFormat(err):
		return spi.NewError(spi.CodeFailed, name+" is no program that this system runs; a script begins with a line such as #!/bin/sh")
	case errors.Is(err, fs.ErrNotExist):
		return spi.NewError(spi.CodeNotFound, "starting "+name+": it needs a program that is not there, which for a script its first line names")
	}
	code := spi.CodeFailed
	for _, soonOver := range []error{syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.ETXTBSY} {
		if errors.Is(err, soonOver) {
			code = spi.CodeUnavailable
		}
	}
	if cause, ok := errors.AsType[*fs.PathError](err); ok {
		err = cause.Err
	}
	return spi.NewError(code, "starting "+name+": "+err.Error())
}

// notFound is the error about a program that is not there.
func notFound(name, where string) *spi.Error {
	return spi.NewError(spi.CodeNotFound, PropCommandLine+": there is no program "+strconv.Quote(name)+where)
}

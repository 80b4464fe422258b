//go:build unix

package wasm

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// checkWritable reports whether this process may not make anything in a directory.
func checkWritable(dir string) error {
	const write = 2 // W_OK of access(2)
	if err := syscall.Access(dir, write); err != nil {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: err}
	}
	return nil
}

// checkPrivate reports whether somebody else could write to the directory.
func checkPrivate(info fs.FileInfo) error {
	if info.Mode().Perm()&0o022 != 0 {
		return errors.New("others may write to it, and this process runs the code in it: make it private (mode 0700)")
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return errors.New("it belongs to another user, and this process runs the code in it")
	}
	return nil
}

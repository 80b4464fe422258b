//go:build unix

package native

import (
	"os"
	"syscall"
)

// endGroup ends this program and what it has started, if it leads a group.
func endGroup() {
	target := os.Getpid()
	if syscall.Getpgrp() == target {
		target = 0 // the group
	}
	_ = syscall.Kill(target, syscall.SIGKILL) // does not return
}

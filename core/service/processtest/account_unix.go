//go:build unix

package processtest

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

func isRoot() bool { return os.Geteuid() == 0 }

// runAs has the command run in the name of the account.
func (a Account) runAs(cmd *exec.Cmd) {
	if a.isOther {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.user, Gid: a.group}}
	}
}

// Own gives a file to the account.
func (a Account) Own(name string) error {
	if !a.isOther {
		return nil
	}
	if err := os.Chown(name, int(a.user), int(a.group)); err != nil {
		return fmt.Errorf("giving a file away: %w", err)
	}
	return nil
}

//go:build !unix

package processtest

import "os/exec"

func isRoot() bool { return false }

func (Account) runAs(*exec.Cmd) {}

// Own does nothing: programs run in the name of the test.
func (Account) Own(string) error { return nil }

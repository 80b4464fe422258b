//go:build !linux

package processtest

import "os/exec"

// dieWithParent does nothing, as only Linux has such a thing: a server outlives
// a test binary that is killed.
func dieWithParent(*exec.Cmd) {}

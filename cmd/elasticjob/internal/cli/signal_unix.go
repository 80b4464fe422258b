//go:build unix

package cli

import (
	"os"
	"syscall"
)

// reloadSignals are the signals that ask a node to read its file again.
func reloadSignals() []os.Signal { return []os.Signal{syscall.SIGHUP} }

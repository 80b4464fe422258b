//go:build !unix

package cli

import "os"

// reloadSignals is empty: this system has no signal for it.
func reloadSignals() []os.Signal { return nil }

//go:build !unix

package processtest

import "errors"

// Pause fails: only Unix has it.
func (*Process) Pause() error { return errors.ErrUnsupported }

// Resume fails as Pause does.
func (*Process) Resume() error { return errors.ErrUnsupported }

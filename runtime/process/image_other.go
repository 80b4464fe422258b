//go:build !linux

package process

import (
	"errors"
	"io"
)

// copyToMemory is for systems that execute files in memory.
func copyToMemory(io.Reader, string) (*image, error) { return nil, errors.ErrUnsupported }

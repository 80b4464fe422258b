package cli

import (
	"bytes"
	"io"
	"sync"
)

// maxHeld bounds what a heldWriter keeps, in bytes.
const maxHeld = 1 << 20

// heldWriter keeps what is written to it until it is released. A node that is
// about to start logs through one, so that the problems of its configuration
// can stand on stderr alone. It is safe for concurrent use.
type heldWriter struct {
	mu sync.Mutex

	to       io.Writer
	kept     bytes.Buffer
	released bool
}

// Write keeps p, or writes it after the release. What is above the bound is
// dropped.
func (h *heldWriter) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.released {
		return h.to.Write(p)
	}
	if h.kept.Len()+len(p) <= maxHeld {
		h.kept.Write(p)
	}
	return len(p), nil
}

// release writes what was kept, and lets through what follows.
func (h *heldWriter) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.released = true
	_, _ = h.to.Write(h.kept.Bytes()) // as with any log record, nobody can be told
	h.kept.Reset()
}

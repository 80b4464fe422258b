package wasm

import "github.com/tetratelabs/wazero/experimental"

// linearMemory is the memory of one instance. It never exceeds its limit and
// remembers that it had to refuse to. It belongs to one instance and is not
// safe for concurrent use.
type linearMemory struct {
	limit   uint64 // bytes
	refused bool

	buf    []byte // what is in use, in the front of what is reserved
	unmap  func() // gives the reservation back; nil when buf is on the heap
	closed bool
}

var (
	_ experimental.MemoryAllocator = (*linearMemory)(nil)
	_ experimental.LinearMemory    = (*linearMemory)(nil)
)

// Allocate is called once, when the instance is made. It reserves the most
// the memory may become, so that growing never copies and memory that is
// never touched is never used, and falls back to the heap where that is not
// possible.
func (m *linearMemory) Allocate(_, most uint64) experimental.LinearMemory {
	if reserved, unmap := reserve(min(most, m.limit)); reserved != nil {
		m.buf, m.unmap = reserved[:0], unmap
	}
	return m
}

// Reallocate makes the memory size bytes long, or returns nil above the
// limit. Memories do not shrink.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if m.closed || size > m.limit {
		m.refused = true
		return nil
	}
	if size > uint64(cap(m.buf)) {
		grown := make([]byte, size, min(m.limit, size+size/4))
		copy(grown, m.buf)
		m.buf = grown
	}
	m.buf = m.buf[:size]
	return m.buf
}

// Free does nothing: wazero calls it while the guest may still be on the
// stack. The owner of the instance releases the memory afterwards.
func (m *linearMemory) Free() {}

func (m *linearMemory) size() int { return len(m.buf) }

// release gives the memory back. Nothing may run in the instance any more.
func (m *linearMemory) release() {
	m.closed = true
	m.buf = nil
	if m.unmap != nil {
		m.unmap()
		m.unmap = nil
	}
}

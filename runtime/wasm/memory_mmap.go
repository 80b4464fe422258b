//go:build linux || darwin

package wasm

import "syscall"

// reserve maps size bytes of zeroed memory that costs nothing until touched.
// It returns nil when the system refuses.
func reserve(size uint64) (memory []byte, unmap func()) {
	if size == 0 || size != uint64(int(size)) {
		return nil, nil
	}
	memory, err := syscall.Mmap(-1, 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		return nil, nil
	}
	// Munmap fails only for what is not mapped.
	return memory, func() { _ = syscall.Munmap(memory) }
}

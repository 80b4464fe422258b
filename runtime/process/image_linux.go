package process

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// copyToMemory makes a file in memory that nobody can change any more. It fails
// with errors.ErrUnsupported, and has read nothing, where there is no such
// thing.
func copyToMemory(source io.Reader, name string) (*image, error) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		return nil, errors.ErrUnsupported
	}
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	name = name[:min(len(name), 200)] // the kernel takes 249 bytes
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return nil, errors.ErrUnsupported
	}
	file := os.NewFile(uintptr(fd), name)
	if _, err := io.Copy(file, source); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK
	if _, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return nil, errors.Join(fmt.Errorf("sealing: %w", err), file.Close())
	}
	// The new process has the descriptor until it executes what it names.
	return &image{path: fmt.Sprintf("/proc/self/fd/%d", fd), memory: file}, nil
}

package wasm

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/tetratelabs/wazero/experimental/sys"
	wazerosys "github.com/tetratelabs/wazero/sys"

	"github.com/elasticjob-go/elasticjob/spi"
)

const (
	// maxOpenFiles bounds the descriptors that one instance holds, besides those
	// of the granted directories themselves.
	maxOpenFiles = 64
	// maxEntries bounds how much of a directory is read at once.
	maxEntries = 1 << 16
)

// openFile is a file or directory that a guest has opened. What it may do was
// decided when it was opened; the system holds it to that.
type openFile struct {
	sys.UnimplementedFile

	dir     *directory
	name    string
	file    *os.File
	status  wazerosys.Stat_t // as of opening: type and identity do not change
	appends bool
	closed  bool
}

var _ sys.File = (*openFile)(nil)

// Dev returns the number of the device.
func (f *openFile) Dev() (uint64, sys.Errno) { return f.status.Dev, 0 }

// Ino returns the number of the file.
func (f *openFile) Ino() (wazerosys.Inode, sys.Errno) { return f.status.Ino, 0 }

// IsDir says whether it is a directory.
func (f *openFile) IsDir() (bool, sys.Errno) { return f.status.Mode.IsDir(), 0 }

// IsAppend says whether it was opened to append.
func (f *openFile) IsAppend() bool { return f.appends }

// SetAppend refuses to change what was said when the file was opened.
func (f *openFile) SetAppend(enable bool) sys.Errno {
	if enable != f.appends {
		return sys.ENOSYS
	}
	return 0
}

// Stat describes the file as it is now.
func (f *openFile) Stat() (wazerosys.Stat_t, sys.Errno) {
	info, err := f.file.Stat()
	if err != nil {
		return wazerosys.Stat_t{}, sys.UnwrapOSError(err)
	}
	return wazerosys.NewStat_t(info), 0
}

// Read reads on from where the file stands.
func (f *openFile) Read(p []byte) (int, sys.Errno) { return f.transfer(p, f.file.Read) }

// Pread reads from an offset.
func (f *openFile) Pread(p []byte, offset int64) (int, sys.Errno) {
	return f.transferAt(p, offset, f.file.ReadAt)
}

// Write writes on from where the file stands, or at its end.
func (f *openFile) Write(p []byte) (int, sys.Errno) { return f.transfer(p, f.file.Write) }

// Pwrite writes at an offset.
func (f *openFile) Pwrite(p []byte, offset int64) (int, sys.Errno) {
	return f.transferAt(p, offset, f.file.WriteAt)
}

// transfer moves nothing for an empty range, which is no end of the file.
func (f *openFile) transfer(p []byte, move func([]byte) (int, error)) (int, sys.Errno) {
	f.dir.in.current.checkDone()
	if len(p) == 0 {
		return 0, 0
	}
	n, err := move(p)
	return n, sys.UnwrapOSError(err)
}

func (f *openFile) transferAt(p []byte, offset int64, move func([]byte, int64) (int, error)) (int, sys.Errno) {
	if offset < 0 {
		return 0, sys.EINVAL
	}
	return f.transfer(p, func(p []byte) (int, error) { return move(p, offset) })
}

// fileOffset has a name because go vet takes any Seek of an int64 for that of
// io.Seeker.
type fileOffset = int64

// Seek moves where the file stands. A directory can be read again from its
// beginning, and is opened anew for that.
func (f *openFile) Seek(offset fileOffset, whence int) (int64, sys.Errno) {
	if !f.status.Mode.IsDir() {
		at, err := f.file.Seek(offset, whence)
		return at, sys.UnwrapOSError(err)
	}
	if offset != 0 || whence != io.SeekStart {
		return 0, sys.EISDIR
	}
	again, err := f.dir.root.Open(f.name)
	if err != nil {
		return 0, f.dir.errno(f.name, err)
	}
	if !sameFile(f.file, again) {
		_ = again.Close() // only opened
		return 0, sys.ENOENT
	}
	_ = f.file.Close() // only read from
	f.file = again
	return 0, 0
}

func sameFile(a, b *os.File) bool {
	first, errFirst := a.Stat()
	second, errSecond := b.Stat()
	return errFirst == nil && errSecond == nil && os.SameFile(first, second)
}

// Readdir returns the next entries of a directory. Their numbers are not told:
// they would cost a look at each.
func (f *openFile) Readdir(n int) ([]sys.Dirent, sys.Errno) {
	if errno := f.dir.use(false); errno != 0 {
		return nil, errno
	}
	if n <= 0 || n > maxEntries {
		n = maxEntries + 1
	}
	entries, err := f.file.ReadDir(n)
	if len(entries) > maxEntries {
		f.dir.in.current.breakOff(spi.CodeLimit, fmt.Sprintf("reads more than %d entries of a directory at once", maxEntries))
	}
	list := make([]sys.Dirent, len(entries))
	for i, e := range entries {
		list[i] = sys.Dirent{Name: e.Name(), Type: e.Type() & fs.ModeType}
	}
	return list, sys.UnwrapOSError(err)
}

// Truncate changes the length of the file.
func (f *openFile) Truncate(size int64) sys.Errno {
	if errno := f.dir.use(true); errno != 0 {
		return errno
	}
	if size < 0 {
		return sys.EINVAL
	}
	return sys.UnwrapOSError(f.file.Truncate(size))
}

// Utimens sets the times of the file, found again by its name.
func (f *openFile) Utimens(atim, mtim int64) sys.Errno { return f.dir.Utimens(f.name, atim, mtim) }

// Sync brings what was written to the disk.
func (f *openFile) Sync() sys.Errno { return sys.UnwrapOSError(f.file.Sync()) }

// Datasync is Sync.
func (f *openFile) Datasync() sys.Errno { return f.Sync() }

// Close gives the descriptor back.
func (f *openFile) Close() sys.Errno {
	if f.closed {
		return 0
	}
	f.closed = true
	f.dir.in.openFiles--
	return sys.UnwrapOSError(f.file.Close())
}

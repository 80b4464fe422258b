package wasm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	wazerosys "github.com/tetratelabs/wazero/sys"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// directory is a granted directory as one instance sees it. Every path goes
// through [os.Root], which follows links but never out of the directory, also
// while others change it. Like its instance, it is not safe for concurrent use.
//
// While the instance starts, the directory can be seen, because the run-time
// libraries of languages look for it then, but nothing in it can be used.
type directory struct {
	sys.UnimplementedFS

	in    *instance
	grant spi.Dir
	root  *os.Root
}

var _ sys.FS = (*directory)(nil)

// mount opens the granted directories for the instance and adds them to its
// configuration.
func (in *instance) mount(config wazero.ModuleConfig, granted []spi.Dir) (wazero.ModuleConfig, error) {
	if len(granted) == 0 {
		return config, nil
	}
	mounts := wazero.NewFSConfig()
	for _, grant := range granted {
		root, err := os.OpenRoot(grant.Path)
		if err != nil {
			in.current.broken = spi.NewError(spi.CodeUnavailable, fmt.Sprintf("opening the granted directory %s: %v", grant.Path, err))
			return nil, in.current.broken
		}
		in.roots = append(in.roots, root)
		// The type that NewFSConfig returns has this method outside of its
		// interface, as the documentation of sysfs.FSConfig says.
		mounts = mounts.(sysfs.FSConfig).WithSysFSMount(&directory{in: in, grant: grant, root: root}, grant.Guest)
	}
	return config.WithFSConfig(mounts), nil
}

// OpenFile opens a regular file or a directory. What else there may be, such as
// a pipe, could block or do harm when it is merely opened.
func (d *directory) OpenFile(name string, flag sys.Oflag, perm fs.FileMode) (sys.File, sys.Errno) {
	name = local(name)
	mode := openMode(flag)
	if name != "." || mode != os.O_RDONLY {
		if errno := d.use(mode != os.O_RDONLY); errno != 0 {
			return nil, errno
		}
	}
	if flag&sys.O_NOFOLLOW != 0 {
		if info, err := d.root.Lstat(name); err == nil && info.Mode().Type() == fs.ModeSymlink {
			return nil, sys.ELOOP
		}
	}
	if d.in.openFiles >= maxOpenFiles+len(d.in.roots) {
		d.in.current.breakOff(spi.CodeLimit, fmt.Sprintf("more than %d files are open at once", maxOpenFiles))
	}
	f, err := d.root.OpenFile(name, mode|openWithoutWaiting, perm.Perm())
	if err != nil {
		return nil, d.errno(name, err)
	}
	info, err := f.Stat()
	errno := d.errno(name, err)
	switch {
	case errno != 0:
	case !info.Mode().IsRegular() && !info.IsDir():
		errno = sys.EACCES
	case flag&sys.O_DIRECTORY != 0 && !info.IsDir():
		errno = sys.ENOTDIR
	default:
		d.in.openFiles++
		return &openFile{dir: d, name: name, file: f, status: wazerosys.NewStat_t(info), appends: mode&os.O_APPEND != 0}, 0
	}
	_ = f.Close() // nothing was written
	return nil, errno
}

// openMode translates the flags that os knows; what they do not say is read.
func openMode(flag sys.Oflag) int {
	mode := os.O_RDONLY
	if flag&sys.O_RDWR != 0 {
		mode = os.O_RDWR
	} else if flag&sys.O_WRONLY != 0 {
		mode = os.O_WRONLY
	}
	for _, f := range []struct {
		guest sys.Oflag
		host  int
	}{
		{sys.O_APPEND, os.O_APPEND},
		{sys.O_CREAT, os.O_CREATE},
		{sys.O_EXCL, os.O_EXCL},
		{sys.O_TRUNC, os.O_TRUNC},
		{sys.O_SYNC | sys.O_DSYNC, os.O_SYNC},
	} {
		if flag&f.guest != 0 {
			mode |= f.host
		}
	}
	return mode
}

// Lstat describes a file, or a link itself.
func (d *directory) Lstat(name string) (wazerosys.Stat_t, sys.Errno) {
	return d.stat(name, d.root.Lstat)
}

// Stat describes a file, or what a link leads to.
func (d *directory) Stat(name string) (wazerosys.Stat_t, sys.Errno) {
	return d.stat(name, d.root.Stat)
}

func (d *directory) stat(name string, stat func(string) (fs.FileInfo, error)) (wazerosys.Stat_t, sys.Errno) {
	if errno := d.use(false); errno != 0 {
		return wazerosys.Stat_t{}, errno
	}
	name = local(name)
	info, err := stat(name)
	if err != nil {
		return wazerosys.Stat_t{}, d.errno(name, err)
	}
	return wazerosys.NewStat_t(info), 0
}

// Readlink returns where a link leads.
func (d *directory) Readlink(name string) (string, sys.Errno) {
	if errno := d.use(false); errno != 0 {
		return "", errno
	}
	name = local(name)
	target, err := d.root.Readlink(name)
	return filepath.ToSlash(target), d.errno(name, err)
}

// Mkdir makes a directory.
func (d *directory) Mkdir(name string, perm fs.FileMode) sys.Errno {
	return d.change(name, func(name string) error { return d.root.Mkdir(name, perm.Perm()) })
}

// Rename moves a file, a link or a directory.
func (d *directory) Rename(from, to string) sys.Errno {
	return d.changeBoth(from, to, d.root.Rename)
}

// Rmdir removes an empty directory.
func (d *directory) Rmdir(name string) sys.Errno {
	return d.change(name, func(name string) error {
		if info, err := d.root.Lstat(name); err == nil && !info.IsDir() {
			return sys.ENOTDIR
		}
		return d.root.Remove(name)
	})
}

// Unlink removes a file or a link.
func (d *directory) Unlink(name string) sys.Errno {
	return d.change(name, func(name string) error {
		if info, err := d.root.Lstat(name); err == nil && info.IsDir() {
			return sys.EISDIR
		}
		return d.root.Remove(name)
	})
}

// Link makes a second name of a file.
func (d *directory) Link(from, to string) sys.Errno {
	return d.changeBoth(from, to, d.root.Link)
}

// Symlink makes a link to something below the link's own directory. Others
// could be moved until they lead out of the granted directory; the module
// could not follow them, but a program of this machine would.
func (d *directory) Symlink(target, name string) sys.Errno {
	target = strings.Clone(target) // it is in the guest's memory
	return d.change(name, func(name string) error {
		if !fs.ValidPath(target) || !filepath.IsLocal(filepath.FromSlash(target)) {
			d.deny("a link to " + target)
			return sys.EPERM
		}
		return d.root.Symlink(filepath.FromSlash(target), name)
	})
}

// Utimens sets the times of a file.
func (d *directory) Utimens(name string, atim, mtim int64) sys.Errno {
	return d.change(name, func(name string) error { return d.root.Chtimes(name, instant(atim), instant(mtim)) })
}

// instant is the zero time for what is to be left as it is.
func instant(nanoseconds int64) time.Time {
	if nanoseconds == sys.UTIME_OMIT {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds)
}

// change runs an operation that needs a writable directory.
func (d *directory) change(name string, operation func(name string) error) sys.Errno {
	if errno := d.use(true); errno != 0 {
		return errno
	}
	name = local(name)
	return d.errno(name, operation(name))
}

func (d *directory) changeBoth(from, to string, operation func(from, to string) error) sys.Errno {
	if errno := d.use(true); errno != 0 {
		return errno
	}
	from, to = local(from), local(to)
	return d.errno(from+" or "+to, operation(from, to))
}

// use says whether the directory can be used now, and for that.
func (d *directory) use(writing bool) sys.Errno {
	d.in.current.checkDone()
	switch {
	case !d.in.current.serving:
		return sys.EACCES
	case writing && !d.grant.Writable:
		return sys.EROFS
	}
	return 0
}

// errno translates an error. One that comes from no system call is that of
// os.Root for a way out of the directory.
func (d *directory) errno(name string, err error) sys.Errno {
	errno := sys.UnwrapOSError(err)
	if errno == sys.EIO && !isSystemError(err) {
		d.deny(name)
		return sys.EPERM
	}
	return errno
}

// deny says in the log of the call, once, that a path leads out.
func (d *directory) deny(name string) {
	c := d.in.current
	if !c.denied {
		c.denied = true
		c.out.record(spi.LevelWarn, spi.StreamLog, []byte("denied: "+escaped(wire.Cut(name, maxDeniedName))+" leads out of the granted directory "+d.grant.Guest))
	}
}

// maxDeniedName bounds what the log says of a path.
const maxDeniedName = 256

// local makes a path relative to the directory: wazero puts a slash before
// the names in a directory that the guest has opened as ".".
func local(name string) string {
	if name = strings.TrimLeft(name, "/"); name == "" {
		return "."
	}
	return name
}

func isSystemError(err error) bool {
	_, ok := errors.AsType[syscall.Errno](err)
	return ok
}

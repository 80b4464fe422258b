package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

const (
	workspacePrefix = "elasticjob-"
	workspaceLock   = "host.lock"
	// leftoverAge is more than the time between the making of a lock file and
	// its locking.
	leftoverAge = time.Minute
)

// workspace is the private directory of a host, in which every program has one
// of its own. A file in it is locked as long as the host lives, whatever becomes
// of its process id. It is safe for concurrent use.
type workspace struct {
	parent string // "" is the system's

	mu     sync.Mutex // held while directories are made, which others wait for
	dir    string     // "" until it is needed
	lock   *os.File   // nil where files cannot be locked
	made   int        // directories of programs
	closed bool
}

// newDir makes the directory of one program. The first time, it removes what
// hosts that were killed have left.
func (w *workspace) newDir() (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return "", spi.NewError(spi.CodeUnavailable, "the host of processes is closed")
	}
	if w.dir == "" {
		removeLeftovers(w.parent, time.Now())
		if err := w.open(); err != nil {
			return "", fmt.Errorf("making a private directory: %w", err)
		}
	}
	w.made++
	dir := filepath.Join(w.dir, strconv.Itoa(w.made))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("making a private directory: %w", err)
	}
	return dir, nil
}

// open makes and locks the directory of the host.
func (w *workspace) open() error {
	dir, err := os.MkdirTemp(w.parent, workspacePrefix)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(dir, workspaceLock), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	if locked, err := tryLock(file); err != nil || !locked {
		// Without a lock file nobody takes the directory for a leftover.
		if err := errors.Join(file.Close(), os.Remove(file.Name())); err != nil {
			return errors.Join(err, os.RemoveAll(dir))
		}
		file = nil
	}
	w.dir, w.lock = dir, file
	return nil
}

// close removes the directory. It is called when nothing runs any more.
func (w *workspace) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	var err error
	if w.lock != nil {
		err = w.lock.Close()
		w.lock = nil
	}
	if w.dir != "" {
		err = errors.Join(err, os.RemoveAll(w.dir))
		w.dir = ""
	}
	return err
}

// removeLeftovers removes the directories of hosts of this user that live no
// more. What cannot be removed is left to the next host.
func removeLeftovers(parent string, now time.Time) {
	if parent == "" {
		parent = os.TempDir()
	}
	entries, err := os.ReadDir(parent)
	if err != nil {
		return // making a directory in it will say so
	}
	for _, entry := range entries {
		if entry.IsDir() && strings.HasPrefix(entry.Name(), workspacePrefix) {
			removeLeftover(filepath.Join(parent, entry.Name()), now)
		}
	}
}

func removeLeftover(dir string, now time.Time) {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || !isOwn(info) {
		return
	}
	path := filepath.Join(dir, workspaceLock)
	info, err = os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || now.Sub(info.ModTime()) < leftoverAge {
		return
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return
	}
	locked, err := tryLock(file)
	_ = file.Close() // an open file could not be removed everywhere
	if err == nil && locked {
		_ = os.RemoveAll(dir) // the next host tries again
	}
}

package wasm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
)

// DefaultCacheBytes bounds the disk cache when the Config does not.
const DefaultCacheBytes = 512 << 20

// diskCache keeps compiled modules, one directory for each sha256, whose
// modification time says when it was used last. Processes may share it: an
// entry that another one removes is compiled again. It is safe for concurrent
// use.
type diskCache struct {
	dir      string
	bytes    int64
	readOnly bool

	mu sync.Mutex // one clean-up at a time
}

// newDiskCache prepares the directory. It holds native code that this process
// will run, so nobody else may write to it.
func newDiskCache(dir string, bytes int64, readOnly bool) (*diskCache, error) {
	if bytes <= 0 {
		bytes = DefaultCacheBytes
	}
	d := &diskCache{dir: dir, bytes: bytes, readOnly: readOnly}
	prepare := func() error { return os.MkdirAll(dir, 0o700) }
	if readOnly {
		prepare = func() error { return checkMakeable(dir) }
	}
	if err := prepare(); err != nil {
		return nil, fmt.Errorf("making the compile cache: %w", err)
	}
	info, err := os.Stat(dir)
	if readOnly && errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, fmt.Errorf("making the compile cache: %w", err)
	}
	if err := checkPrivate(info); err != nil {
		return nil, fmt.Errorf("compile cache %s: %w", dir, err)
	}
	return d, nil
}

// checkMakeable fails as os.MkdirAll would for the most common reasons: what is
// there of the path is no directory, or none that this process may write to.
func checkMakeable(dir string) error {
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case err == nil && !info.IsDir():
			return &fs.PathError{Op: "mkdir", Path: at, Err: errors.New("it is not a directory")}
		case err == nil && at == dir:
			return nil
		case err == nil:
			return checkWritable(at)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		case filepath.Dir(at) == at:
			return err
		}
	}
}

// serves says whether the cache is used for a module: always, or, when it may
// not be changed, when it has the module.
func (d *diskCache) serves(sha string) bool {
	if d == nil || !d.readOnly {
		return d != nil
	}
	info, err := os.Stat(d.entry(sha))
	return err == nil && info.IsDir()
}

func (d *diskCache) entry(sha string) string { return filepath.Join(d.dir, sha) }

// open returns the cache of one module.
func (d *diskCache) open(sha string) (wazero.CompilationCache, error) {
	return wazero.NewCompilationCacheWithDir(d.entry(sha))
}

// used marks an entry as used now and removes the ones that were not used for
// longest until the rest is within the bound.
func (d *diskCache) used(sha string) error {
	if d.readOnly {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()

	now := time.Now()
	if err := os.Chtimes(d.entry(sha), now, now); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("marking a compiled module as used: %w", err)
	}
	return d.evict()
}

type cacheEntry struct {
	path  string
	used  time.Time
	bytes int64
}

func (d *diskCache) evict() error {
	names, err := os.ReadDir(d.dir)
	if err != nil {
		return fmt.Errorf("reading the compile cache: %w", err)
	}
	var entries []cacheEntry
	var total int64
	for _, name := range names {
		info, err := name.Info()
		if err != nil || !info.IsDir() || !isSHA256(name.Name()) {
			continue // removed by another process meanwhile, or not ours
		}
		e := cacheEntry{path: d.entry(name.Name()), used: info.ModTime()}
		e.bytes = treeBytes(e.path)
		total += e.bytes
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b cacheEntry) int { return a.used.Compare(b.used) })
	for _, e := range entries {
		if total <= d.bytes {
			break
		}
		if err := os.RemoveAll(e.path); err != nil {
			return fmt.Errorf("removing a compiled module: %w", err)
		}
		total -= e.bytes
	}
	return nil
}

// drop removes an entry that cannot be used.
func (d *diskCache) drop(sha string) error {
	if d.readOnly {
		return nil
	}
	if err := os.RemoveAll(d.entry(sha)); err != nil {
		return fmt.Errorf("removing a compiled module: %w", err)
	}
	return nil
}

// treeBytes adds up the files below dir. Files that vanish count as nothing.
func treeBytes(dir string) int64 {
	var total int64
	// The function returns no error, so that the walk has none either.
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, gone error) error {
		if gone == nil && entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil
	})
	return total
}

func isSHA256(name string) bool {
	if len(name) != 64 {
		return false
	}
	for _, c := range []byte(name) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

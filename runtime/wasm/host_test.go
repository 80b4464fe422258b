package wasm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

func TestCloseWaitsForCalls(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	plugin := h.JobType(func(module string) spi.LoadRequest { return spi.LoadRequest{Path: module} })
	j, err := plugin.JobType(t.Context(), props.Values{PropModule: prebuilt})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	running := make(chan struct{})
	returned := make(chan spi.Code)
	go func() {
		asked := false
		got := execute(ctx, t, j, "until stop", &recorder{call: func(context.Context, string, []byte) ([]byte, error) {
			if !asked {
				close(running)
			}
			asked = true
			return []byte(`{"stop":false}`), nil
		}})
		returned <- got.code()
	}()
	<-running
	short, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if err := j.(spi.Closer).Close(short); !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), prebuilt) {
		t.Errorf("Close while a call runs = %v, want it to wait until its context ends", err)
	}
	if got := execute(t.Context(), t, j, "say:hello"); got.code() != spi.CodeUnavailable {
		t.Errorf("Execute after Close = %v, want %v", got.err, spi.CodeUnavailable)
	}
	cancel(spi.ErrStopping)
	if code := <-returned; code != spi.CodeCancelled {
		t.Errorf("the running call = %v, want %v", code, spi.CodeCancelled)
	}
	if err := j.(spi.Closer).Close(t.Context()); err != nil {
		t.Errorf("Close after the call returned = %v", err)
	}
}

func TestHostClose(t *testing.T) {
	t.Parallel()
	h, err := New(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := h.Load(t.Context(), spi.LoadRequest{Path: prebuilt, Isolation: spi.IsolationPooled})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.Close(t.Context()); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
	if err := b.Close(t.Context()); err != nil {
		t.Errorf("Close of a bundle after its host = %v", err)
	}
	_, err = h.Load(t.Context(), spi.LoadRequest{Path: prebuilt})
	if e, ok := errors.AsType[*spi.Error](err); !ok || e.Code != spi.CodeUnavailable {
		t.Errorf("Load after Close = %v, want %v", err, spi.CodeUnavailable)
	}
}

func TestCompiledOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	var group sync.WaitGroup
	bundles := make(chan *spi.Bundle, 8)
	for range cap(bundles) {
		group.Go(func() {
			b, err := h.Load(t.Context(), spi.LoadRequest{Path: prebuilt})
			if err != nil {
				t.Errorf("Load = %v", err)
				return
			}
			bundles <- b
		})
	}
	group.Wait()
	close(bundles)
	h.programs.mu.Lock()
	for _, held := range h.programs.bySHA {
		if held.refs != 8 {
			t.Errorf("%d loads hold the program, want 8", held.refs)
		}
	}
	if len(h.programs.bySHA) != 1 {
		t.Errorf("%d programs, want 1", len(h.programs.bySHA))
	}
	h.programs.mu.Unlock()
	for b := range bundles {
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	h.programs.mu.Lock()
	defer h.programs.mu.Unlock()
	if len(h.programs.bySHA) != 0 {
		t.Errorf("%d programs after the last load was closed, want 0", len(h.programs.bySHA))
	}
}

func TestLoadIsCancelled(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(spi.ErrStopping)
	path := slowToCompile(t)
	if _, err := h.Load(ctx, spi.LoadRequest{Path: path}); !errors.Is(err, spi.ErrStopping) {
		t.Errorf("Load = %v, want %v", err, spi.ErrStopping)
	}
	// The abandoned compilation does not get in the way of a later load.
	b, err := h.Load(t.Context(), spi.LoadRequest{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// slowToCompile has a function that takes wazero long: its time grows with the
// square of the depth.
func slowToCompile(t *testing.T) string {
	t.Helper()
	const depth = 4000
	a := reactor(constant(0))
	a.functions = append(a.functions, function{typ: typeVoid, code: append(bytes.Repeat([]byte{opLoop, emptyType}, depth), bytes.Repeat([]byte{opEnd}, depth)...)})
	return writeFile(t, a.bytes())
}

func TestSlowCompiler(t *testing.T) {
	t.Parallel()
	h, err := New(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	path := slowToCompile(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := h.Load(ctx, spi.LoadRequest{Path: path}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Load = %v, want it to end with its context", err)
	}
	if err := h.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close = %v, want it to end with its context", err)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Errorf("Close = %v, want it to wait for the compiler", err)
	}
}

func cacheEntries(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "wazero-*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func load(t *testing.T, c Config, paths ...string) {
	t.Helper()
	h := newHost(t, c)
	for _, path := range paths {
		b, err := h.Load(t.Context(), spi.LoadRequest{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestDiskCache(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "cache")
	load(t, Config{CacheDir: dir}, prebuilt)
	entries := cacheEntries(t, dir)
	if len(entries) != 1 {
		t.Fatalf("cache = %v, want one file", entries)
	}
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if goruntime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("cache has mode %v, want 0700", info.Mode())
	}
	before, err := os.Stat(entries[0])
	if err != nil {
		t.Fatal(err)
	}
	load(t, Config{CacheDir: dir}, prebuilt)
	if after, err := os.Stat(entries[0]); err != nil || !os.SameFile(before, after) {
		t.Errorf("the second load wrote the cache again: %v", err)
	}
	// A damaged file costs a compilation and is replaced.
	for _, damaged := range [][]byte{nil, []byte("garbage"), readAll(t, entries[0])[:100]} {
		if err := os.WriteFile(entries[0], damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		load(t, Config{CacheDir: dir}, prebuilt)
		load(t, Config{CacheDir: dir}, prebuilt)
		if repaired, err := os.Stat(entries[0]); err != nil || repaired.Size() != before.Size() {
			t.Errorf("the damaged cache was not repaired: %v, %v", repaired, err)
		}
	}
}

func TestDiskCacheIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := filepath.Join(dir, "not-ours")
	if err := os.WriteFile(other, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	first, second, third := reactor(constant(0)), reactor(constant(1)), reactor(constant(2))
	a, b, c := writeFile(t, first.bytes()), writeFile(t, second.bytes()), writeFile(t, third.bytes())
	load(t, Config{CacheDir: dir}, a, b)
	entries := cacheEntries(t, dir)
	if len(entries) != 2 {
		t.Fatalf("cache = %v, want two files", entries)
	}
	info, err := os.Stat(entries[0])
	if err != nil {
		t.Fatal(err)
	}
	// The first is the older one, but is used again.
	old := time.Now().Add(-time.Hour)
	for i, path := range []string{a, b} {
		f, err := readFile(path, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(dir, f.sha), old, old.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	bound := 2*info.Size() + 64
	load(t, Config{CacheDir: dir, CacheBytes: bound}, a, c)
	left := strings.Join(cacheEntries(t, dir), " ")
	for path, want := range map[string]bool{a: true, b: false, c: true} {
		f, err := readFile(path, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(left, f.sha); got != want {
			t.Errorf("cache holds %s: %v, want %v", path, got, want)
		}
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("a file of somebody else is gone: %v", err)
	}
}

func TestDiskCacheOfOthersIsRefused(t *testing.T) {
	t.Parallel()
	if goruntime.GOOS == "windows" {
		return // directories inherit an access list there
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if h, err := New(t.Context(), Config{CacheDir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("New = %v, %v, want an error that names the directory", h, err)
	}
}

// TestDiskCacheIsShared has several hosts, as of several processes, use one
// directory whose bound makes each remove what the others need.
func TestDiskCacheIsShared(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var paths []string
	for i := range 4 {
		a := reactor(constant(int32(i)))
		paths = append(paths, writeFile(t, a.bytes()))
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			h, err := New(t.Context(), Config{CacheDir: dir, CacheBytes: 1})
			if err != nil {
				t.Error(err)
				return
			}
			for i := range 20 {
				b, err := h.Load(t.Context(), spi.LoadRequest{Path: paths[i%len(paths)]})
				if err != nil {
					t.Errorf("Load = %v", err)
					continue
				}
				if err := b.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if err := h.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestReadOnlyCacheChangesNothing(t *testing.T) {
	t.Parallel()
	path := writeFile(t, reactor(constant(0)).bytes())
	dir := filepath.Join(t.TempDir(), "cache")
	use := func(readOnly bool) {
		t.Helper()
		h := newHost(t, Config{CacheDir: dir, CacheReadOnly: readOnly})
		b, err := h.Load(t.Context(), spi.LoadRequest{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	use(true)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Stat(%s) = %v, want that there is no such directory", dir, err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	use(true)
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Fatalf("ReadDir(%s) = %v, %v, want nothing", dir, names, err)
	}
	use(false)
	before := treeBytes(dir)
	use(true)
	if after := treeBytes(dir); before == 0 || after != before {
		t.Errorf("the cache has %d bytes, then %d, want the same and more than 0", before, after)
	}
}

func TestReadOnlyCacheThatCouldNotBeMade(t *testing.T) {
	t.Parallel()
	file := writeFile(t, nil)
	dir := filepath.Join(file, "data", "cache")
	if h, err := New(t.Context(), Config{CacheDir: dir, CacheReadOnly: true}); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("New = %v, %v, want that %s is not a directory", h, err, file)
	}
}

// TestAFaultOfTheCacheIsNotBlamedOnTheModule has an entry that is no directory.
func TestAFaultOfTheCacheIsNotBlamedOnTheModule(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	dir := t.TempDir()
	path := writeFile(t, reactor(constant(0)).bytes())
	h := newHost(t, Config{CacheDir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	entry := filepath.Join(dir, fmt.Sprintf("%x", sha256.Sum256(readAll(t, path))))
	if err := os.WriteFile(entry, nil, 0o600); err != nil { // a file where a directory is wanted
		t.Fatal(err)
	}
	b, err := h.Load(t.Context(), spi.LoadRequest{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if text := log.String(); !strings.Contains(text, "compile cache not used") || strings.Contains(text, "not a valid WebAssembly") {
		t.Errorf("log = %s, want that the cache was not used, and no blame for the module", text)
	}
}

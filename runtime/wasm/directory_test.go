package wasm

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/experimental/sys"

	"github.com/elasticjob-go/elasticjob/spi"
)

// tree makes a granted directory with a neighbour that must not be reached.
//
//	outside/secret     "secret"
//	data/plain         "content"
//	data/sub/deep      "deep"
//	data/inside     -> sub/deep
//	data/up         -> sub/../plain
//	data/out        -> ../outside/secret
//	data/outdir     -> ../outside
//	data/absolute   -> …/outside/secret
//	data/loop       -> loop
func tree(t *testing.T) (data, outside string) {
	t.Helper()
	base := t.TempDir()
	data, outside = filepath.Join(base, "data"), filepath.Join(base, "outside")
	secret := filepath.Join(outside, "secret")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.MkdirAll(filepath.Join(data, "sub"), 0o700))
	check(os.Mkdir(outside, 0o700))
	for path, text := range map[string]string{secret: "secret", filepath.Join(data, "plain"): "content", filepath.Join(data, "sub", "deep"): "deep"} {
		check(os.WriteFile(path, []byte(text), 0o600))
	}
	for name, target := range map[string]string{
		"inside": "sub/deep", "up": "sub/../plain", "out": "../outside/secret", "outdir": "../outside", "absolute": secret, "loop": "loop",
	} {
		check(os.Symlink(filepath.FromSlash(target), filepath.Join(data, name)))
	}
	return data, outside
}

func granting(dirs ...spi.Dir) func(*spi.LoadRequest) {
	return func(r *spi.LoadRequest) { r.Grants.Dirs = dirs }
}

// snapshot lists what a directory holds, with contents.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		content := []byte(nil)
		if d.Type().IsRegular() {
			content, err = os.ReadFile(path)
		}
		fmt.Fprintf(&b, "%s %v %q\n", path, d.Type(), content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const (
	notPermitted = "Operation not permitted"
	readOnly     = "Read-only file system"
	noSuchFile   = "No such file or directory"
	notGranted   = "Capabilities insufficient" // what wasi-libc says of paths below no directory
	// betweenDirectories has programs copy instead.
	betweenDirectories = "Cross-device link"
)

// TestGrantedDirectory uses a directory as a module does.
func TestGrantedDirectory(t *testing.T) {
	t.Parallel()
	for _, isolation := range []spi.Isolation{spi.IsolationFresh, spi.IsolationPooled} {
		data, outside := tree(t)
		before := snapshot(t, outside)
		j := newJob(t, prebuilt, granting(spi.Dir{Path: data, Guest: "/data", Writable: true}), func(r *spi.LoadRequest) { r.Isolation = isolation })
		for _, c := range []struct{ do, want string }{
			{"read|/data/plain", "content"},
			{"read|/data/sub/../plain", "content"},
			{"read|/data/inside", "deep"},
			{"read|/data/up", "content"},
			{"nofollow|/data/inside", "Symbolic link loop"},
			{"within|/data/sub|deep", "deep"},
			{"within|/data/.|plain", "content"},
			{"within|/data/sub|../plain", notPermitted}, // a path below an open directory goes no higher than that
			{"read|/data/missing", noSuchFile},
			{"read|/data", "Is a directory"},
			{"list|/data/sub", "deep 1"},
			{"stat|/data/plain", "file 7"},
			{"stat|/data/inside", "file 4"},
			{"lstat|/data/inside", "link 0"},
			{"stat|/data/sub", "directory 0"},
			{"readlink|/data/inside", "sub/deep"},
			{"write|/data/new|one", "ok"},
			{"append|/data/new|two", "ok"},
			{"read|/data/new", "onetwo"},
			{"update|/data/new|ONE", "ok"},
			{"read|/data/new", "ONEtwo"},
			{"truncate|/data/new", "ok"},
			{"read|/data/new", "ONE"},
			{"create|/data/new|x", "File exists"},
			{"times|/data/new", "ok"},
			{"futimes|/data/new", "ok"},
			{"mkdir|/data/made", "ok"},
			{"mkdir|/data/made", "File exists"},
			{"rename|/data/new|/data/made/moved", "ok"},
			{"list|/data/made", "moved 1"},
			{"rmdir|/data/made", "Directory not empty"},
			{"rmdir|/data/made/moved", "Not a directory"},
			{"unlink|/data/made", "Is a directory"},
			{"link|/data/made/moved|/data/made/second", "ok"},
			{"read|/data/made/second", "ONE"},
			{"symlink|moved|/data/made/third", "ok"},
			{"read|/data/made/third", "ONE"},
			{"unlink|/data/made/moved", "ok"},
			{"unlink|/data/made/second", "ok"},
			{"unlink|/data/made/third", "ok"},
			{"rmdir|/data/made", "ok"},
			{"read|/etc/passwd", notGranted},
		} {
			if got := execute(t.Context(), t, j, "files:"+c.do); got.message != c.want || got.err != nil {
				t.Errorf("%s, %s = %q, %v, want %q", isolation, c.do, got.message, got.err, c.want)
			}
		}
		if after := snapshot(t, outside); after != before {
			t.Errorf("outside was changed from\n%s\nto\n%s", before, after)
		}
	}
}

// TestNoWayOutOfADirectory tries every operation on every path that leads out.
func TestNoWayOutOfADirectory(t *testing.T) {
	t.Parallel()
	data, outside := tree(t)
	before := snapshot(t, outside)
	j := newJob(t, prebuilt, granting(spi.Dir{Path: data, Guest: "/data", Writable: true}))
	secret := filepath.ToSlash(filepath.Join(outside, "secret"))
	paths := []string{
		"/data/../outside/secret", "/data/sub/../../outside/secret", "/data/out", "/data/outdir/secret", "/data/absolute",
		"/data/sub/../out", "/data/sub/../outdir/secret", "/data/loop", "/data/loop/secret", "/data//" + secret, secret,
	}
	for _, path := range paths {
		for _, do := range []string{
			"read|" + path, "within|/data/sub|" + path, "within|/data/outdir|secret", "list|" + path, "write|" + path + "|x", "append|" + path + "|x", "update|" + path + "|x",
			"truncate|" + path, "stat|" + path, "times|" + path, "futimes|" + path, "mkdir|" + path + "/made", "rename|/data/plain|" + path + "/x",
			"rename|" + path + "/x|/data/x", "link|/data/plain|" + path + "/x", "symlink|plain|" + path + "/x", "rmdir|" + path + "/x", "unlink|" + path + "/x", "create|" + path + "/x|x",
		} {
			got := execute(t.Context(), t, j, "files:"+do)
			switch {
			case got.err != nil:
				t.Errorf("%s = %v, want an error in the guest", do, got.err)
			case got.message == "ok", got.message == "secret", strings.HasPrefix(got.message, "file"), strings.Contains(got.message, "secret "):
				t.Errorf("%s = %q, want an error", do, got.message)
			}
		}
	}
	// The links themselves are in the directory: they may be moved and removed.
	// What they lead to may not be reached by another way either.
	for _, c := range []struct{ do, want string }{
		{"link|/data/out|/data/hard", "ok"},
		{"read|/data/hard", notPermitted},
		{"rename|/data/outdir|/data/sub/outdir", "ok"},
		{"read|/data/sub/outdir/secret", noSuchFile}, // ../outside is data/outside there
		{"rename|/data/sub/outdir|/data/outdir", "ok"},
		{"read|/data/outdir/secret", notPermitted},
		{"symlink|../outside/secret|/data/l1", notPermitted},
		{"symlink|sub/../../outside/secret|/data/l2", notPermitted},
		{"symlink|" + secret + "|/data/l3", notPermitted},
		{"symlink|../plain|/data/sub/l4", notPermitted}, // it would lead out once moved up
		{"symlink|outdir|/data/l5", "ok"},
		{"read|/data/l5/secret", notPermitted},
		{"write|/data/l5/secret|x", notPermitted},
		{"symlink|/data/sub|/data/l6", notPermitted},
	} {
		if got := execute(t.Context(), t, j, "files:"+c.do); got.message != c.want || got.err != nil {
			t.Errorf("%s = %q, %v, want %q", c.do, got.message, got.err, c.want)
		}
	}
	if after := snapshot(t, outside); after != before {
		t.Errorf("outside was changed from\n%s\nto\n%s", before, after)
	}
	if _, err := os.Lstat(filepath.Join(data, "plain")); err != nil {
		t.Errorf("the file that was to be moved out: %v", err)
	}
}

func TestManyDirectories(t *testing.T) {
	t.Parallel()
	data, _ := tree(t)
	var dirs []spi.Dir
	for i := range 2 * maxOpenFiles {
		dirs = append(dirs, spi.Dir{Path: data, Guest: fmt.Sprintf("/data/%d", i)})
	}
	if got := execute(t.Context(), t, newJob(t, prebuilt, granting(dirs...)), "files:read|/data/100/plain"); got.message != "content" {
		t.Errorf("read = %v, want content", got)
	}
}

func TestDeniedPathIsLoggedOnce(t *testing.T) {
	t.Parallel()
	data, _ := tree(t)
	j := newJob(t, prebuilt, granting(spi.Dir{Path: data, Guest: "/data"}))
	got := execute(t.Context(), t, j, "files:within|/data/outdir|secret")
	lines := got.lines()
	if want := "denied: outdir leads out of the granted directory /data"; len(lines) != 1 || lines[0] != want {
		t.Errorf("log = %q, want %q", lines, want)
	}
	writable := newJob(t, prebuilt, granting(spi.Dir{Path: data, Guest: "/data", Writable: true}))
	lines = execute(t.Context(), t, writable, "files:rename|/data/plain|/data/outdir/x").lines()
	if want := "denied: plain or outdir/x leads out of the granted directory /data"; len(lines) != 1 || lines[0] != want {
		t.Errorf("log = %q, want %q", lines, want)
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	data, _ := tree(t)
	before := snapshot(t, data)
	j := newJob(t, prebuilt, granting(spi.Dir{Path: data, Guest: "/data"}))
	for _, do := range []string{
		"write|/data/plain|x", "append|/data/plain|x", "update|/data/plain|x", "create|/data/new|x", "truncate|/data/plain", "times|/data/plain", "futimes|/data/plain",
		"mkdir|/data/made", "rmdir|/data/sub", "unlink|/data/plain", "rename|/data/plain|/data/x", "link|/data/plain|/data/x", "symlink|plain|/data/x",
	} {
		if got := execute(t.Context(), t, j, "files:"+do); got.message != readOnly || got.err != nil {
			t.Errorf("%s = %q, %v, want %q", do, got.message, got.err, readOnly)
		}
	}
	if got := execute(t.Context(), t, j, "files:read|/data/plain"); got.message != "content" {
		t.Errorf("read = %q, %v, want content", got.message, got.err)
	}
	if after := snapshot(t, data); after != before {
		t.Errorf("the directory was changed from\n%s\nto\n%s", before, after)
	}
}

func TestSeveralDirectories(t *testing.T) {
	t.Parallel()
	first, _ := tree(t)
	second := t.TempDir()
	j := newJob(t, prebuilt, granting(spi.Dir{Path: first, Guest: "/in"}, spi.Dir{Path: second, Guest: "/out/dir", Writable: true}))
	for _, c := range []struct{ do, want string }{
		{"read|/in/plain", "content"},
		{"write|/out/dir/a|b", "ok"},
		{"write|/in/a|b", readOnly},
		{"read|/out/dir/a", "b"},
		{"rename|/in/plain|/out/dir/plain", betweenDirectories},
		{"link|/in/plain|/out/dir/plain", betweenDirectories},
		{"read|/out/plain", notGranted},
	} {
		if got := execute(t.Context(), t, j, "files:"+c.do); got.message != c.want {
			t.Errorf("%s = %q, %v, want %q", c.do, got.message, got.err, c.want)
		}
	}
}

func TestHugeNames(t *testing.T) {
	t.Parallel()
	data, _ := tree(t)
	j := newJob(t, prebuilt, granting(spi.Dir{Path: data, Guest: "/data", Writable: true}))
	for do, want := range map[string]string{
		"long|/data/":   "Filename too long",
		"long|/data/..": "Filename too long",
		"mkdir|/data/" + strings.Repeat("m", 300):             "Filename too long",
		"read|/data/" + strings.Repeat("sub/../", 200) + "no": noSuchFile,
		"read|/data/a\x01b\xff":                               noSuchFile,
	} {
		if got := execute(t.Context(), t, j, "files:"+do); got.message != want || got.err != nil {
			t.Errorf("%.40q = %q, %v, want %q", do, got.message, got.err, want)
		}
	}
}

func TestOpenFilesAreBoundedAndClosed(t *testing.T) {
	t.Parallel()
	data, _ := tree(t)
	j := newJob(t, prebuilt, granting(spi.Dir{Path: data, Guest: "/data"}))
	if got := execute(t.Context(), t, j, "files:keep all|/data/plain"); got.code() != spi.CodeLimit || !strings.Contains(got.err.Message, "64 files") {
		t.Errorf("Execute = %v %v, want %v", got.code(), got.err, spi.CodeLimit)
	}
	// A pooled instance keeps them, until it is discarded at the bound.
	pooled := newJob(t, prebuilt, granting(spi.Dir{Path: data, Guest: "/data"}), pooledIsolation)
	failed := 0
	for range 14 {
		if got := execute(t.Context(), t, pooled, "files:keep|/data/plain"); got.code() == spi.CodeLimit {
			failed++
		}
	}
	if failed != 2 {
		t.Errorf("%d of 14 calls that open 10 files each reached the bound, want 2", failed)
	}
	if goruntime.GOOS == "linux" {
		if open := openIn(t, data); open > 2+14*10%64+1 {
			t.Errorf("%d descriptors are open in the directory, want those of the idle instance only", open)
		}
	}
}

// openIn counts the descriptors of this process in a directory.
func openIn(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); err == nil && strings.HasPrefix(target, dir) {
			n++
		}
	}
	return n
}

func TestDirectoryThatVanished(t *testing.T) {
	t.Parallel()
	data, _ := tree(t)
	j := newJob(t, prebuilt, granting(spi.Dir{Path: data, Guest: "/data"}))
	if err := os.Rename(data, data+".away"); err != nil {
		t.Fatal(err)
	}
	if got := execute(t.Context(), t, j, "say:hello"); got.code() != spi.CodeUnavailable || !got.err.Retryable || !strings.Contains(got.err.Message, data) {
		t.Errorf("Execute = %v %v, want %v with the directory", got.code(), got.err, spi.CodeUnavailable)
	}
	if err := os.Rename(data+".away", data); err != nil {
		t.Fatal(err)
	}
	if got := execute(t.Context(), t, j, "files:read|/data/plain"); got.message != "content" {
		t.Errorf("Execute = %q, %v, want content once the directory is back", got.message, got.err)
	}
}

// TestDirectoryChangesUnderneath swaps a directory for a link out while guests
// go through it.
func TestDirectoryChangesUnderneath(t *testing.T) {
	t.Parallel()
	data, outside := tree(t)
	if err := os.WriteFile(filepath.Join(outside, "deep"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	j := newJob(t, prebuilt, granting(spi.Dir{Path: data, Guest: "/data"}), pooledIsolation)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		sub, away := filepath.Join(data, "sub"), filepath.Join(data, "away")
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Rename(sub, away)
			_ = os.Symlink("../outside", sub)
			_ = os.Remove(sub)
			_ = os.Rename(away, sub)
		}
	}()
	seen := map[string]int{}
	for range 2000 {
		seen[execute(t.Context(), t, j, "files:read|/data/sub/deep").message]++
	}
	close(stop)
	<-stopped
	if seen["secret"] > 0 {
		t.Errorf("the guest read %v, want never what is outside", seen)
	}
}

// TestDirectoryWhileStarting has the directory be there, but closed.
func TestDirectoryWhileStarting(t *testing.T) {
	t.Parallel()
	data, _ := tree(t)
	root, err := os.OpenRoot(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	in := &instance{current: newCall(t.Context(), nil)}
	d := &directory{in: in, grant: spi.Dir{Path: data, Guest: "/data", Writable: true}, root: root}
	top, errno := d.OpenFile(".", sys.O_RDONLY, 0)
	if errno != 0 {
		t.Fatalf("OpenFile(.) = %v, want success, because run-time libraries look for it", errno)
	}
	t.Cleanup(func() { _ = top.Close() })
	if entries, errno := top.Readdir(10); errno != sys.EACCES {
		t.Errorf("Readdir = %v, %v, want %v", entries, errno, sys.EACCES)
	}
	if _, errno := d.OpenFile("plain", sys.O_RDONLY, 0); errno != sys.EACCES {
		t.Errorf("OpenFile(plain) = %v, want %v", errno, sys.EACCES)
	}
	if _, errno := d.Stat("plain"); errno != sys.EACCES {
		t.Errorf("Stat(plain) = %v, want %v", errno, sys.EACCES)
	}
	if _, errno := d.Readlink("out"); errno != sys.EACCES {
		t.Errorf("Readlink(out) = %v, want %v", errno, sys.EACCES)
	}
	if errno := d.Mkdir("made", 0o700); errno != sys.EACCES {
		t.Errorf("Mkdir(made) = %v, want %v", errno, sys.EACCES)
	}
	in.current.serving = true
	if entries, errno := top.Readdir(100); errno != 0 || len(entries) != 8 {
		t.Errorf("Readdir = %v, %v, want 8 entries", entries, errno)
	}
}

func TestTimesOfFiles(t *testing.T) {
	t.Parallel()
	data, _ := tree(t)
	j := newJob(t, prebuilt, granting(spi.Dir{Path: data, Guest: "/data", Writable: true}))
	for _, do := range []string{"times|/data/plain", "futimes|/data/sub/deep"} {
		_, name, _ := strings.Cut(do, "/data/")
		if got := execute(t.Context(), t, j, "files:"+do); got.message != "ok" {
			t.Fatalf("%s = %q, %v", do, got.message, got.err)
		}
		info, err := os.Stat(filepath.Join(data, filepath.FromSlash(name)))
		if err != nil || !info.ModTime().Equal(time.Unix(1e9, 0)) {
			t.Errorf("%s: ModTime = %v, %v, want %v", do, info.ModTime(), err, time.Unix(1e9, 0))
		}
	}
}

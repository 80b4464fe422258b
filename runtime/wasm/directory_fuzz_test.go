package wasm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/experimental/sys"

	"github.com/elasticjob-go/elasticjob/spi"
)

// FuzzDirectory does one thing after the other to a directory, with any paths:
// what is outside is neither read nor changed.
func FuzzDirectory(f *testing.F) {
	for op := range uint8(12) {
		f.Add(op, "out", "sub/x")
		f.Add(op, "sub/../outdir/secret", "../outside/x")
		f.Add(op, "/../outside/secret", "outdir")
	}
	f.Add(uint8(0), "absolute", "")
	f.Add(uint8(0), "loop/secret", "")
	f.Add(uint8(6), "outdir", "sub/outdir")
	f.Add(uint8(9), "..\x00", "a/./b//c/")
	f.Fuzz(func(t *testing.T, op uint8, a, b string) {
		data, outside := fuzzTree(t)
		root, err := os.OpenRoot(data)
		if err != nil {
			t.Fatal(err)
		}
		in := &instance{current: newCall(t.Context(), nil)}
		in.current.serving = true
		d := &directory{in: in, grant: spi.Dir{Path: data, Guest: "/data", Writable: true}, root: root}
		for _, path := range []string{a, b} {
			operate(t, d, op, path, a+b)
			// Whatever was done, reading does not lead out.
			operate(t, d, 0, path, "")
			operate(t, d, 0, path+"/secret", "")
		}
		operate(t, d, op, a, b)
		operate(t, d, 0, b, "")
		if in.openFiles != 0 {
			t.Errorf("%d files are open", in.openFiles)
		}
		if err := root.Close(); err != nil {
			t.Error(err)
		}
		secret, err := os.ReadFile(filepath.Join(outside, "secret"))
		entries, _ := os.ReadDir(outside)
		around, _ := os.ReadDir(filepath.Dir(data))
		if err != nil || string(secret) != "secret" || len(entries) != 1 || len(around) != 2 {
			t.Errorf("outside are %v beside %v, and the secret is %q, %v", entries, around, secret, err)
		}
	})
}

// fuzzTree is a small tree; making a large one would be most of the work.
func fuzzTree(t *testing.T) (data, outside string) {
	t.Helper()
	base := t.TempDir()
	data, outside = filepath.Join(base, "data"), filepath.Join(base, "outside")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(data, "sub"), 0o700),
		os.Mkdir(outside, 0o700),
		os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600),
		os.Symlink("../outside/secret", filepath.Join(data, "out")),
		os.Symlink("../outside", filepath.Join(data, "outdir")),
		os.Symlink(outside, filepath.Join(data, "absolute")),
		os.Symlink("loop", filepath.Join(data, "loop")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return data, outside
}

func operate(t *testing.T, d *directory, op uint8, a, b string) {
	t.Helper()
	open := func(flag sys.Oflag) {
		file, errno := d.OpenFile(a, flag, 0o600)
		if errno != 0 {
			return
		}
		content := make([]byte, 16)
		if n, _ := file.Pread(content, 0); strings.HasPrefix(string(content[:n]), "secret") {
			t.Errorf("OpenFile(%q) has read the secret", a)
		}
		if entries, errno := file.Readdir(10); errno == 0 {
			for _, e := range entries {
				if e.Name == "secret" && !strings.Contains(a, "secret") {
					t.Errorf("Readdir(%q) has listed the secret", a)
				}
			}
		}
		_, _ = file.Write([]byte("written"))
		_ = file.Truncate(1)
		_ = file.Utimens(1, 1)
		_ = file.Close()
	}
	switch op % 12 {
	case 0:
		open(sys.O_RDONLY)
	case 1:
		open(sys.O_RDWR | sys.O_CREAT)
	case 2:
		open(sys.O_WRONLY | sys.O_TRUNC | sys.O_CREAT | sys.O_NOFOLLOW)
	case 3:
		_, _ = d.Stat(a)
		_, _ = d.Lstat(a)
	case 4:
		_, _ = d.Readlink(a)
	case 5:
		_ = d.Mkdir(a, 0o700)
	case 6:
		_ = d.Rename(a, b)
	case 7:
		_ = d.Rmdir(a)
	case 8:
		_ = d.Unlink(a)
	case 9:
		_ = d.Link(a, b)
	case 10:
		_ = d.Symlink(a, b)
	default:
		_ = d.Utimens(a, 1, sys.UTIME_OMIT)
	}
}

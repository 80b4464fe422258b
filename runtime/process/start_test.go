package process

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// TestNotPlugins loads programs that are none, or do not start.
func TestNotPlugins(t *testing.T) {
	t.Parallel()
	tests := []struct {
		mode    string
		timeout time.Duration
		code    spi.Code
		want    []string
	}{
		{mode: "exit", code: spi.CodeProtocol, want: []string{"without a handshake", "exit status 0"}},
		{mode: "complain", code: spi.CodeProtocol, want: []string{"without a handshake", "exit status 3", "no licence found"}},
		{mode: "garbage", code: spi.CodeProtocol, want: []string{`it wrote "hello world" instead of a handshake`}},
		{mode: "flood", code: spi.CodeProtocol, want: []string{`it wrote "xxxx`, "instead of a handshake"}},
		{mode: "cookie", code: spi.CodeProtocol, want: []string{"without a handshake", "exit status 1", "is an elasticjob plugin", "TEST_SHARD"}},
		{mode: "version", code: spi.CodeProtocol, want: []string{`version "2" of the plugin protocol, this host version 1`}},
		{mode: "plain", code: spi.CodeProtocol, want: []string{"certificate"}},
		{mode: "nobody", code: spi.CodeProtocol, want: []string{"x509"}},
		{mode: "hang", timeout: 300 * time.Millisecond, code: spi.CodeTimeout, want: []string{"it did not start: no handshake and connection within 300ms", "timeout"}},
		{mode: "foreign", code: spi.CodeProtocol, want: []string{"attaching it", "unknown service"}},
		{mode: "detached", timeout: time.Second, code: spi.CodeTimeout, want: []string{"it did not start", "timeout"}},
		{mode: "mute", code: spi.CodeTimeout, want: []string{"describing the plugins", "its process was ended"}},
		{mode: "broken", code: spi.CodeProtocol, want: []string{"describing the plugins", "DataLoss: out of paper"}},
		{mode: "wrong", code: spi.CodeProtocol, want: []string{"describing the plugins", "unmarshal"}},
		{mode: "lie", code: spi.CodeProtocol, want: []string{"describing the plugins", `"lower"`}},
		{mode: "nothing", code: spi.CodeFailed, want: []string{"describing the plugins", "nothing is registered"}},
		{mode: "empty", code: spi.CodeProtocol, want: []string{"it lists none"}},
		{mode: "twice", code: spi.CodeProtocol, want: []string{"the jobType TEST is listed twice"}},
		{mode: "many", code: spi.CodeProtocol, want: []string{"it lists more than 256"}},
		{mode: "pool", code: spi.CodeUnsupported, want: []string{"kind executorPool"}},
		{mode: "capability", code: spi.CodeUnsupported, want: []string{`the tracingSink SINK: the capability "dataflow"`}},
	}
	for _, test := range tests {
		t.Run(test.mode, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, map[string]string{"MODE": test.mode}, func(c *Config) {
				if test.timeout > 0 {
					c.StartTimeout = test.timeout
				}
			})
			_, err := h.tryLoad(t)
			if err == nil {
				t.Fatal("Load = nil, want an error")
			}
			if codeOf(err) != test.code {
				t.Errorf("Load = %v, code %v, want %v", err, codeOf(err), test.code)
			}
			for _, want := range append(test.want, pluginPath) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Load = %q, want %q in it", err, want)
				}
			}
		})
	}
}

func TestStartIsCancelled(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{"MODE": "hang"})
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(spi.ErrStopping) })
	begin := time.Now()
	if _, err := h.Load(ctx, spi.LoadRequest{Path: pluginPath, Grants: spi.Grants{Env: []string{"MODE"}}}); codeOf(err) != spi.CodeCancelled {
		t.Errorf("Load = %v, want %v", err, spi.CodeCancelled)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("it took %v to give up", took)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	h := newHost(t, nil)
	for name, test := range map[string]struct {
		req  spi.LoadRequest
		code spi.Code
		want string
	}{
		"missing":        {req: spi.LoadRequest{Path: filepath.Join(dir, "none")}, want: ": there is no such file"},
		"a directory":    {req: spi.LoadRequest{Path: dir}, code: spi.CodeProtocol, want: "not a regular file"},
		"empty":          {req: spi.LoadRequest{Path: write("empty", "", 0o700)}, code: spi.CodeProtocol, want: "it is empty"},
		"a module":       {req: spi.LoadRequest{Path: write("module", "\x00asm\x01\x00\x00\x00", 0o700)}, code: spi.CodeProtocol, want: "WebAssembly"},
		"not executable": {req: spi.LoadRequest{Path: write("data", "#!/bin/sh\n", 0o600)}, code: spi.CodeDenied, want: "chmod +x"},
		"no format":      {req: spi.LoadRequest{Path: write("text", "\x01\x02\x03\x04", 0o700)}, code: spi.CodeUnavailable, want: "neither a program for this machine nor a script"},
		"no interpreter": {req: spi.LoadRequest{Path: write("script", "#!/no/such/interpreter\n", 0o700)}, code: spi.CodeUnavailable, want: "the interpreter that its first line names"},
		"checksum":       {req: spi.LoadRequest{Path: pluginPath, SHA256: strings.Repeat("a", 64)}, code: spi.CodeDenied, want: "is expected"},
		"memory":         {req: spi.LoadRequest{Path: pluginPath, Limits: spi.Limits{Memory: 1 << 20}}, code: spi.CodeInvalidProperties, want: "limits.memory"},
		"directories":    {req: spi.LoadRequest{Path: pluginPath, Grants: spi.Grants{Dirs: []spi.Dir{{Path: "/"}}}}, code: spi.CodeInvalidProperties, want: "grants.dirs"},
		"isolation":      {req: spi.LoadRequest{Path: pluginPath, Isolation: spi.IsolationPooled}, code: spi.CodeInvalidProperties, want: "isolation"},
		"concurrency":    {req: spi.LoadRequest{Path: pluginPath, Limits: spi.Limits{Concurrency: -1}}, code: spi.CodeInvalidProperties, want: "negative"},
		"timeout":        {req: spi.LoadRequest{Path: pluginPath, Limits: spi.Limits{Timeout: -1}}, code: spi.CodeInvalidProperties, want: "negative"},
	} {
		_, err := h.Load(t.Context(), test.req)
		if err == nil || codeOf(err) != test.code || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), test.req.Path) {
			t.Errorf("Load(%s) = %v, code %v, want code %v and %q", name, err, codeOf(err), test.code, test.want)
		}
	}
}

// TestScript starts a program by its interpreter, from a copy on disk.
func TestScript(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plugin.sh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho \"I am $0, loaded from $ELASTICJOB_PLUGIN_PATH\" >&2\nexec "+pluginPath+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, nil)
	b := h.load(t, func(r *spi.LoadRequest) { r.Path = path })
	if got, err := execute(t.Context(), t, jobOf(t, b), "say:hello"); err != nil || got != "hello" {
		t.Errorf("Execute = %q, %v", got, err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range h.log.records("plugin output") {
		lines = append(lines, r["line"].(string))
	}
	if said := strings.Join(lines, "\n"); !strings.Contains(said, "loaded from "+path) || strings.Contains(said, "I am "+path) {
		t.Errorf("the script said %q, want a copy of %s", said, path)
	}
}

// TestWhatWasCheckedIsExecuted replaces the file between check and start, in
// both ways in which that can be done.
func TestWhatWasCheckedIsExecuted(t *testing.T) {
	t.Parallel()
	original, err := os.ReadFile(pluginPath)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(original)
	for name, replace := range map[string]func(path string) error{
		"written over": func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("#!/bin/sh\necho replaced >&2\n")
			return errors.Join(err, f.Close())
		},
		"renamed over": func(path string) error {
			if err := os.WriteFile(path+".new", []byte("#!/bin/sh\necho replaced >&2\n"), 0o700); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
	} {
		for _, inMemory := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				path := filepath.Join(dir, "plugin")
				if err := os.WriteFile(path, original, 0o700); err != nil {
					t.Fatal(err)
				}
				private := t.TempDir()
				i, err := readImage(path, strings.ToUpper(hex.EncodeToString(sum[:])), private, inMemory)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = i.close() }()
				if err := replace(path); err != nil {
					t.Fatal(err)
				}
				copied, err := os.ReadFile(i.path)
				if err != nil || !bytes.Equal(copied, original) {
					t.Errorf("the copy has changed with the file, or cannot be read: %v", err)
				}
				if i.memory == nil {
					return // root may write to everything on disk
				}
				if _, err := i.memory.WriteAt([]byte("x"), 0); err == nil {
					t.Error("the copy in memory can be written to")
				}
				if err := i.memory.Truncate(1); err == nil {
					t.Error("the copy in memory can be cut")
				}
			})
		}
	}
	t.Run("restart", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "plugin")
		if err := os.WriteFile(path, original, 0o700); err != nil {
			t.Fatal(err)
		}
		b := newHost(t, nil).load(t, func(r *spi.LoadRequest) { r.Path, r.SHA256 = path, hex.EncodeToString(sum[:]) })
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		j := jobOf(t, b)
		if _, err := execute(t.Context(), t, j, "exit"); codeOf(err) != spi.CodePluginGone {
			t.Errorf("Execute(exit) = %v, want %v", err, spi.CodePluginGone)
		}
		if got, err := execute(t.Context(), t, j, "say:again"); err != nil || got != "again" {
			t.Errorf("Execute after a restart = %q, %v", got, err)
		}
	})
}

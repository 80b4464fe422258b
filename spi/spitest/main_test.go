package spitest_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/elasticjob-go/elasticjob/runtime/process"
	"github.com/elasticjob-go/elasticjob/runtime/wasm"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/spitest"
	"github.com/elasticjob-go/elasticjob/spi/spitest/subject"
)

// build makes the subject once for all tests, as a program and as a module.
var build = struct{ program, module func() (string, error) }{}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "spitest-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	build.program = sync.OnceValues(func() (string, error) { return goBuild(filepath.Join(dir, "subject.exe"), nil) })
	build.module = sync.OnceValues(func() (string, error) {
		return goBuild(filepath.Join(dir, "subject.wasm"), []string{"GOOS=wasip1", "GOARCH=wasm"}, "-buildmode=c-shared", "-ldflags", "-s -w")
	})
	return m.Run()
}

func goBuild(out string, env []string, flags ...string) (string, error) {
	cmd := exec.Command("go", append(append([]string{"build", "-o", out}, flags...), "./testdata/plugin")...)
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, strings.TrimSpace(string(text)))
	}
	return out, nil
}

// load loads what build makes, with the host of its kind.
func load(t *testing.T, loader spi.Loader, built func() (string, error), isolation spi.Isolation) spitest.Host {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := loader.Load(t.Context(), spi.LoadRequest{Path: path, Isolation: isolation})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bundle.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("closing the bundle: %v", err)
		}
	})
	return spitest.Host{Kind: bundle.Provenance.Host, Plugins: bundle.Plugins}
}

func TestBuiltIn(t *testing.T) {
	t.Parallel()
	spitest.Run(t, spitest.Host{Kind: "built-in", Plugins: subject.Plugins()})
}

func TestProcess(t *testing.T) {
	t.Parallel()
	host := process.New(process.Config{})
	t.Cleanup(func() {
		if err := host.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	spitest.Run(t, load(t, host, build.program, ""))
}

func TestModule(t *testing.T) {
	t.Parallel()
	host, err := wasm.New(t.Context(), wasm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	for _, isolation := range []spi.Isolation{spi.IsolationFresh, spi.IsolationPooled} {
		t.Run(string(isolation), func(t *testing.T) {
			t.Parallel()
			spitest.Run(t, load(t, host, build.module, isolation))
		})
	}
}

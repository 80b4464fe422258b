//go:build unix

// Package main_test runs the handlers of this folder where they can run: built
// in, as a program and as a module.
package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/elasticjob-go/elasticjob/runtime/wasm"
	"github.com/elasticjob-go/elasticjob/spi"
)

// program and module are what TestMain builds of this folder; dataDir is that of
// all nodes and keeps the compiled module, as compiling takes long.
var program, module, dataDir string

func TestMain(m *testing.M) {
	status := 1
	folder, err := os.MkdirTemp("", "handlers")
	if err == nil {
		program, module, dataDir = filepath.Join(folder, "handlers"), filepath.Join(folder, "handlers.wasm"), filepath.Join(folder, "data")
		err = errors.Join(build(), compile())
	}
	if err == nil {
		status = m.Run()
	}
	if err := errors.Join(err, os.RemoveAll(folder)); err != nil {
		fmt.Fprintln(os.Stderr, "around the tests:", err)
		status = 1
	}
	os.Exit(status)
}

// build builds the program and the module of this folder.
func build() error {
	native := exec.Command("go", "build", "-o", program, ".")
	guest := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags", "-s -w", "-o", module, ".")
	guest.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	for _, cmd := range []*exec.Cmd{native, guest} {
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("running %v: %w\n%s", cmd.Args, err, out)
		}
	}
	return nil
}

// compile leaves the compiled module where every node looks for it.
func compile() error {
	ctx := context.Background()
	host, err := newModules(ctx)
	if err != nil {
		return err
	}
	bundle, err := host.Load(ctx, spi.LoadRequest{Path: module})
	if err != nil {
		return errors.Join(err, host.Close(ctx))
	}
	return errors.Join(bundle.Close(ctx), host.Close(ctx))
}

// newModules makes a host of modules with the cache of the nodes.
func newModules(ctx context.Context) (*wasm.Host, error) {
	return wasm.New(ctx, wasm.Config{CacheDir: filepath.Join(dataDir, "cache", "wasm")})
}

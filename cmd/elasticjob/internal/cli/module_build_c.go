package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/elasticjob-go/elasticjob/sdk/c"
)

// cBuilder builds programs in C.
type cBuilder struct {
	builder

	// sources are the files that are compiled together.
	sources []string
}

// findClang finds a compiler. The version that our tests use comes first: the plain
// one of a system often lacks the runtime for WASM.
func findClang() (string, error) {
	for _, name := range []string{"clang-19", "clang", "clang-18", "clang-17", "clang-16", "clang-15", "clang-14"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("building a module in C needs clang, which is not on PATH: install clang, lld, wasi-libc and the compiler-rt for wasm32 (Debian: apt-get install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32) and try again")
}

// includesSDK says whether a source includes the header of the SDK.
func (b cBuilder) includesSDK() bool {
	return slices.ContainsFunc(b.sources, func(source string) bool {
		text, err := os.ReadFile(source)
		return err == nil && bytes.Contains(text, []byte("elasticjob.h"))
	})
}

func (b cBuilder) build(ctx context.Context, out string, reactor bool) error {
	abs, err := absolute(out)
	if err != nil {
		return err
	}
	args := c.Flags()
	if !reactor {
		args = slices.DeleteFunc(args, func(flag string) bool { return flag == c.ReactorFlag })
	}
	args = append(args, "-I", ".", "-o", abs)
	for _, source := range b.sources {
		args = append(args, filepath.Base(source))
	}
	_, err = b.run(ctx, args...)
	return err
}

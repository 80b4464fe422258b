package wasm

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// DefaultConcurrency is how many calls of a module run at once unless its
// limits say otherwise.
const DefaultConcurrency = 64

// terms are what a load allows a module.
type terms struct {
	memory      uint64 // bytes of one instance, whole pages
	timeout     time.Duration
	concurrency int
	pooled      bool

	// bare has the clocks, and config the environment besides.
	bare   wazero.ModuleConfig
	config wazero.ModuleConfig
	dirs   []spi.Dir
	seeded bool // random numbers are the same in every call
}

// maxMemory is what 32-bit addresses reach.
const maxMemory = 1 << 32

// termsOf checks what a request asks for. Grants of operations are not looked
// at: the services of each call hold them.
func termsOf(req spi.LoadRequest, lookupEnv func(string) (string, bool)) (terms, error) {
	t := terms{memory: wire.DefaultMemory, timeout: req.Limits.Timeout, concurrency: req.Limits.Concurrency}
	switch limit := req.Limits.Memory; {
	case limit < 0 || limit > 0 && limit < pageSize:
		return terms{}, invalid("the memory limit of %d bytes is below one page of 64 KiB", limit)
	case limit > maxMemory:
		t.memory = maxMemory
	case limit > 0:
		t.memory = uint64(limit) / pageSize * pageSize
	}
	if t.timeout < 0 {
		return terms{}, invalid("the timeout %v is negative", t.timeout)
	}
	switch {
	case t.concurrency < 0:
		return terms{}, invalid("the concurrency %d is negative", t.concurrency)
	case t.concurrency == 0:
		t.concurrency = DefaultConcurrency
	}
	switch req.Isolation {
	case "", spi.IsolationFresh:
	case spi.IsolationPooled:
		t.pooled = true
	default:
		return terms{}, invalid("unknown isolation %q; it is %q or %q", req.Isolation, spi.IsolationFresh, spi.IsolationPooled)
	}
	if err := t.grant(req.Grants, lookupEnv); err != nil {
		return terms{}, err
	}
	return t, nil
}

func invalid(format string, args ...any) error {
	return spi.NewError(spi.CodeInvalidProperties, fmt.Sprintf(format, args...))
}

// grant fills in clocks, random numbers, environment and directories.
func (t *terms) grant(g spi.Grants, lookupEnv func(string) (string, bool)) error {
	t.bare = wazero.NewModuleConfig().WithName("").WithStartFunctions().WithSysNanotime()
	switch g.Clock {
	case "", spi.ClockReal:
		t.bare = t.bare.WithSysWalltime()
	case spi.ClockFrozen:
		t.bare = t.bare.WithWalltime(frozen, 1)
	default:
		return invalid("unknown clock %q; it is %q or %q", g.Clock, spi.ClockReal, spi.ClockFrozen)
	}
	switch g.Random {
	case "", spi.RandomReal:
	case spi.RandomSeeded:
		t.seeded = true
	default:
		return invalid("unknown random numbers %q; they are %q or %q", g.Random, spi.RandomReal, spi.RandomSeeded)
	}
	t.config = t.bare
	for _, name := range g.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return invalid("%q cannot be the name of a variable", name)
		}
		if value, ok := lookupEnv(name); ok {
			if strings.ContainsRune(value, 0) {
				return invalid("the value of the variable %s has a byte 0", name)
			}
			t.config = t.config.WithEnv(name, value)
		}
	}
	seen := map[string]bool{}
	for _, d := range g.Dirs {
		if err := checkDir(d); err != nil {
			return err
		}
		if seen[d.Guest] {
			return invalid("two directories are granted as %s", d.Guest)
		}
		seen[d.Guest] = true
		t.dirs = append(t.dirs, d)
	}
	return nil
}

// checkDir refuses a grant that no instance could be given.
func checkDir(d spi.Dir) error {
	if !filepath.IsAbs(d.Path) {
		return invalid("the granted directory %q is not absolute", d.Path)
	}
	if !path.IsAbs(d.Guest) || path.Clean(d.Guest) != d.Guest || strings.ContainsRune(d.Guest, 0) {
		return invalid("the granted directory %s is to be seen as %q, which is not a clean absolute path such as /data", d.Path, d.Guest)
	}
	info, err := os.Stat(d.Path)
	if err != nil {
		return fmt.Errorf("looking at a granted directory: %w", err)
	}
	if !info.IsDir() {
		return invalid("%s is granted as a directory, but is none", d.Path)
	}
	return nil
}

// frozenAt is 2022-01-01T00:00:00Z, in seconds since 1970.
const frozenAt = 1640995200

func frozen() (seconds int64, nanoseconds int32) { return frozenAt, 0 }

// describing returns the terms on which a module describes itself: nothing is
// granted to it then.
func (t terms) describing() terms {
	t.config, t.dirs = t.bare, nil
	return t
}

// checkMemory refuses a module that cannot even start within the limit.
func (t terms) checkMemory(l *layout) error {
	if l.memory == nil {
		return nil
	}
	if least := uint64(l.memory.min) * pageSize; least > t.memory {
		return spi.NewError(spi.CodeLimit, fmt.Sprintf("needs at least %s of memory, but its limit is %s", sizeText(least), sizeText(t.memory)))
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"

	"github.com/elasticjob-go/elasticjob/runtime/wasm"
	"github.com/elasticjob-go/elasticjob/spi"
)

// idleInstances is how many idle instances of a module are held when their
// memory is measured.
const idleInstances = 100

// measureMemory measures what idle instances of modules hold, as a node keeps
// them with pooled isolation. Each belongs to a job type of its own, so that all
// can be idle at once.
func measureMemory(ctx context.Context, s *settings) (results []result, err error) {
	dir, err := os.MkdirTemp("", "elasticjob-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	guests, err := makeGuests(ctx, s, dir)
	if err != nil {
		return nil, err
	}
	if err := s.hot(); err != nil {
		return nil, err
	}
	for _, g := range guests {
		r, err := measureHeld(ctx, g)
		if err != nil {
			return nil, fmt.Errorf("holding instances of %s: %w", g.row, err)
		}
		results = append(results, r)
	}
	return results, nil
}

// measureHeld calls the guest once on each of many job types, and compares the
// memory of the process with that after one.
func measureHeld(ctx context.Context, g guest) (r result, err error) {
	h, err := wasm.New(ctx, wasm.Config{})
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, h.Close(ctx)) }()
	hold := func(count int) error {
		for range count {
			j, _, err := g.open(ctx, h, spi.IsolationPooled) // unloaded with the host
			if err != nil {
				return err
			}
			if _, err := j.Execute(ctx, request("")); err != nil {
				return err
			}
		}
		return nil
	}
	// The first has the compiled code, which all share.
	if err := hold(1); err != nil {
		return result{}, err
	}
	heapBefore, residentBefore := heap(), resident()
	if err := hold(idleInstances); err != nil {
		return result{}, err
	}
	heapAfter, residentAfter := heap(), resident()
	perInstance := func(before, after uint64) float64 { return perJobBytes(before, after, idleInstances) / 1024 }
	rss := value{Name: "resident", Unit: "KiB", Unknown: true}
	if residentAfter > 0 {
		rss = known("resident", "KiB", perInstance(residentBefore, residentAfter))
	}
	return result{Group: "wasm idle", Row: g.row + ", pooled", Who: whoOurs, Values: []value{
		known("heap", "KiB", perInstance(heapBefore, heapAfter)), rss,
	}}, nil
}

// resident returns the bytes of memory that the process holds, 0 where the system
// does not tell.
func resident() uint64 {
	debug.FreeOSMemory()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(data)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}

// makeGuests returns the guests, of which one is built.
func makeGuests(ctx context.Context, s *settings, dir string) ([]guest, error) {
	repo, err := filepath.Abs(s.repo)
	if err != nil {
		return nil, err
	}
	inC := guest{row: "C guest", path: filepath.Join(repo, "runtime", "wasm", "testdata", "guest.wasm")}
	inGo := guest{row: "Go guest (sdk)", path: filepath.Join(dir, "empty.wasm"), brings: true}
	if err := buildGuest(ctx, repo, "./sdk/testdata/empty", inGo.path); err != nil {
		return nil, err
	}
	return []guest{inC, inGo}, nil
}

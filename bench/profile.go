package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
)

// profile is the profiles of one measurement, none without a directory.
type profile struct {
	dir, name string
	cpu       *os.File
}

// start starts the CPU profile.
func (p *profile) start() error {
	if p.dir == "" {
		return nil
	}
	f, err := p.create("cpu")
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return errors.Join(fmt.Errorf("profiling: %w", err), f.Close())
	}
	p.cpu = f
	return nil
}

// stop ends the CPU profile, if it was started, and writes a heap profile
// beside it.
func (p *profile) stop() error {
	if p.cpu == nil {
		return nil
	}
	pprof.StopCPUProfile()
	heap, err := p.create("heap")
	if err != nil {
		return errors.Join(err, p.cpu.Close())
	}
	return errors.Join(p.cpu.Close(), pprof.WriteHeapProfile(heap), heap.Close())
}

func (p *profile) create(kind string) (*os.File, error) {
	if err := os.MkdirAll(p.dir, 0o750); err != nil {
		return nil, fmt.Errorf("profiling: %w", err)
	}
	name := strings.NewReplacer("/", "-", " ", "-", ",", "").Replace(p.name)
	f, err := os.Create(filepath.Join(p.dir, name+"."+kind+".pprof"))
	if err != nil {
		return nil, fmt.Errorf("profiling: %w", err)
	}
	return f, nil
}

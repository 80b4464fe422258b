package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/elasticjob-go/elasticjob/runtime/process"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// measurePrograms measures calls and starts of a plugin that is a process, made
// with the Go sdk from the source of the Go guest.
func measurePrograms(ctx context.Context, s *settings) (results []result, err error) {
	dir, err := os.MkdirTemp("", "elasticjob-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	repo, err := filepath.Abs(s.repo)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "empty")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./sdk/testdata/empty")
	cmd.Dir = repo
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building a program: %w\n%s", err, text)
	}
	if err := s.hot(); err != nil {
		return nil, err
	}
	started := newSamples(loads)
	for range loads {
		h := process.New(process.Config{})
		begin := time.Now()
		_, err := h.Load(ctx, spi.LoadRequest{Path: path})
		started.add(time.Since(begin))
		if err := errors.Join(err, h.Close(ctx)); err != nil {
			return nil, err
		}
	}
	took, err := callProgram(ctx, path)
	if err != nil {
		return nil, err
	}
	called := callResult("Go program (sdk)", whoOurs, took)
	called.Group = "process call"
	// What a call would cost that starts a program each time.
	took, err = timed(ctx, func(ctx context.Context) error { return exec.CommandContext(ctx, "true").Run() })
	if err != nil {
		return nil, fmt.Errorf("running true: %w", err)
	}
	forked := callResult("true", "fork and exec", took)
	forked.Group = "process call"
	restarted, err := measureRestarts(ctx, path)
	if err != nil {
		return nil, err
	}
	return []result{called, forked, {Group: "process start", Row: "Go program (sdk)", Who: whoOurs, Values: []value{
		known("p50", "ms", millis(quantile(started.sorted(), 0.5))),
	}}, restarted}, nil
}

func callProgram(ctx context.Context, path string) (took []time.Duration, err error) {
	h := process.New(process.Config{})
	defer func() { err = errors.Join(err, h.Close(ctx)) }()
	bundle, err := h.Load(ctx, spi.LoadRequest{Path: path})
	if err != nil {
		return nil, err
	}
	if len(bundle.Plugins) != 1 {
		return nil, fmt.Errorf("%s brings %d plugins, want 1", path, len(bundle.Plugins))
	}
	j, err := bundle.Plugins[0].JobType(ctx, props.Values{})
	if err != nil {
		return nil, err
	}
	return timed(ctx, func(ctx context.Context) error {
		_, err := j.Execute(ctx, request(""))
		return err
	})
}

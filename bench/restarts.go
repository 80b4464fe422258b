package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/elasticjob-go/elasticjob/runtime/process"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// restarts is how many programs are killed.
const restarts = 100

// measureRestarts kills a program and calls until it answers again. Each program
// is killed once: later ends in a row would be waited for.
func measureRestarts(ctx context.Context, path string) (result, error) {
	answered, lost := newSamples(restarts), 0
	for range restarts {
		took, failed, err := restartOnce(ctx, path)
		if err != nil {
			return result{}, fmt.Errorf("restarting a program: %w", err)
		}
		answered.add(took)
		lost += failed
	}
	sorted := answered.sorted()
	return result{Group: "process restart", Row: "Go program (sdk), killed", Who: whoOurs, Values: []value{
		known("to an answer p50", "ms", millis(quantile(sorted, 0.5))),
		known("p99", "ms", millis(quantile(sorted, 0.99))),
		known("failed calls each", "", float64(lost)/restarts),
	}}, nil
}

// restartOnce returns how long after the kill a call was answered, and how many
// failed before.
func restartOnce(ctx context.Context, path string) (took time.Duration, failed int, err error) {
	started := &startedPrograms{pids: make(chan int, 10)}
	h := process.New(process.Config{Logger: slog.New(started)})
	defer func() { err = errors.Join(err, h.Close(ctx)) }()
	bundle, err := h.Load(ctx, spi.LoadRequest{Path: path})
	if err != nil {
		return 0, 0, err
	}
	j, err := bundle.Plugins[0].JobType(ctx, props.Values{})
	if err != nil {
		return 0, 0, err
	}
	if _, err := j.Execute(ctx, request("")); err != nil {
		return 0, 0, err
	}
	program, err := os.FindProcess(<-started.pids)
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	begin := time.Now()
	if err := program.Kill(); err != nil {
		return 0, 0, err
	}
	for ; ; failed++ {
		_, err := j.Execute(ctx, request(""))
		switch {
		case err != nil && ctx.Err() != nil:
			return 0, 0, err
		case err == nil && len(started.pids) > 0:
			return time.Since(begin), failed, nil
		case err == nil:
			failed-- // the kill has not arrived yet
		}
	}
}

// startedPrograms is a log that keeps the process ids of programs that start.
type startedPrograms struct{ pids chan int }

var _ slog.Handler = (*startedPrograms)(nil)

func (*startedPrograms) Enabled(context.Context, slog.Level) bool { return true }

func (s *startedPrograms) WithAttrs([]slog.Attr) slog.Handler { return s }

func (s *startedPrograms) WithGroup(string) slog.Handler { return s }

func (s *startedPrograms) Handle(_ context.Context, record slog.Record) error {
	if record.Message == "plugin started" {
		record.Attrs(func(a slog.Attr) bool {
			if pid, err := strconv.Atoi(a.Value.String()); a.Key == "pid" && err == nil {
				s.pids <- pid
			}
			return true
		})
	}
	return nil
}

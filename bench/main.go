package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"time"
)

// settings are what the flags say.
type settings struct {
	window   time.Duration
	quick    bool
	asJSON   bool
	only     string
	profiles string
	repo     string
	records  string
	one      string

	// hot is called by a measurement when its set-up is over: what follows is
	// worth a profile.
	hot func() error
}

func (s *settings) flags(output io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(output)
	f.DurationVar(&s.window, "d", 10*time.Second, "how long the fires of a lateness row are counted, whole seconds from 1s to 60s")
	f.BoolVar(&s.quick, "quick", false, "leave out the rows of 100,000 jobs that fire")
	f.BoolVar(&s.asJSON, "json", false, "print one JSON array instead of the table")
	f.StringVar(&s.only, "only", "", "run the measurements whose name matches this regular expression")
	f.StringVar(&s.profiles, "profile", "", "write a CPU and a heap profile of each measurement into this directory")
	f.StringVar(&s.repo, "repo", "..", "the root of the elasticjob repository, for the guests of the WASM rows")
	f.StringVar(&s.records, "records", "", "let the node log to this file, as JSON; without it nothing is logged")
	f.StringVar(&s.one, "one", "", "run this measurement in this process and print its results as JSON; used by the program itself")
	return f
}

// arguments are the flags of the process that runs one measurement.
func (s *settings) arguments(name string) []string {
	return []string{
		"-d", s.window.String(), fmt.Sprintf("-quick=%t", s.quick), "-profile", s.profiles, "-repo", s.repo,
		"-records", s.records, "-one", name,
	}
}

func (s *settings) check() error {
	if s.window < time.Second || s.window > maxWindow || s.window%time.Second != 0 {
		return fmt.Errorf("-d %v: must be whole seconds from 1s to %v", s.window, maxWindow)
	}
	return nil
}

// measurement is one thing to measure.
type measurement struct {
	name  string
	large bool // not with -quick
	run   func(ctx context.Context, s *settings) ([]result, error)
}

// measurements are all of them, in the order of the table.
func measurements() []measurement {
	var all []measurement
	all = append(all, latenessMeasurements()...)
	all = append(all, fleetMeasurements()...)
	all = append(all, triggerMeasurements()...)
	all = append(all, flowMeasurements()...)
	all = append(all, schedulingMeasurements()...)
	return append(all,
		measurement{name: "cron", run: measureCron},
		measurement{name: "registry", run: measureRegistry},
		measurement{name: "wasm", run: measureModules},
		measurement{name: "idle instances", run: measureMemory},
		measurement{name: "process", run: measurePrograms},
	)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var s settings
	if err := s.flags(stderr).Parse(args); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	if s.one != "" {
		return runOne(ctx, &s, stdout)
	}
	only, err := regexp.Compile(s.only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	results, err := runAll(ctx, &s, only, stderr)
	if s.asJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		return errors.Join(err, encoder.Encode(results))
	}
	_, printErr := fmt.Fprintf(stdout, "%s %s/%s, %d cores\n%s", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), table(results))
	return errors.Join(err, printErr)
}

// runAll runs the measurements in processes of their own. One that fails does
// not keep the others from running.
func runAll(ctx context.Context, s *settings, only *regexp.Regexp, progress io.Writer) (results []result, err error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	for _, m := range measurements() {
		if m.large && s.quick || !only.MatchString(m.name) || ctx.Err() != nil {
			continue
		}
		begin := time.Now()
		measured, oneErr := runChild(ctx, executable, s.arguments(m.name), progress)
		if oneErr != nil {
			err = errors.Join(err, fmt.Errorf("measuring %s: %w", m.name, oneErr))
		}
		results = append(results, measured...)
		fmt.Fprintf(progress, "%s: %.1f s\n", m.name, time.Since(begin).Seconds())
	}
	return results, errors.Join(err, context.Cause(ctx))
}

// runOne runs one measurement here and prints its results for the process that
// started this one.
func runOne(ctx context.Context, s *settings, stdout io.Writer) error {
	for _, m := range measurements() {
		if m.name != s.one {
			continue
		}
		p := &profile{dir: s.profiles, name: m.name}
		s.hot = p.start
		results, err := m.run(ctx, s)
		err = errors.Join(err, p.stop())
		return errors.Join(err, json.NewEncoder(stdout).Encode(results))
	}
	return fmt.Errorf("there is no measurement %q", s.one)
}

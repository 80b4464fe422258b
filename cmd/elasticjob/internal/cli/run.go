package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/registry/dial"
	"github.com/elasticjob-go/elasticjob/spi"
)

func (a *app) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run -c FILE",
		Short: "Start a node and run its jobs",
		Long: `Start a node and run its jobs until SIGINT or SIGTERM.

The node then fires nothing more, lets running items end within
shutdownGraceMilliseconds, and ends with status 0. A second signal ends it at
once, with status 1. An invalid configuration starts nothing: every problem is
written to stderr, and the status is 2. With onZombie: exit the status is 3 when
code of an item runs on after its lease was lost and it was cancelled.

SIGHUP reads the file again and takes over its jobs and plugins, without
stopping anything; what runs ends with the plugins that it began with. An invalid
file changes nothing. Other keys take effect at the next start.`,
		Example: "  elasticjob run -c elasticjob.yaml --log-format json",
		Args:    exactArgs(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.run(cmd) },
	}
}

// run is the life of a node. Signals are taken over before anything starts, so
// that none of them kills a half-started node, and not before: a configuration
// that comes through a pipe may keep the program waiting.
func (a *app) run(cmd *cobra.Command) error {
	held := &heldWriter{to: a.Err}
	logger, err := newLogger(held, a.logFormat, a.logLevel)
	if err != nil {
		return err
	}
	a.logger = logger
	// The client library's own log is the process's, so the process directs it.
	dial.LogTo(logger)
	cfg, problems, err := a.loadConfig(cmd)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return a.refused(elasticjob.Lint(cmd.Context(), cfg, true, elasticjob.WithLogger(logger)))
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, append(stopSignals(), reloadSignals()...)...)
	defer signal.Stop(signals)
	s := supervisor{logger: logger, signals: signals, made: held.release, reloads: make(chan struct{}, 1), zombies: make(chan struct{}, 1), read: func() (elasticjob.Config, elasticjob.Problems, error) { return a.loadConfig(cmd) }}
	if err = s.run(cmd.Context(), cfg); errors.As(err, &problems) {
		return a.refused(problems)
	}
	return err
}

// refused is the error of a configuration that cannot be run.
func (a *app) refused(problems elasticjob.Problems) error {
	return &problemsError{
		problems: problems, status: exitInvalid,
		next: fmt.Sprintf("Nothing was started because of %s: correct %s, check it with elasticjob lint -c %[2]s, and start again.", count(len(problems), "problem"), a.configFile),
	}
}

// lastMoment is how long a node that is ended at once may take to let go.
const lastMoment = time.Second

var errEndedAtOnce = errors.New("ended at once by a second signal; running items were cut off")

// supervisor runs one node under the control of signals.
type supervisor struct {
	logger  *slog.Logger
	signals <-chan os.Signal
	// made is called when the node is made and its configuration thus in order.
	made func()
	// read reads the configuration again.
	read func() (elasticjob.Config, elasticjob.Problems, error)
	// zombies says that the process is to end as onZombie: exit has it.
	zombies chan struct{}
	// reloads are asked for; several at once are one.
	reloads chan struct{}
}

// run returns when the node has stopped, or soon after the second signal.
func (s *supervisor) run(ctx context.Context, cfg elasticjob.Config) error {
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	draining, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()

	stopped := make(chan error, 1)
	go func() { stopped <- s.serve(running, draining, cfg) }()
	for {
		select {
		case err := <-stopped:
			return err
		case <-s.zombies:
			// The log has said why. Nothing in this process is waited for.
			return &silentError{exitZombie}
		case sig := <-s.signals:
			switch {
			case isReload(sig):
				select {
				case s.reloads <- struct{}{}:
				default: // it is asked for already
				}
			case running.Err() == nil:
				s.logger.Info("stopping, running items may end; a second signal ends them at once", "signal", sig.String(), "grace", cfg.ShutdownGrace.String())
				stop(spi.ErrStopping)
			default:
				end()
				// The one goroutine that may be left behind: a job that ignores
				// its context must not keep the process alive.
				select {
				case err := <-stopped:
					s.logger.Debug("node let go", "err", err)
				case <-time.After(lastMoment):
				}
				return errEndedAtOnce
			}
		}
	}
}

// serve starts a node, lets it run until running ends, and drains it. Draining
// is cut short when its context ends. A node that a signal stops before it is up
// has not failed.
func (s *supervisor) serve(running, draining context.Context, cfg elasticjob.Config) error {
	node, err := elasticjob.New(running, cfg, elasticjob.WithLogger(s.logger), elasticjob.WithExit(s.exit))
	if err != nil {
		return unlessStopped(running, err)
	}
	s.made()
	if err := node.Start(running); err != nil {
		return errors.Join(unlessStopped(running, err), node.Stop(draining))
	}
	for {
		select {
		case <-running.Done():
			return node.Stop(draining)
		case <-s.reloads:
			s.reload(running, node)
		}
	}
}

// exit ends the process with the status of zombies.
func (s *supervisor) exit() {
	select {
	case s.zombies <- struct{}{}:
	default: // it ends already
	}
}

// reload takes over what the file says now. A signal to stop ends it.
func (s *supervisor) reload(ctx context.Context, node *elasticjob.Node) {
	cfg, problems, err := s.read()
	switch {
	case err != nil:
	case len(problems) > 0:
		// What is wrong with plugins is said at once, too.
		problems = elasticjob.Lint(ctx, cfg, true, elasticjob.WithLogger(s.logger))
	default:
		err = node.Reload(ctx, cfg)
	}
	if ctx.Err() != nil {
		return // what fails then, fails because of the signal
	}
	if found, ok := errors.AsType[elasticjob.Problems](err); ok {
		problems, err = found, nil
	}
	for _, p := range problems {
		s.logger.Error("configuration problem", "file", p.File, "line", p.Line, "column", p.Column, "rule", p.Rule, "problem", p.Message)
	}
	switch {
	case len(problems) > 0:
		s.logger.Error("configuration not reloaded, nothing was changed", "problems", len(problems))
	case err != nil:
		s.logger.Error("configuration not reloaded, nothing was changed", "err", err)
	}
}

// unlessStopped returns err, or nil when a signal has ended the context: what
// fails then, fails because of it.
func unlessStopped(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), spi.ErrStopping) {
		return nil
	}
	return err
}

// Package host puts a node together: the registry center, the timer, the
// executor and the coordinator, and the jobs of the configuration.
//
// What the node does is done by other packages; this one makes them, connects
// them and starts and stops them in order. It knows no runtime and no plugin:
// these come in a catalog.
package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/coordinator"
	"github.com/elasticjob-go/elasticjob/core/cron"
	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/schedule"
	"github.com/elasticjob-go/elasticjob/core/service"
	"github.com/elasticjob-go/elasticjob/core/tracing"
)

// Config is what a node is made of.
type Config struct {
	// Node is the node's configuration, without problems of its own.
	Node config.Config
	// Catalog has the plugins of the node.
	Catalog *catalog.Catalog
	// Calls runs the host operations of plugins; nil offers none. It outlives the
	// node.
	Calls  *hostcall.Host
	Logger *slog.Logger
	// Version is that of the program, for other nodes to see.
	Version string
	// LocalZone names the time zone of jobs that name none.
	LocalZone func() (string, error)
	// Exit ends the process, which onZombie: exit asks for. It must not wait for the
	// node.
	Exit func()
	// Machine is what the node runs on; the zero value is this machine.
	Machine Machine
}

// Machine is what a node takes from the machine that it runs on, for simulations
// to replace. What is nil is this machine's.
type Machine struct {
	// Dial makes connections to the servers of a registry center that the
	// configuration names.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Now is the clock that somebody may set.
	Now func() time.Time
	// Elapsed is how long it is since some moment before the node was made. It
	// goes on while the machine is suspended, nobody sets it, and leases run by it.
	Elapsed func() time.Duration
}

// Host is a node. Start and Stop keep the contract of package service.
type Host struct {
	config   Config
	logger   *slog.Logger
	instance registry.Instance
	jobs     *jobs
	events   execution.Events

	connection *connection
	center     *registry.Center
	clock      *serverClock // nil: the registry's clock is this machine's
	elapsed    leaseClock
	timer      *schedule.Timer
	executor   *execution.Executor
	tracer     *tracing.Tracer // nil without a tracing sink
	members    []*member
	group      *service.Group
	waits      *waits
	isUp       atomic.Bool // the node has started
	// leaving is when the node paused to leave, in milliseconds, zero before.
	leaving atomic.Int64
	// reloading lets one reload come after the other.
	reloading sync.Mutex
	closed    bool // guarded by reloading
	// ending is over when the node begins to stop.
	ending context.Context //nolint:containedctx // it ends reloads
	end    context.CancelFunc

	closeOnce sync.Once
}

var _ service.Service = (*Host)(nil)

// New returns a node that is not started, or nil and what is wrong with the
// jobs beyond the problems that their definitions have by themselves. A node
// that is not started must be closed.
func New(ctx context.Context, c Config) (*Host, config.Problems) {
	h := &Host{config: c, elapsed: c.Machine.Elapsed, waits: newWaits()}
	if h.elapsed == nil {
		h.elapsed = newLeaseClock()
	}
	h.ending, h.end = context.WithCancel(context.WithoutCancel(ctx))
	ip, err := localIP(c.Node.Instance)
	var problems config.Problems
	if err != nil {
		problems = append(problems, c.Node.Problem("value", err.Error(), "instance", "preferredNetworkIp"))
	}
	jobs, wrong := newJobs(ctx, newSpecs(c), c.Node.Jobs, c.Logger)
	h.jobs = jobs
	problems = append(problems, wrong...)
	sink, wrong := jobs.plugins.specs.buildSink(ctx, c.Logger)
	if problems = append(problems, wrong...); len(problems) > 0 {
		if sink != nil {
			sink.Close(ctx)
		}
		h.Close(ctx)
		return nil, problems
	}
	hostName, err := os.Hostname()
	if err != nil {
		hostName = "unknown"
	}
	id := c.Node.Instance.ID
	if id == "" {
		id = newInstanceID(ip)
	}
	h.instance = registry.Instance{
		ID: id, IP: ip, Host: hostName, PID: os.Getpid(), Labels: c.Node.Instance.Labels, Version: c.Version,
	}
	h.logger = c.Logger.With(slog.String("instance", id), slog.String("registry", describeRegistry(c.Node.RegCenter)))
	jobs.logger = h.logger
	execution.Record(&h.events, c.Logger)
	h.makeTracer(sink)
	h.group = h.groupOf(&registryService{host: h}, &engineService{host: h})
	return h, nil
}

// groupOf puts the parts of the node together. The tracer outlives all whose
// history it keeps.
func (h *Host) groupOf(parts ...service.Service) *service.Group {
	if h.tracer != nil {
		parts = append([]service.Service{h.tracer}, parts...)
	}
	return service.NewGroup(parts...)
}

func newSpecs(c Config) *specs {
	return &specs{config: c.Node, catalog: c.Catalog, localZone: sync.OnceValues(c.LocalZone), calls: c.Calls}
}

// Instance returns the id of the node.
func (h *Host) Instance() string { return h.instance.ID }

// Events returns the topics of what the node does, to subscribe to before
// Start.
func (h *Host) Events() *execution.Events { return &h.events }

// Start registers the node, stores its jobs and starts firing them.
func (h *Host) Start(ctx context.Context) error {
	if err := h.group.Start(ctx); err != nil {
		return fmt.Errorf("starting the node: %w", err)
	}
	return nil
}

// Stop stops firing, hands the items over, lets running ones end within the
// grace, cancels those that do not, and leaves the registry. When ctx ends,
// items are cancelled at once.
func (h *Host) Stop(ctx context.Context) error {
	h.end()
	err := h.group.Stop(ctx)
	h.Close(context.WithoutCancel(ctx))
	if err != nil {
		return fmt.Errorf("stopping the node: %w", err)
	}
	return nil
}

// Close closes the plugins of the jobs.
func (h *Host) Close(ctx context.Context) {
	h.end()
	h.closeOnce.Do(func() {
		h.reloading.Lock()
		defer h.reloading.Unlock()
		h.closed = true
		if h.tracer != nil {
			if err := h.tracer.Stop(ctx); err != nil {
				h.logger.Warn("tracing not stopped", "err", err)
			}
		}
		h.jobs.close(ctx)
	})
}

// now is the time of the registry's server.
func (h *Host) now() time.Time {
	if h.clock == nil {
		return time.Now()
	}
	return h.clock.now()
}

// timerNow is the time by which the timer fires. A process that was stopped, or
// a machine that was suspended, notices first of all whether its leases are
// over.
func (h *Host) timerNow() time.Time {
	for _, m := range h.members {
		m.membership.alive()
	}
	return h.now()
}

func (h *Host) isEmbedded() bool { return h.config.Node.RegCenter == nil }

// engineService is what runs on top of the registry center.
type engineService struct{ host *Host }

// Start makes the parts and starts them in order: the executor, the
// memberships, which register the node and assign its jobs, and the timer.
func (e *engineService) Start(ctx context.Context) error {
	h := e.host
	timeout, grace := h.connection.sessionTimeout, registryGrace
	h.timer = schedule.NewTimer(h.timerNow)
	centers := make([]execution.Center, len(h.center.Partitions()))
	for i, p := range h.center.Partitions() {
		m := &member{host: h, partition: p, logger: h.logger}
		if len(centers) > 1 {
			m.logger = h.logger.With(slog.Int("partition", i))
		}
		m.membership = newMembership(p, timeout, grace, h.elapsed, h.clock, m, m.logger)
		m.coordinator = coordinator.New(coordinator.Config{
			Registry: p, Strategist: h.jobs.strategist, Interval: reconcileInterval, Lost: m.itemsLost,
			Elsewhere: func(job string) coordinator.Dependencies { return h.center.Partition(job) }, Skipped: h.runSkipped,
			SessionTimeout: timeout, Now: h.now, Logger: m.logger,
		})
		h.members = append(h.members, m)
		centers[i] = m
	}
	h.executor = execution.New(execution.Config{
		Instance: h.instance.ID, IP: h.instance.IP, Partitions: centers,
		MaxRunningItems: h.config.Node.MaxRunningItems, Grace: h.config.Node.ShutdownGrace,
		HandOver: timeout + grace + 2*time.Second, Now: h.now, Logger: h.config.Logger, Events: &h.events, StopJob: h.stopJob,
		Margin: marginOf(timeout), Zombie: h.endZombie,
	})
	for i, m := range h.members {
		m.executor = h.executor.Partition(i)
	}
	h.jobs.executor, h.jobs.timer = h.executor, h.timer
	h.jobs.partitionOf = func(name string) int { return h.center.Partition(name).Index() }
	h.jobs.host()
	// The memberships outlive the executor's drain: their leases are what running
	// items run under.
	if err := h.executor.Start(ctx); err != nil {
		return err
	}
	if err := h.each(func(m *member) error { return m.membership.Start(ctx) }); err != nil {
		return errors.Join(err, e.Stop(context.WithoutCancel(ctx)))
	}
	if err := h.timer.Start(ctx); err != nil {
		return errors.Join(err, e.Stop(context.WithoutCancel(ctx)))
	}
	h.isUp.Store(true)
	h.logger.Info("node started")
	return nil
}

// each does something for all members at once.
func (h *Host) each(do func(*member) error) error {
	errs := make([]error, len(h.members))
	var all sync.WaitGroup
	for i, m := range h.members {
		all.Go(func() { errs[i] = do(m) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Stop hands over, stops firing, drains and leaves.
func (e *engineService) Stop(ctx context.Context) error {
	h := e.host
	h.handOver(ctx)
	err := errors.Join(
		h.timer.Stop(context.WithoutCancel(ctx)),
		h.executor.Stop(ctx),
		h.each(func(m *member) error { return m.membership.Stop(context.WithoutCancel(ctx)) }),
	)
	h.waits.end()
	h.logger.Info("node stopped")
	return err
}

// reconcileInterval is how often a stored job is reconciled.
func reconcileInterval(state registry.JobState) time.Duration {
	c, err := job.Decode(state.Definition.Config)
	if err != nil {
		return 0
	}
	return time.Duration(max(c.ReconcileIntervalMinutes, 0)) * time.Minute
}

// stopTimeout bounds the write of an error handler's decision.
const stopTimeout = 5 * time.Second

// stopJob disables a job on this instance because an error handler says so.
func (h *Host) stopJob(ctx context.Context, name, handler string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	changed, err := h.center.Partition(name).SetStateOnInstance(ctx, name, h.instance.ID, false, registry.AuthorErrorHandler)
	if err != nil {
		h.logger.Error("job not stopped", "job", name, "plugin", handler, "err", err)
		return
	}
	if changed {
		h.logger.Warn("job stopped on this instance by its error handler", "job", name, "plugin", handler)
	}
}

// endZombie ends the process if the configuration says so, with all the code in it
// that nothing else can end.
func (h *Host) endZombie() {
	if h.config.Node.OnZombie == config.ZombieExit {
		h.logger.Error("ending the process, because an item outlives its lease")
		h.config.Exit()
	}
}

// LocalZone names the time zone of this machine.
func LocalZone() (string, error) { return cron.LocalZone(os.LookupEnv) }

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
	"os"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/coordinator"
	"github.com/elasticjob-go/elasticjob/core/cron"
	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/registry/embedded"
	"github.com/elasticjob-go/elasticjob/core/schedule"
	"github.com/elasticjob-go/elasticjob/core/service"
)

// Config is what a node is made of.
type Config struct {
	// Node is the node's configuration, without problems of its own.
	Node config.Config
	// Catalog has the plugins of the node.
	Catalog *catalog.Catalog
	Logger  *slog.Logger
	// Version is that of the program, for other nodes to see.
	Version string
	// LocalZone names the time zone of jobs that name none.
	LocalZone func() (string, error)
}

const (
	// sessionTimeout is the length of a lease, regCenter's default.
	sessionTimeout = 15 * time.Second
	// registryGrace is how long after its lease a session is reaped.
	registryGrace = time.Second
	// namespace is that of the embedded registry, which has no other.
	namespace = "elasticjob"
)

// Host is a node. Start and Stop keep the contract of package service.
type Host struct {
	config   Config
	logger   *slog.Logger
	instance registry.Instance
	specs    *specs
	jobs     []*hostedJob
	byName   map[string]*hostedJob
	events   execution.Events

	server      *embedded.Server
	timer       *schedule.Timer
	executor    *execution.Executor
	membership  *membership
	center      *registry.Partition
	coordinator *coordinator.Coordinator
	group       *service.Group

	mu      sync.Mutex
	version int64 // of the feed, up to which changes were followed

	closeOnce sync.Once
}

var _ service.Service = (*Host)(nil)

// hostedJob is a job of the configuration and what it is executed from.
type hostedJob struct {
	config job.Config
	spec   *execution.Spec
}

// New returns a node that is not started, or nil and what is wrong with the
// jobs beyond the problems that their definitions have by themselves. A node
// that is not started must be closed.
func New(ctx context.Context, c Config) (*Host, config.Problems) {
	h := &Host{
		config: c,
		byName: make(map[string]*hostedJob, len(c.Node.Jobs)),
		specs:  &specs{config: c.Node, catalog: c.Catalog, zones: make(map[string]*time.Location), localZone: sync.OnceValues(c.LocalZone)},
	}
	var problems config.Problems
	for _, j := range c.Node.Jobs {
		spec, wrong := h.specs.build(ctx, j)
		if spec == nil {
			problems = append(problems, wrong...)
			continue
		}
		hosted := &hostedJob{spec.Config, spec}
		h.jobs = append(h.jobs, hosted)
		h.byName[hosted.config.Name] = hosted
	}
	if len(h.jobs) < len(c.Node.Jobs) {
		h.Close(ctx)
		return nil, problems
	}
	hostName, err := os.Hostname()
	if err != nil {
		hostName = "unknown"
	}
	h.instance = registry.Instance{
		ID: newInstanceID(), Host: hostName, PID: os.Getpid(), Labels: c.Node.Instance.Labels, Version: c.Version,
	}
	for _, j := range h.jobs {
		h.instance.Jobs = append(h.instance.Jobs, j.config.Name)
	}
	h.logger = c.Logger.With(slog.String("instance", h.instance.ID), slog.String("registry", "embedded"))
	execution.Record(&h.events, c.Logger)
	h.group = service.NewGroup(&registryService{host: h}, &engineService{host: h})
	return h, nil
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

// Stop stops firing, lets running items end within the grace, cancels those
// that do not, and leaves the registry. When ctx ends, items are cancelled at
// once.
func (h *Host) Stop(ctx context.Context) error {
	err := h.group.Stop(ctx)
	h.Close(context.WithoutCancel(ctx))
	if err != nil {
		return fmt.Errorf("stopping the node: %w", err)
	}
	return nil
}

// Close closes the plugins of the jobs.
func (h *Host) Close(ctx context.Context) {
	h.closeOnce.Do(func() {
		for _, j := range h.jobs {
			if err := closeSpec(ctx, j.spec); err != nil {
				h.config.Logger.Warn("plugins of the job not closed", "job", j.config.Name, "err", err)
			}
		}
	})
}

// registryService is the registry center of the node.
type registryService struct {
	host *Host
}

// Start opens the registry center.
func (r *registryService) Start(ctx context.Context) error {
	server, err := embedded.Open(ctx)
	if err != nil {
		return err
	}
	center, err := registry.Open(ctx, registry.Config{
		Client: server.Client(), Namespace: namespace, SessionTimeout: sessionTimeout, Grace: registryGrace, Embedded: true,
	})
	if err != nil {
		return errors.Join(err, server.Close())
	}
	r.host.server, r.host.center = server, center.Partitions()[0]
	r.host.logger.Info("registry is embedded: it lives with this process and no other node can join; name a regCenter for a fleet")
	return nil
}

// Stop closes it.
func (r *registryService) Stop(context.Context) error { return r.host.server.Close() }

// engineService is what runs on top of the registry center.
type engineService struct{ host *Host }

// Start makes the parts and starts them in order: the executor, the
// membership, which registers the node and assigns its jobs, and the timer.
func (e *engineService) Start(ctx context.Context) error {
	h := e.host
	h.coordinator = coordinator.New(h.center, h.specs.strategist, h.itemsLost, h.logger)
	h.timer = schedule.NewTimer(time.Now)
	h.membership = newMembership(h.center, h.instance, sessionTimeout, h, h.logger)
	h.executor = execution.New(execution.Config{
		Instance: h.instance.ID, Marks: h.center, MaxRunningItems: h.config.Node.MaxRunningItems, Grace: h.config.Node.ShutdownGrace,
		HandOver: sessionTimeout + registryGrace + 2*time.Second, Now: time.Now, Logger: h.config.Logger, Events: &h.events,
		Fresh: h.isFresh, Refresh: h.refresh, LeaseLost: h.membership.refuse, StopJob: h.stopJob,
	})
	for _, j := range h.jobs {
		h.executor.Add(j.config.Name, j.spec)
	}
	// The membership outlives the executor's drain: its lease is what running
	// items run under.
	if err := h.executor.Start(ctx); err != nil {
		return err
	}
	if err := h.membership.Start(ctx); err != nil {
		return errors.Join(err, h.executor.Stop(context.WithoutCancel(ctx)))
	}
	if err := h.timer.Start(ctx); err != nil {
		return errors.Join(err, e.Stop(context.WithoutCancel(ctx)))
	}
	h.logger.Info("node started")
	return nil
}

// Stop stops firing, drains and leaves.
func (e *engineService) Stop(ctx context.Context) error {
	h := e.host
	err := errors.Join(
		h.timer.Stop(context.WithoutCancel(ctx)),
		h.executor.Stop(ctx),
		h.membership.Stop(context.WithoutCancel(ctx)),
	)
	h.logger.Info("node stopped")
	return err
}

// joined stores the definitions of the node's jobs under the new session.
func (h *Host) joined(ctx context.Context, lease registry.Lease) error {
	definitions := make([]registry.JobDefinition, len(h.jobs))
	for i, j := range h.jobs {
		encoded, err := job.Encode(j.config)
		if err != nil {
			return fmt.Errorf("storing job %q: %w", j.config.Name, err)
		}
		definitions[i] = registry.JobDefinition{
			Name: j.config.Name, Config: encoded, Items: j.config.ShardingTotalCount, Monitored: j.config.MonitorExecution,
			Misfire: j.config.Misfire, Failover: j.config.Failover, Disabled: j.config.Disabled,
			// The embedded registry has no definitions but those of the file.
			Overwrite: true,
		}
	}
	if _, err := h.center.PutJobs(ctx, definitions); err != nil {
		return err
	}
	h.mu.Lock()
	h.version = 0
	h.mu.Unlock()
	h.executor.Attach(lease)
	return nil
}

// lost ends what runs under the session.
func (h *Host) lost(lease registry.Lease) { h.executor.Detach(lease) }

// renewed lets the executor go on with what waited for a renewal.
func (h *Host) renewed() { h.executor.Renewed() }

// changed does the leader's duties if this node leads, and adopts what was
// assigned anew, also when a duty fails.
func (h *Host) changed(ctx context.Context, leadership *registry.Leadership) error {
	var errs []error
	if leadership != nil {
		errs = append(errs, h.coordinator.Clear(ctx, *leadership), h.coordinator.Reshard(ctx, *leadership))
	}
	errs = append(errs, h.follow(ctx))
	return errors.Join(errs...)
}

// follow adopts what was assigned anew and begins what is held no longer.
func (h *Host) follow(ctx context.Context) error {
	h.mu.Lock()
	since := h.version
	h.mu.Unlock()
	assigned, released, latest, err := h.changedSince(ctx, since)
	if err != nil {
		return err
	}
	if err := h.adopt(ctx, assigned); err != nil {
		return err
	}
	for _, name := range released {
		h.executor.Job(name).Released()
	}
	h.mu.Lock()
	h.version = latest
	h.mu.Unlock()
	return nil
}

// changedSince returns the hosted jobs that were assigned after a version of
// the feed, all of them when the feed has a gap or is read for the first time,
// and those of which items became free.
func (h *Host) changedSince(ctx context.Context, since int64) (assigned, released []string, latest int64, err error) {
	changes, latest, complete, err := h.center.Changes(ctx, since)
	if err != nil {
		return nil, nil, 0, err
	}
	if since == 0 || !complete {
		return h.instance.Jobs, nil, latest, nil
	}
	seen := make(map[registry.Change]bool)
	for _, c := range changes {
		key := registry.Change{Kind: c.Kind, Job: c.Job}
		if c.Job == "" || seen[key] || h.executor.Job(c.Job) == nil {
			continue
		}
		seen[key] = true
		switch c.Kind {
		case registry.ChangeAssigned:
			assigned = append(assigned, c.Job)
		case registry.ChangeReleased, registry.ChangeDrain:
			released = append(released, c.Job)
		case registry.ChangeJoin, registry.ChangeLeave, registry.ChangeJob, registry.ChangeRemoved, registry.ChangeState:
		}
	}
	return assigned, released, latest, nil
}

// adopt reads assignments and hands them to the jobs.
func (h *Host) adopt(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	assignments, err := h.center.Assignments(ctx, h.instance.ID, names)
	if err != nil {
		return err
	}
	for _, a := range assignments {
		j := h.executor.Job(a.Job)
		// Later instants are the timer's.
		now := j.Adopt(a)
		if _, scheduled := h.timer.Next(a.Job); !scheduled {
			h.schedule(j, a.Job, now)
		}
	}
	return nil
}

// schedule lets the timer fire a job that is not disabled.
func (h *Host) schedule(j *execution.Job, name string, after time.Time) {
	if hosted := h.byName[name]; !hosted.config.Disabled {
		h.timer.Set(name, hosted.spec.Schedule, after, j)
	}
}

// itemsLost publishes what a dead session left running.
func (h *Host) itemsLost(dead registry.Lease, name string, items registry.ItemsAt) {
	for item := range items.Items.All() {
		h.events.Lost.Publish(execution.ItemLost{Job: name, Item: item, Run: registry.FormatRunID(items.At), From: dead.Instance})
	}
}

// refresh reads one job's assignment because the one in force is stale.
func (h *Host) refresh(ctx context.Context, name string) {
	if err := h.adopt(ctx, []string{name}); err != nil {
		h.logger.Warn("assignment not read, trying again with the next change", "job", name, "err", err)
	}
}

// isFresh reports whether the node has renewed its lease so shortly before the
// instant that nobody else can own its unmonitored items then.
func (h *Host) isFresh(instant time.Time) bool {
	return h.membership.lastRenewal().Add(h.center.HandOver()).After(instant)
}

// stopTimeout bounds the write of an error handler's decision.
const stopTimeout = 5 * time.Second

// stopJob disables a job on this instance because an error handler says so.
func (h *Host) stopJob(ctx context.Context, name, handler string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	changed, err := h.center.SetStateOnInstance(ctx, name, h.instance.ID, false, "error-handler")
	if err != nil {
		h.logger.Error("job not stopped", "job", name, "plugin", handler, "err", err)
		return
	}
	if changed {
		h.logger.Warn("job stopped on this instance by its error handler", "job", name, "plugin", handler)
	}
}

// LocalZone names the time zone of this machine.
func LocalZone() (string, error) { return cron.LocalZone(os.LookupEnv) }

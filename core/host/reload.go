package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/coordinator"
	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
)

// generation is what came of one reading of the configuration: the plugins, and
// how many of the specs that were made of them, or are being made, are in use.
type generation struct {
	specs *specs

	// The rest is guarded by the lock of jobs.

	inUse    int
	replaced bool
	idle     chan struct{} // closed when it is replaced and nothing uses it
}

func newGeneration(s *specs) *generation { return &generation{specs: s, idle: make(chan struct{})} }

func (g *generation) leave() {
	g.inUse--
	g.checkIdle()
}

// replace says that nothing more is made of it.
func (g *generation) replace() {
	g.replaced = true
	g.checkIdle()
}

func (g *generation) checkIdle() {
	if g.replaced && g.inUse == 0 {
		close(g.idle)
	}
}

// use takes note of a spec that was made. The caller holds the lock, or is the
// only one so far.
func (js *jobs) use(spec *execution.Spec, of *generation) {
	js.madeBy[spec] = of
	of.inUse++
}

// release takes note of a spec that was closed.
func (js *jobs) release(spec *execution.Spec) {
	js.mu.Lock()
	defer js.mu.Unlock()
	of := js.madeBy[spec]
	delete(js.madeBy, spec)
	of.leave()
}

// strategist finds the sharding strategy of a job among the latest plugins.
func (js *jobs) strategist(ctx context.Context, state registry.JobState) (coordinator.Strategy, error) {
	js.mu.Lock()
	s := js.plugins.specs
	js.mu.Unlock()
	return s.strategist(ctx, state)
}

// Reload gives a node that has started the jobs and the plugins of another
// configuration; the rest of it does not count. It returns problems and changes
// nothing when these cannot be used.
//
// Each job goes on with the new plugins from its next run, under the definition
// that the registry has then: that of the file if it is new there, or if
// overwrite allows it. A job that is in the file no longer stays in the registry;
// the registry inside the process removes it. The channel is closed when no run
// uses the former plugins any more.
//
// One reload comes after the other.
func (h *Host) Reload(ctx context.Context, c config.Config, plugins *catalog.Catalog) (<-chan struct{}, error) {
	h.reloading.Lock()
	defer h.reloading.Unlock()
	if !h.isUp.Load() || h.closed {
		return nil, errors.New("reloading: the node does not run")
	}
	next := newSpecs(Config{Node: c, Catalog: plugins, LocalZone: h.config.LocalZone, Calls: h.config.Calls})
	made, problems := next.buildAll(ctx, c.Jobs)
	sink, wrong := next.buildSink(ctx, h.logger)
	problems = append(problems, wrong...)
	var err error
	if len(problems) == 0 {
		problems, err = h.conflicts(ctx, c, made)
	}
	if err != nil || len(problems) > 0 {
		if err := closeAll(ctx, made); err != nil {
			h.logger.Warn("plugins not closed", "err", err)
		}
		if sink != nil {
			sink.Close(ctx)
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("reloading: %w", err)
	case len(problems) > 0:
		return nil, problems
	}
	former, gone := h.jobs.reload(newGeneration(next), made)
	h.replaceSink(ctx, sink)
	h.logger.Info("configuration reloaded", "jobs", len(made))
	if h.isEmbedded() {
		if err := h.removeAll(ctx, gone); err != nil {
			h.logger.Warn("jobs not removed that are in the file no longer", "jobs", len(gone), "err", err)
		}
	}
	for _, m := range h.members {
		m.membership.tell()
	}
	return former.idle, nil
}

// buildAll makes the specs of all jobs of a file, or tells everything that is
// wrong with them.
func (s *specs) buildAll(ctx context.Context, file []job.Config) (map[string]*execution.Spec, config.Problems) {
	made := make(map[string]*execution.Spec, len(file))
	var problems config.Problems
	for _, c := range file {
		spec, wrong := s.build(ctx, c)
		if spec == nil {
			problems = append(problems, wrong...)
			continue
		}
		made[c.Name] = spec
	}
	return made, problems
}

func closeAll(ctx context.Context, made map[string]*execution.Spec) error {
	var errs []error
	for _, spec := range made {
		errs = append(errs, closeSpec(ctx, spec))
	}
	return errors.Join(errs...)
}

// reloadTimeout bounds what a reload asks of the registry.
const reloadTimeout = 10 * time.Second

// conflicts finds the jobs that are of another type in the registry and may not
// be overwritten.
func (h *Host) conflicts(ctx context.Context, c config.Config, made map[string]*execution.Spec) (config.Problems, error) {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	if h.isEmbedded() {
		return nil, nil
	}
	var problems config.Problems
	for partition, names := range h.byPartition(slices.Sorted(maps.Keys(made))) {
		states, err := partition.Jobs(ctx, names...)
		if _, isOne := errors.AsType[*registry.JobsError](err); err != nil && !isOne {
			return nil, err
		}
		for _, state := range states {
			ours := made[state.Definition.Name].Config
			theirs, err := job.Decode(state.Definition.Config)
			if err != nil || theirs.Type == ours.Type || ours.Overwrite {
				continue
			}
			problems = append(problems, c.Problem("conflict",
				fmt.Sprintf("elasticJobType is %s here and %s in the registry, and overwrite is false", ours.Type, theirs.Type), "jobs", ours.Name, "elasticJobType"))
		}
	}
	return problems, nil
}

func (h *Host) byPartition(names []string) map[*registry.Partition][]string {
	parts := make(map[*registry.Partition][]string)
	for _, name := range names {
		p := h.center.Partition(name)
		parts[p] = append(parts[p], name)
	}
	return parts
}

func (h *Host) removeAll(ctx context.Context, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	var errs []error
	for partition, some := range h.byPartition(names) {
		_, err := partition.RemoveJobs(ctx, some...)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// reload makes the specs of a new configuration those of the file. New jobs are
// hosted at once; what is hosted already is built anew when the members read it
// from the registry. It returns the former generation and the jobs that are in
// the file no longer.
func (js *jobs) reload(next *generation, made map[string]*execution.Spec) (former *generation, gone []string) {
	js.mu.Lock()
	defer js.mu.Unlock()
	former, js.plugins = js.plugins, next
	js.stored, js.wanted = make(map[int]bool), make(map[string]int64)
	for name, h := range js.byName {
		h.isStale = true
		if _, stays := made[name]; h.file != nil && !stays {
			h.file = nil
			gone = append(gone, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(made)) {
		spec := made[name]
		js.use(spec, next)
		if h := js.byName[name]; h != nil {
			h.file = &spec.Config
			js.retire(spec, name)
			continue
		}
		js.byName[name] = &hostedJob{file: &spec.Config, spec: spec}
		js.executor.Add(name, spec, js.partitionOf(name))
	}
	js.names = make(map[int][]string)
	former.replace()
	return former, gone
}

// storeReloaded stores the file's jobs of a member's partition after a reload,
// and lets all jobs be read again.
func (js *jobs) storeReloaded(ctx context.Context, m *member) error {
	js.mu.Lock()
	isStored := js.stored[m.partition.Index()]
	js.mu.Unlock()
	if isStored {
		return nil
	}
	m.applied.Store(0)
	err := js.store(ctx, m)
	if errors.Is(err, errType) {
		// Another node was faster since the reload has looked.
		js.logger.Error("job of the file not stored", "err", err)
		js.mu.Lock()
		defer js.mu.Unlock()
		js.stored[m.partition.Index()] = true
		return nil
	}
	return err
}

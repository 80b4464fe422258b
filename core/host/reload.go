package host

import (
	"bytes"
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
	"github.com/elasticjob-go/elasticjob/core/tracing"
)

// generation is what came of one reading of the configuration: the plugins, and
// how many of the specs that were made of them, or are being made, are in use.
type generation struct {
	specs *specs

	// The rest is guarded by the lock of jobs.

	inUse    int
	replaced bool
	// former and next are its neighbours, former until that is idle: a file that
	// was taken over from a former generation is used by runs of that as well.
	former, next *generation
	idle         chan struct{} // closed when it and all former ones are replaced and nothing uses them
}

func newGeneration(s *specs) *generation { return &generation{specs: s, idle: make(chan struct{})} }

func (g *generation) leave() {
	g.inUse--
	g.checkIdle()
}

// replace says that the next one is used from now on.
func (g *generation) replace(next *generation) {
	g.replaced = true
	g.next, next.former = next, g
	g.checkIdle()
}

// checkIdle is called whenever it may have become idle.
func (g *generation) checkIdle() {
	for g.replaced && g.inUse == 0 && g.former == nil {
		close(g.idle)
		g = g.next
		g.former = nil
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
	ctx, done, err := h.change(ctx)
	if err != nil {
		return nil, fmt.Errorf("reloading: %w", err)
	}
	defer done()
	next := newSpecs(Config{Node: c, Catalog: plugins, LocalZone: h.config.LocalZone, Calls: h.config.Calls})
	made, err := h.prepare(ctx, next)
	if err != nil {
		return nil, err
	}
	former := h.jobs.reload(newGeneration(next), made.specs, h.isEmbedded())
	h.replaceSink(ctx, made.sink)
	h.logger.Info("configuration reloaded", "jobs", len(made.specs))
	for _, m := range h.members {
		m.membership.tell()
	}
	return former.idle, nil
}

// prepared is what is made of a configuration before anything is changed.
type prepared struct {
	specs    map[string]*execution.Spec
	sink     *tracing.Sink
	problems config.Problems
}

// prepare makes everything that the configuration needs, or nothing.
func (h *Host) prepare(ctx context.Context, next *specs) (prepared, error) {
	// Constructors are code of others, which may hang.
	done := make(chan prepared, 1)
	go func() {
		var p prepared
		var wrong config.Problems
		p.specs, p.problems = next.buildAll(ctx, next.config.Jobs)
		p.sink, wrong = next.buildSink(ctx, h.logger)
		p.problems = append(p.problems, wrong...)
		done <- p
	}()
	var p prepared
	select {
	case p = <-done:
	case <-ctx.Done():
		go func() { h.discard(context.WithoutCancel(ctx), <-done) }()
		return prepared{}, fmt.Errorf("reloading: %w", context.Cause(ctx))
	}
	var err error
	if len(p.problems) == 0 {
		p.problems, err = h.conflicts(ctx, next.config, p.specs)
	}
	switch {
	case err != nil:
		h.discard(ctx, p)
		return prepared{}, fmt.Errorf("reloading: %w", err)
	case len(p.problems) > 0:
		h.discard(ctx, p)
		return prepared{}, p.problems
	}
	return p, nil
}

// discard closes what was made in vain.
func (h *Host) discard(ctx context.Context, p prepared) {
	var errs []error
	for _, spec := range p.specs {
		errs = append(errs, closeSpec(ctx, spec))
	}
	if err := errors.Join(errs...); err != nil {
		h.logger.Warn("plugins not closed", "err", err)
	}
	if p.sink != nil {
		p.sink.Close(ctx)
	}
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

// reload makes the specs of a new configuration those of the file. New jobs are
// hosted at once. What is hosted already goes on with them when the members
// install them; what is another in the registry is built anew when they read it.
// It returns the former generation. With removes, jobs that are in the file no
// longer are to be removed from the registry.
func (js *jobs) reload(next *generation, made map[string]*execution.Spec, removes bool) (former *generation) {
	js.mu.Lock()
	defer js.mu.Unlock()
	former, js.plugins = js.plugins, next
	js.stored, js.wanted = make(map[int]bool), make(map[string]int64)
	for name, h := range js.byName {
		h.isStale = true
		if _, stays := made[name]; h.file != nil && !stays {
			h.file = nil
			if removes {
				js.gone[name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(made)) {
		spec := made[name]
		js.use(spec, next)
		delete(js.gone, name)
		h := js.byName[name]
		switch {
		case h == nil:
			js.byName[name] = &hostedJob{file: &spec.Config, spec: spec}
			js.executor.Add(name, spec, js.partitionOf(name))
			continue
		case h.isMadeOf(spec.Config):
			partition := js.partitionOf(name)
			js.wanted[name] = h.state.Version
			js.built[partition] = append(js.built[partition], builtSpec{state: h.state, plugins: next, spec: spec})
		default:
			js.retire(spec, name)
		}
		h.file = &spec.Config
	}
	js.names = make(map[int][]string)
	former.replace(next)
	return former
}

// isMadeOf reports whether the definition is the one in the registry.
func (h *hostedJob) isMadeOf(c job.Config) bool {
	if h.state.Version == 0 {
		return false
	}
	encoded, err := job.Encode(c)
	return err == nil && bytes.Equal(encoded, h.state.Definition.Config)
}

// storeReloaded stores the file's jobs of a member's partition after a reload,
// removes those that are to be, and lets all jobs be read again.
func (js *jobs) storeReloaded(ctx context.Context, m *member) error {
	index := m.partition.Index()
	js.mu.Lock()
	isStored, of := js.stored[index], js.plugins
	var gone []string
	for name := range js.gone {
		if js.partitionOf(name) == index {
			gone = append(gone, name)
		}
	}
	js.mu.Unlock()
	if isStored {
		return nil
	}
	m.rereads = true
	if _, err := m.partition.RemoveJobs(ctx, gone...); err != nil {
		return fmt.Errorf("removing jobs that are in the file no longer: %w", err)
	}
	js.mu.Lock()
	for _, name := range gone {
		delete(js.gone, name)
	}
	js.mu.Unlock()
	err := js.store(ctx, m)
	if errors.Is(err, errType) {
		// Another node was faster since the reload has looked.
		js.logger.Error("job of the file not stored", "err", err)
		js.hasStored(index, of)
		return nil
	}
	return err
}

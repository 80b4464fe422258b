package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/schedule"
)

// jobs are the jobs that this node hosts: those of its file, and those that
// other nodes have stored and whose plugins it has. It is safe for concurrent
// use.
type jobs struct {
	logger   *slog.Logger
	executor *execution.Executor
	timer    *schedule.Timer
	// partitionOf says where a job lives.
	partitionOf func(name string) int

	mu     sync.Mutex
	byName map[string]*hostedJob
	names  map[int][]string // sorted names by partition, nil when they are to be collected
	// plugins are those of the latest configuration, madeBy those that a spec in
	// use was made of.
	plugins *generation
	madeBy  map[*execution.Spec]*generation
	// gone are jobs to be removed from the registry.
	gone map[string]bool
	// stored are the partitions in which the file's jobs were stored once.
	stored map[int]bool

	// built are new specs that wait to be installed, by partition; wanted is the
	// version of each job that is built or hosted.
	built  map[int][]builtSpec
	wanted map[string]int64

	// background are specs that are built, and old ones that wait for their last
	// run to end.
	background     sync.WaitGroup
	builders       builders
	lifetime       context.Context //nolint:containedctx // that of the background
	stopBackground context.CancelFunc
}

// builtSpec is what became of a definition.
type builtSpec struct {
	state   registry.JobState
	plugins *generation
	spec    *execution.Spec
	err     error
}

// hostedJob is a job and what it is executed from.
type hostedJob struct {
	// file is the job's definition in this node's file, nil if it has none.
	file *job.Config

	// adopting keeps the timer in step with the assignment.
	adopting sync.Mutex

	// The rest is guarded by the lock of jobs.

	spec    *execution.Spec
	encoded []byte            // the definition that spec was made of
	state   registry.JobState // as last read, without version before that
	// waits says that spec is the file's and another one counts, which is built.
	waits bool
	// isStale says that spec was made of plugins that a reload has replaced.
	isStale bool
}

// runs reports whether the spec was made of the definition. The caller holds the
// lock.
func (h *hostedJob) runs(encoded []byte) bool {
	if h.encoded == nil {
		h.encoded, _ = job.Encode(h.spec.Config)
	}
	return bytes.Equal(h.encoded, encoded)
}

// newJobs makes what the jobs of the file are executed from; problems are what
// is wrong with them beyond their definitions themselves.
func newJobs(ctx context.Context, specs *specs, file []job.Config, logger *slog.Logger) (*jobs, config.Problems) {
	js := &jobs{
		logger: logger, byName: make(map[string]*hostedJob, len(file)), names: make(map[int][]string),
		plugins: newGeneration(specs), madeBy: make(map[*execution.Spec]*generation, len(file)),
		gone: make(map[string]bool), stored: make(map[int]bool), built: make(map[int][]builtSpec), wanted: make(map[string]int64),
	}
	js.lifetime, js.stopBackground = context.WithCancel(context.WithoutCancel(ctx))
	js.builders.spawn = js.background.Go
	var problems config.Problems
	for _, c := range file {
		spec, wrong := specs.build(ctx, c)
		if spec == nil {
			problems = append(problems, wrong...)
			continue
		}
		js.use(spec, js.plugins)
		js.byName[c.Name] = &hostedJob{file: &spec.Config, spec: spec}
	}
	return js, problems
}

// host hands the jobs of the file to the executor.
func (js *jobs) host() {
	js.mu.Lock()
	defer js.mu.Unlock()
	// The order of their names is that of memory, and of firing.
	for _, name := range slices.Sorted(maps.Keys(js.byName)) {
		js.executor.Add(name, js.byName[name].spec, js.partitionOf(name))
	}
}

// namesIn returns the names of the hosted jobs of a partition, sorted. The list
// is not changed afterwards.
func (js *jobs) namesIn(partition int) []string {
	js.mu.Lock()
	defer js.mu.Unlock()
	if names, ok := js.names[partition]; ok {
		return names
	}
	names := []string{}
	for name := range js.byName {
		if js.partitionOf(name) == partition {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	js.names[partition] = names
	return names
}

// isOfFile reports whether a job is in this node's file.
func (js *jobs) isOfFile(name string) bool {
	js.mu.Lock()
	defer js.mu.Unlock()
	h := js.byName[name]
	return h != nil && h.file != nil
}

// statesIn returns what the node knows of the jobs of a partition.
func (js *jobs) statesIn(partition int) []registry.JobState {
	names := js.namesIn(partition)
	js.mu.Lock()
	defer js.mu.Unlock()
	var states []registry.JobState
	for _, name := range names {
		if h := js.byName[name]; h != nil && h.state.Version != 0 {
			states = append(states, restorable(h.state))
		}
	}
	return states
}

// restorable is a state without what is disabled of items that the job has no more,
// as long as no assignment has forgotten it: a registry would not take that.
func restorable(s registry.JobState) registry.JobState {
	items := s.DisabledItems.Slice()
	s.DisabledItems = registry.NewItems(slices.DeleteFunc(items, func(item int) bool { return item >= s.Definition.Items })...)
	return s
}

// definitionOf is the file's definition as the registry takes it.
func definitionOf(c job.Config) (registry.JobDefinition, error) {
	encoded, err := job.Encode(c)
	if err != nil {
		return registry.JobDefinition{}, fmt.Errorf("storing job %q: %w", c.Name, err)
	}
	return registry.JobDefinition{
		Name: c.Name, Config: encoded, Items: c.ShardingTotalCount, Monitored: c.MonitorExecution,
		Misfire: c.CatchesUpHeld(), Failover: c.Failover, Disabled: c.Disabled, Overwrite: c.Overwrite,
		DependsOn: dependenciesOf(c),
	}, nil
}

// errType says that the file and the registry mean different things by one name.
var errType = errors.New("another type in the registry")

// store puts the definitions of the file's jobs that live in the member's
// partition. The file wins over the registry once, when the node starts, and
// only with overwrite; a session that begins later restores what is missing.
func (js *jobs) store(ctx context.Context, m *member) error {
	index := m.partition.Index()
	js.mu.Lock()
	isFirst, of := !js.stored[index], js.plugins
	var definitions []registry.JobDefinition
	for _, name := range slices.Sorted(maps.Keys(js.byName)) {
		h := js.byName[name]
		if h.file == nil || js.partitionOf(name) != index {
			continue
		}
		d, err := definitionOf(*h.file)
		if err != nil {
			js.mu.Unlock()
			return err
		}
		d.Overwrite = isFirst && (d.Overwrite || m.host.isEmbedded())
		definitions = append(definitions, d)
	}
	js.mu.Unlock()
	results, err := m.partition.PutJobs(ctx, definitions)
	if err != nil {
		return err
	}
	var errs []error
	for i, r := range results {
		if isFirst && (r.Outcome == registry.PutKept || r.Outcome == registry.PutConflict) {
			errs = append(errs, js.compare(r, definitions[i]))
			js.mu.Lock()
			js.byName[r.Name].waits = true
			js.mu.Unlock()
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	js.hasStored(index, of)
	return nil
}

// hasStored notes that the file's jobs of a partition were stored, unless they
// are those of another file by now.
func (js *jobs) hasStored(partition int, of *generation) {
	js.mu.Lock()
	defer js.mu.Unlock()
	if js.plugins == of {
		js.stored[partition] = true
	}
}

// compare says in what a definition differs from the stored one, which counts.
func (js *jobs) compare(stored registry.PutResult, file registry.JobDefinition) error {
	theirs, err := job.Decode(stored.Config)
	if err != nil {
		js.logger.Error("job definition in the registry not understood; it counts because overwrite is false", "job", file.Name, "err", err)
		return nil
	}
	ours, err := job.Decode(file.Config)
	if err != nil {
		return err
	}
	if ours.Type != theirs.Type {
		return fmt.Errorf("job %q: %w: elasticJobType is %s in the file and %s there, and overwrite is false", file.Name, errType, ours.Type, theirs.Type)
	}
	js.logger.Warn("job definition in the registry differs and counts, because overwrite is false",
		"job", file.Name, "keys", strings.Join(differingKeys(file.Config, stored.Config), ","))
	return nil
}

// differingKeys names the keys of two encoded definitions whose values differ.
func differingKeys(a, b []byte) []string {
	var left, right map[string]json.RawMessage
	if json.Unmarshal(a, &left) != nil || json.Unmarshal(b, &right) != nil {
		return nil
	}
	var keys []string
	for key := range left {
		if !bytes.Equal(left[key], right[key]) {
			keys = append(keys, key)
		}
	}
	for key := range right {
		if _, both := left[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// define reads jobs from the registry and hosts them as they are there.
func (js *jobs) define(ctx context.Context, m *member, names []string) error {
	if len(names) == 0 {
		return nil
	}
	states, err := m.partition.Jobs(ctx, names...)
	if bad, ok := errors.AsType[*registry.JobsError](err); ok {
		for _, name := range slices.Sorted(maps.Keys(bad.ByJob)) {
			js.logger.Error("job in the registry not understood", "job", name, "err", bad.ByJob[name])
		}
		err = nil
	}
	if err != nil {
		return err
	}
	for _, state := range states {
		js.apply(m, state)
	}
	return nil
}

// apply takes note of a job as the registry has it. A definition that is new here
// is built in the background, as constructors of plugins may take their time;
// install hosts it then.
func (js *jobs) apply(m *member, state registry.JobState) {
	name, encoded := state.Definition.Name, state.Definition.Config
	js.mu.Lock()
	defer js.mu.Unlock()
	if h := js.byName[name]; h != nil {
		if h.runs(encoded) && !h.isStale {
			h.state, h.waits = state, false
			js.wanted[name] = state.Version
			return
		}
	}
	if js.wanted[name] == state.Version {
		return // it is being built, or cannot be
	}
	js.wanted[name] = state.Version
	plugins := js.plugins
	plugins.inUse++
	js.builders.add(func() {
		spec, err := plugins.specs.buildStored(js.lifetime, state)
		index := m.partition.Index()
		js.mu.Lock()
		if spec != nil {
			js.use(spec, plugins)
		}
		plugins.leave()
		js.built[index] = append(js.built[index], builtSpec{state, plugins, spec, err})
		js.mu.Unlock()
		m.membership.tell()
	})
}

// install hosts what was built, and stops hosting what this node cannot run. It
// returns the names of the jobs whose assignment is to be read.
func (js *jobs) install(partition int) []string {
	js.mu.Lock()
	built := js.built[partition]
	delete(js.built, partition)
	js.mu.Unlock()
	var names []string
	for _, b := range built {
		name := b.state.Definition.Name
		js.mu.Lock()
		isLatest := js.wanted[name] == b.state.Version && js.plugins == b.plugins
		js.mu.Unlock()
		switch {
		case !isLatest:
			if b.spec != nil {
				js.retire(b.spec, name)
			}
		case b.err != nil:
			js.logger.Warn("job not hosted here: its definition in the registry cannot be used on this node", "job", name, "version", b.state.Version, "err", b.err)
			js.drop(name)
		case js.swap(b):
		default:
			js.put(b)
			names = append(names, name)
		}
	}
	return names
}

// swap gives a job other plugins under the same definition, which changes nothing
// for its timer and its assignment, and reports whether that was all to do.
func (js *jobs) swap(b builtSpec) bool {
	name := b.state.Definition.Name
	js.mu.Lock()
	h := js.byName[name]
	if h == nil || !h.isStale || h.waits || !h.runs(b.state.Definition.Config) {
		js.mu.Unlock()
		return false
	}
	b.spec.Since = h.spec.Since
	h.spec, h.state, h.isStale = b.spec, b.state, false
	js.mu.Unlock()
	js.retire(js.executor.Job(name).Swap(b.spec), name)
	return true
}

// put hosts a job, or gives it the new spec.
func (js *jobs) put(b builtSpec) {
	name := b.state.Definition.Name
	js.mu.Lock()
	h := js.byName[name]
	if h == nil {
		js.byName[name] = &hostedJob{spec: b.spec, encoded: b.state.Definition.Config, state: b.state}
		js.names = make(map[int][]string)
		js.mu.Unlock()
		js.executor.Add(name, b.spec, js.partitionOf(name))
		return
	}
	if sameSchedule(h.spec.Config, b.spec.Config) {
		b.spec.Since = h.spec.Since
	}
	h.spec, h.state, h.encoded, h.waits, h.isStale = b.spec, b.state, b.state.Definition.Config, false, false
	js.mu.Unlock()
	// What is due until the new schedule is in force is found by its adoption.
	h.adopting.Lock()
	js.timer.Remove(name)
	replaced := js.executor.Job(name).Replace(b.spec)
	h.adopting.Unlock()
	js.logger.Info("job has a new definition", "job", name, "version", b.state.Version)
	js.retire(replaced, name)
}

func sameSchedule(a, b job.Config) bool {
	return a.Cron == b.Cron && a.Every == b.Every && a.At.Equal(b.At) && a.TimeZone == b.TimeZone
}

// remove stops hosting a job that the registry does not have any more.
func (js *jobs) remove(name string) {
	js.mu.Lock()
	h := js.byName[name]
	// A reload has brought it back, and it is about to be stored.
	isBack := h != nil && h.file != nil && !js.stored[js.partitionOf(name)]
	if !isBack {
		delete(js.wanted, name)
	}
	js.mu.Unlock()
	if !isBack {
		js.drop(name)
	}
}

// drop stops hosting a job.
func (js *jobs) drop(name string) {
	js.mu.Lock()
	h := js.byName[name]
	delete(js.byName, name)
	js.names = make(map[int][]string)
	js.mu.Unlock()
	if h == nil {
		return
	}
	h.adopting.Lock()
	js.timer.Remove(name)
	js.executor.Remove(name)
	h.adopting.Unlock()
	js.retire(h.spec, name)
}

// retire closes the plugins of a spec when its last run has ended.
func (js *jobs) retire(spec *execution.Spec, name string) {
	js.background.Go(func() {
		// A run that never ends keeps its plugins until the node stops.
		_ = spec.WaitUnused(js.lifetime)
		js.closeSpec(context.WithoutCancel(js.lifetime), spec, name)
	})
}

func (js *jobs) closeSpec(ctx context.Context, spec *execution.Spec, name string) {
	defer js.release(spec)
	if err := closeSpec(ctx, spec); err != nil {
		js.logger.Warn("plugins of the job not closed", "job", name, "err", err)
	}
}

// adopt hands an assignment to its job and lets the timer fire it as long as
// there is something to fire.
func (js *jobs) adopt(j *execution.Job, a registry.Assignment) {
	js.mu.Lock()
	h := js.byName[j.Name()]
	waits := h != nil && h.waits
	js.mu.Unlock()
	if h == nil || waits {
		return
	}
	h.adopting.Lock()
	defer h.adopting.Unlock()
	// Later instants are the timer's.
	now := j.Adopt(a)
	if !j.NeedsTimer() {
		js.timer.Remove(j.Name())
		return
	}
	if _, scheduled := js.timer.Next(j.Name()); !scheduled {
		js.timer.Set(j.Name(), j.Spec().Schedule, now, j)
	}
}

// close closes the plugins of all jobs, which must not run any more.
func (js *jobs) close(ctx context.Context) {
	js.stopBackground()
	js.background.Wait()
	js.mu.Lock()
	unused := make(map[*execution.Spec]string)
	for _, built := range js.built {
		for _, b := range built {
			if b.spec != nil {
				unused[b.spec] = b.state.Definition.Name
			}
		}
	}
	for name, h := range js.byName {
		unused[h.spec] = name
	}
	js.mu.Unlock()
	for spec, name := range unused {
		js.closeSpec(ctx, spec, name)
	}
}

// clockBound returns the strictest bound of the difference between the clocks
// of this node and the registry's server, and the job that asks for it.
func (js *jobs) clockBound() (bound time.Duration, name string) {
	js.mu.Lock()
	defer js.mu.Unlock()
	bound = -1
	for _, candidate := range slices.Sorted(maps.Keys(js.byName)) {
		seconds := js.byName[candidate].spec.Config.MaxTimeDiffSeconds
		if d := time.Duration(seconds) * time.Second; seconds >= 0 && (bound < 0 || d < bound) {
			bound, name = d, candidate
		}
	}
	return bound, name
}
